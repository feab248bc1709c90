//! Progress as a live view: the steps that run are drawn again ten times a second, those that
//! ended scroll away above them.
//!
//! Nothing about the terminal is changed: no raw mode, no second screen, no hidden cursor. A
//! build that is killed leaves the last frame, and that is all.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wythe_builder::progress::{Event, Progress};

use super::screen::Screen;
use super::source::SourceFile;
use super::stopwatch::Stopwatch;
use super::view::{View, Window, width};

/// The live view; it draws its last frame when it is dropped.
#[derive(Debug)]
pub(crate) struct Tty<W: Write + Send + 'static> {
    shared: Arc<Shared<W>>,
    ticker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<W> {
    stopwatch: Stopwatch,
    screen: Arc<Screen>,
    state: Mutex<State<W>>,
    ended: Condvar,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    view: View,
    /// How wide the lines of the last frame are, which have to go before the next one.
    drawn: Vec<usize>,
    /// How often the screen had been somebody else's then.
    taken: u64,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    No,
    Yes,
}

/// The time between two frames: often enough for a clock with tenths.
const FRAME: Duration = Duration::from_millis(100);

/// What is assumed where the terminal does not tell its size.
const USUAL: Window = Window { columns: 80, rows: 24 };

impl<W: Write + Send + 'static> Tty<W> {
    /// A view on `out`, drawn from now on.
    pub(crate) fn new(
        out: W,
        stopwatch: Stopwatch,
        source: SourceFile,
        screen: Arc<Screen>,
    ) -> Self {
        let state =
            State { out, view: View::new(source), drawn: Vec::new(), taken: 0, ended: Ended::No };
        let shared = Shared { stopwatch, screen, state: Mutex::new(state), ended: Condvar::new() };
        let shared = Arc::new(shared);
        let ticking = Arc::clone(&shared);
        let ticker = std::thread::Builder::new().name("progress".to_owned());
        // Without a thread the view is drawn at its end only.
        let ticker = ticker.spawn(move || ticking.tick()).ok();
        Self { shared, ticker }
    }
}

impl<W: Write> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut state = self.lock();
        while state.ended == Ended::No {
            if let Some(taken) = self.screen.taken() {
                state.resume(taken);
                state.draw(self.stopwatch.elapsed(), window());
            }
            let waited = self.ended.wait_timeout(state, FRAME);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<W: Write> State<W> {
    /// Leaves what was drawn before somebody else wrote: it is above that.
    fn resume(&mut self, taken: u64) {
        if taken != self.taken {
            self.taken = taken;
            self.drawn.clear();
        }
    }

    fn draw(&mut self, now: Duration, window: Window) {
        let mut frame = String::new();
        // A terminal that has become narrower has broken what was wider into several rows.
        let rows = |width: &usize| width.div_ceil(window.columns).max(1);
        let above: usize = self.drawn.iter().map(rows).sum();
        if above > 0 {
            let _ = write!(frame, "\x1b[{above}A\x1b[J");
        }
        for line in self.view.settled(window) {
            frame.push_str(&line);
            frame.push('\n');
        }
        let live = self.view.live(now, window);
        for line in &live {
            frame.push_str(line);
            frame.push('\n');
        }
        self.drawn = live.iter().map(|line| width(line)).collect();
        // A terminal that is gone cannot be told so.
        let _ = self.out.write_all(frame.as_bytes()).and_then(|()| self.out.flush());
    }
}

fn window() -> Window {
    let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr()) else { return USUAL };
    match (usize::from(size.ws_col), usize::from(size.ws_row)) {
        (0, _) | (_, 0) => USUAL,
        (columns, rows) => Window { columns, rows },
    }
}

impl<W: Write + Send> Progress for Tty<W> {
    fn event(&self, event: &Event<'_>) {
        let now = self.shared.stopwatch.elapsed();
        self.shared.lock().view.take(event, now);
    }
}

impl<W: Write + Send> Drop for Tty<W> {
    fn drop(&mut self) {
        self.shared.lock().ended = Ended::Yes;
        self.shared.ended.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // It cannot have panicked with anything to tell: it only draws.
            let _ = ticker.join();
        }
        let now = self.shared.stopwatch.elapsed();
        let taken = self.shared.screen.taken();
        let mut state = self.shared.lock();
        state.resume(taken.unwrap_or_default());
        state.draw(now, window());
    }
}

#[cfg(test)]
mod tests {
    use wythe_builder::progress::{Hit, StepId};

    use super::*;

    fn state() -> State<Vec<u8>> {
        let (out, view, drawn) = (Vec::new(), View::default(), Vec::new());
        State { out, view, drawn, taken: 0, ended: Ended::No }
    }

    #[test]
    fn a_frame_in_a_narrower_window_replaces_the_rows_that_the_last_one_was_broken_into() {
        let mut state = state();
        state.view.take(&Event::Started { step: StepId(1), name: "one" }, Duration::ZERO);
        state.draw(Duration::ZERO, USUAL);
        state.out.clear();
        // 79 cells in windows of 40 are two rows, and what is short stays one.
        state.draw(Duration::ZERO, Window { columns: 40, rows: 24 });
        let written = String::from_utf8(std::mem::take(&mut state.out)).unwrap();
        assert!(written.starts_with("\x1b[3A\x1b[J"), "{written:?}");
        state.draw(Duration::ZERO, USUAL);
        assert!(state.out.starts_with(b"\x1b[2A\x1b[J"));
    }

    #[test]
    fn a_frame_replaces_the_one_before() {
        let mut state = state();
        let started = Event::Started { step: StepId(1), name: "one" };
        state.view.take(&started, Duration::ZERO);
        state.draw(Duration::ZERO, USUAL);
        assert_eq!(state.drawn.len(), 2);
        let cached = Event::Cached {
            step: StepId(2),
            name: "two",
            hit: Hit::Definition,
            saved: Duration::ZERO,
        };
        state.view.take(&cached, Duration::ZERO);
        state.draw(Duration::ZERO, USUAL);
        let written = String::from_utf8(state.out).unwrap();
        let second = written.split_once("\x1b[2A\x1b[J").unwrap().1;
        assert!(second.starts_with("=> two"), "{second}");
        assert!(second.contains("=> one"), "{second}");
    }
}
