//! Progress as a log: every line begins with the number of its step, so that nothing a step
//! prints can pass for a message of ours or for a command to a CI system.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wythe_builder::progress::{Event, Progress, StepId, Stream};

use super::isolation::isolated;
use super::lines::Lines;
use super::quantity::Elapsed;
use super::sanitize::{self, Medium};
use super::source::SourceFile;
use super::stopwatch::Stopwatch;
use super::transfer::Quarters;

/// The log.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    stopwatch: Stopwatch,
    medium: Medium,
    source: SourceFile,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// Which step the last line was about; another one is set apart by an empty line.
    last: Option<StepId>,
    running: BTreeMap<StepId, Running>,
    moving: Quarters,
}

#[derive(Debug, Default)]
struct Running {
    since: Duration,
    out: Lines,
    err: Lines,
}

impl<W: Write + Send> Plain<W> {
    /// A log on `out`.
    pub(crate) fn new(out: W, stopwatch: Stopwatch, medium: Medium, source: SourceFile) -> Self {
        let (running, moving) = Default::default();
        let state = State { out, last: None, running, moving };
        Self { stopwatch, medium, source, state: Mutex::new(state) }
    }

    fn output(&self, state: &mut State<W>, step: StepId, stream: Stream, bytes: &[u8]) {
        let now = self.stopwatch.elapsed();
        let Some(running) = state.running.get_mut(&step) else { return };
        let at = (now.saturating_sub(running.since)).as_secs_f64();
        let lines = match stream {
            Stream::Err => &mut running.err,
            Stream::Out => &mut running.out,
        };
        let mut complete = Vec::new();
        lines.push(bytes, |line| complete.push(sanitize::line(line, self.medium)));
        for line in complete {
            state.line(step, &format!("{at:.3} {line}"));
        }
    }

    fn end(&self, state: &mut State<W>, step: StepId, verdict: &str) {
        if let Some(mut running) = state.running.remove(&step) {
            let mut left = Vec::new();
            for lines in [&mut running.out, &mut running.err] {
                lines.finish(|line| left.push(sanitize::line(line, self.medium)));
            }
            let at = self.stopwatch.elapsed().saturating_sub(running.since).as_secs_f64();
            for line in left {
                state.line(step, &format!("{at:.3} {line}"));
            }
        }
        state.line(step, verdict);
    }
}

impl<W: Write> State<W> {
    /// Writes a line.
    fn line(&mut self, step: StepId, text: &str) {
        let apart = if self.last.is_some_and(|last| last != step) { "\n" } else { "" };
        self.last = Some(step);
        self.write(&format!("{apart}#{} {text}\n", step.0));
    }

    /// Writes in one piece: standard error keeps nothing back, and others may write to it, too. Where it
    /// is gone there is nobody to tell.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }

    fn begin(&mut self, step: StepId, name: &str) {
        self.line(step, &sanitize::text(name.as_bytes(), Medium::Log));
    }
}

impl<W: Write + Send> Progress for Plain<W> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a log says nothing of what it does not know"
    )]
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        match *event {
            Event::Isolated { isolation, reason } => {
                state.write(&format!("{}\n", isolated(isolation, reason)));
            }
            Event::Started { step, name } => {
                let since = self.stopwatch.elapsed();
                state.running.insert(step, Running { since, ..Running::default() });
                state.begin(step, name);
            }
            Event::Cached { step, name, .. } => {
                state.begin(step, name);
                state.line(step, "CACHED");
            }
            Event::Output { step, stream, bytes } => self.output(state, step, stream, bytes),
            Event::Explained { step, reason } => {
                let reason = sanitize::text(reason.to_string().as_bytes(), Medium::Log);
                state.line(step, &format!("because {reason}"));
            }
            Event::Finished { step, elapsed } => {
                self.end(state, step, &format!("DONE {}", Elapsed(elapsed)));
            }
            Event::Cancelled { step, elapsed } => {
                self.end(state, step, &format!("CANCELLED after {}", Elapsed(elapsed)));
            }
            Event::Failed { step, elapsed } => {
                self.end(state, step, &format!("ERROR after {}", Elapsed(elapsed)));
            }
            Event::Transferred { transfer } => {
                if let Some(line) = state.moving.line(&transfer) {
                    state.write(&format!("{line}\n"));
                }
            }
            Event::CacheFailed { reason } => {
                let reason = sanitize::text(reason.as_bytes(), Medium::Log);
                state.write(&format!("WARN {reason}\n"));
            }
            Event::Warning { diagnostic } => {
                state.write(&format!("WARN {}\n", self.source.summary(diagnostic)));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use wythe_builder::progress::Hit;

    use super::*;

    #[track_caller]
    fn check(events: &[Event<'_>], expected: &str) {
        let plain =
            Plain::new(Vec::new(), Stopwatch::stepping(), Medium::Log, SourceFile::default());
        for event in events {
            plain.event(event);
        }
        let written = plain.state.into_inner().unwrap().out;
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    const STEP: StepId = StepId(2);

    fn started() -> Event<'static> {
        Event::Started { step: STEP, name: "[2/3] RUN make" }
    }

    fn output(bytes: &[u8]) -> Event<'_> {
        Event::Output { step: STEP, stream: Stream::Out, bytes }
    }

    #[test]
    fn a_step_is_named_once_and_its_lines_are_numbered() {
        let done = Event::Finished { step: STEP, elapsed: Duration::from_millis(1250) };
        let text = "#2 [2/3] RUN make\n#2 0.100 cc a.c\n#2 0.200 cc b.c\n#2 DONE 1.2s\n";
        check(&[started(), output(b"cc a.c\ncc "), output(b"b.c\n"), done], text);
    }

    #[test]
    fn an_unfinished_line_is_shown_when_the_step_ends() {
        let failed = Event::Failed { step: STEP, elapsed: Duration::ZERO };
        let text = "#2 [2/3] RUN make\n#2 0.200 no newline\n#2 ERROR after 0.0s\n";
        check(&[started(), output(b"no newline"), failed], text);
    }

    #[test]
    fn steps_are_set_apart() {
        let cached = Event::Cached {
            step: StepId(3),
            name: "[3/3] COPY a b",
            hit: Hit::Content,
            saved: Duration::ZERO,
        };
        check(&[started(), cached], "#2 [2/3] RUN make\n\n#3 [3/3] COPY a b\n#3 CACHED\n");
    }
}
