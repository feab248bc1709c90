//! Progress as a live view: the steps that run are drawn again ten times a second, those that
//! ended scroll away above them.
//!
//! Nothing about the terminal is changed: no raw mode, no second screen, no hidden cursor. A
//! build that is killed leaves the last frame, and that is all.

use std::fmt::Write as _;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wythe_builder::progress::{Event, Progress};

use super::look::{Look, Reflow};
use super::screen::Screen;
use super::source::SourceFile;
use super::stopwatch::Stopwatch;
use super::view::{View, Window};

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
    look: Look,
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
        (out, look): (W, Look),
        stopwatch: Stopwatch,
        source: SourceFile,
        screen: Arc<Screen>,
    ) -> Self {
        screen.begin_view();
        let (view, drawn) = (View::new(source), Vec::new());
        let state = State { out, look, view, drawn, taken: 0, ended: Ended::No };
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
                let said = self.screen.heard();
                state.draw(&said, self.stopwatch.elapsed(), window(std::io::stderr()));
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

    /// Draws over the last frame, line by line and in one write, so that nothing flickers. What was `said` is
    /// above it.
    fn draw(&mut self, said: &[String], now: Duration, window: Window) {
        let mut frame = String::new();
        // A terminal that has become narrower has broken what was wider into several rows.
        let rows = |cells: &usize| match self.look.reflow {
            Reflow::Cuts => 1,
            Reflow::Wraps => cells.div_ceil(window.columns).max(1),
        };
        let above: usize = self.drawn.iter().map(rows).sum();
        if above > 0 {
            // What somebody has typed stands before the cursor.
            let _ = write!(frame, "\r\x1b[{above}A");
        }
        for line in said {
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        for line in self.view.settled() {
            let _ = writeln!(frame, "{}\x1b[K", line.fit(window.columns, self.look).text);
        }
        self.drawn.clear();
        for line in self.view.live(now, window) {
            let row = line.fit(window.columns, self.look);
            let _ = writeln!(frame, "{}\x1b[K", row.text);
            self.drawn.push(row.cells);
        }
        if above > 0 {
            frame.push_str("\x1b[J");
        }
        // A terminal that is gone cannot be told so.
        let _ = self.out.write_all(frame.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// The size of a terminal.
pub(crate) fn window(terminal: impl AsFd) -> Window {
    let Ok(size) = rustix::termios::tcgetwinsize(terminal) else { return USUAL };
    match (usize::from(size.ws_col), usize::from(size.ws_row)) {
        (0, _) | (_, 0) => USUAL,
        (columns, rows) => Window { columns, rows },
    }
}

impl<W: Write + Send> Progress for Tty<W> {
    fn event(&self, event: &Event<'_>) {
        let now = self.shared.stopwatch.elapsed();
        let mut state = self.shared.lock();
        state.view.take(event, now);
        // Where nothing runs any more others may write next, below what was drawn: nothing may be drawn over it then.
        if state.drawn.is_empty() || !state.view.is_idle() {
            return;
        }
        if let Some(taken) = self.shared.screen.taken() {
            state.resume(taken);
            state.draw(&self.shared.screen.heard(), now, window(std::io::stderr()));
        }
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
        state.draw(&self.shared.screen.end_view(), now, window(std::io::stderr()));
    }
}

#[cfg(test)]
mod tests;
