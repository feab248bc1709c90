//! Who has the terminal: progress, or a person with a shell.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use wythe_builder::progress::{Event, Progress};

/// A terminal that several write to, each on its own.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    turn: Mutex<Turn>,
    over: Condvar,
    /// What the live view is to show above itself next, where there is one.
    said: Mutex<Option<Vec<String>>>,
}

#[derive(Debug, Default)]
struct Turn {
    holder: Option<ThreadId>,
    /// How often it was somebody's.
    taken: u64,
}

/// While this lives, nobody else writes.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Screen);

impl Screen {
    /// Takes the screen, and waits for it if somebody has it.
    pub(crate) fn hold(&self) -> Held<'_> {
        let mut turn = self.wait();
        turn.holder = Some(thread::current().id());
        turn.taken += 1;
        Held(self)
    }

    /// From now on lines are given to a live view: between two of its frames whatever else is written is drawn over.
    pub(crate) fn begin_view(&self) {
        self.said().get_or_insert_default();
    }

    /// What the live view has to show above its next frame.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.said().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What it has to show above its last frame.
    pub(crate) fn end_view(&self) -> Vec<String> {
        self.said().take().unwrap_or_default()
    }

    /// Has a line shown by the live view, or by `write` where there is none.
    pub(crate) fn say(&self, line: String, write: impl FnOnce(&str)) {
        match &mut *self.said() {
            Some(said) => said.push(line),
            None => write(&line),
        }
    }

    fn said(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the screen was taken; none while somebody has it.
    pub(crate) fn taken(&self) -> Option<u64> {
        let turn = self.lock();
        turn.holder.is_none().then_some(turn.taken)
    }

    /// Waits until nobody has the screen, but for this thread.
    fn wait(&self) -> MutexGuard<'_, Turn> {
        let me = thread::current().id();
        let others = |turn: &mut Turn| turn.holder.is_some_and(|holder| holder != me);
        self.over.wait_while(self.lock(), others).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.lock().holder = None;
        self.0.over.notify_all();
    }
}

/// Progress that waits while somebody has the screen.
pub(crate) struct PausedProgress<'a> {
    pub(crate) progress: Box<dyn Progress + 'a>,
    pub(crate) screen: &'a Screen,
}

impl Progress for PausedProgress<'_> {
    fn event(&self, event: &Event<'_>) {
        drop(self.screen.wait());
        self.progress.event(event);
    }

    fn is_curious(&self) -> bool {
        self.progress.is_curious()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn others_wait_for_who_has_the_screen_and_the_holder_does_not() {
        let screen = Screen::default();
        assert_eq!(screen.taken(), Some(0));
        thread::scope(|scope| {
            let held = screen.hold();
            drop(screen.wait());
            assert_eq!(screen.taken(), None);
            let (send, receive) = mpsc::channel();
            let screen = &screen;
            let other = scope.spawn(move || {
                drop(screen.wait());
                receive.try_recv()
            });
            send.send("before").unwrap();
            drop(held);
            assert_eq!(other.join().unwrap(), Ok("before"));
        });
        assert_eq!(screen.taken(), Some(1));
    }

    #[test]
    fn what_is_said_during_a_view_is_for_the_view() {
        let screen = Screen::default();
        let written = Mutex::new(Vec::new());
        let say = |line: &str| {
            screen.say(line.to_owned(), |line| written.lock().unwrap().push(line.to_owned()));
        };
        say("before");
        screen.begin_view();
        say("above");
        assert_eq!(screen.heard(), ["above"]);
        assert!(screen.heard().is_empty());
        say("last");
        assert_eq!(screen.end_view(), ["last"]);
        say("after");
        assert_eq!(*written.lock().unwrap(), ["before", "after"]);
    }
}
