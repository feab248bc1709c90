//! Progress as a log: every line begins with the number of its step, so that nothing a step
//! prints can pass for a message of ours or for a command to a CI system.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wythe_builder::progress::{Event, Progress, StepId, Stream};

use super::folds::Folds;
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
    /// The parts of the log, where a CI system folds them.
    folds: Option<Folds>,
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
        let state = State { out, last: None, running, moving, folds: None };
        Self { stopwatch, medium, source, state: Mutex::new(state) }
    }

    /// The same in parts that a CI system folds.
    pub(super) fn in_folds(mut self, folds: Option<Folds>) -> Self {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.folds = folds;
        self
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
            state.line(step, &format!("{at:.3} {line}"), now);
        }
    }

    fn end(&self, state: &mut State<W>, step: StepId, verdict: &str) {
        let now = self.stopwatch.elapsed();
        if let Some(mut running) = state.running.remove(&step) {
            let mut left = Vec::new();
            for lines in [&mut running.out, &mut running.err] {
                lines.finish(|line| left.push(sanitize::line(line, self.medium)));
            }
            let at = now.saturating_sub(running.since).as_secs_f64();
            for line in left {
                state.line(step, &format!("{at:.3} {line}"), now);
            }
        }
        state.verdict(step, verdict, now);
    }
}

impl<W: Write> State<W> {
    /// Writes a line, after so much time.
    fn line(&mut self, step: StepId, text: &str, now: Duration) {
        let line = format!("#{} {text}", step.0);
        if let Some(folds) = &mut self.folds {
            let text = folds.line(step, &line, now.as_secs());
            return self.write(&text);
        }
        let apart = if self.last.is_some_and(|last| last != step) { "\n" } else { "" };
        self.last = Some(step);
        self.write(&format!("{apart}{line}\n"));
    }

    /// Writes the last line of a step.
    fn verdict(&mut self, step: StepId, text: &str, now: Duration) {
        match &mut self.folds {
            Some(folds) => {
                let text = folds.end(step, &format!("#{} {text}", step.0), now.as_secs());
                self.write(&text);
            }
            None => self.line(step, text, now),
        }
    }

    /// Writes in one piece: standard error keeps nothing back, and others may write to it, too. Where it
    /// is gone there is nobody to tell.
    fn write(&mut self, text: &str) {
        let harmless = self.folds.as_ref().map(|folds| folds.harmless(text));
        let text = harmless.as_deref().unwrap_or(text);
        let _ = self.out.write_all(text.as_bytes());
    }

    /// Writes the first line of a step.
    fn begin(&mut self, step: StepId, name: &str, now: Duration) {
        let name = sanitize::text(name.as_bytes(), Medium::Log);
        match &mut self.folds {
            Some(folds) => {
                let text = folds.begin(step, &name, now.as_secs());
                self.write(&text);
            }
            None => self.line(step, &name, now),
        }
    }

    /// Writes that a step was there already, which is nothing to fold.
    fn cached(&mut self, step: StepId, name: &str, now: Duration) {
        if self.folds.is_some() {
            let name = sanitize::text(name.as_bytes(), Medium::Log);
            return self.verdict(step, &format!("CACHED {name}"), now);
        }
        self.begin(step, name, now);
        self.line(step, "CACHED", now);
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
                state.begin(step, name, since);
            }
            Event::Cached { step, name, .. } => {
                state.cached(step, name, self.stopwatch.elapsed());
            }
            Event::Output { step, stream, bytes } => self.output(state, step, stream, bytes),
            Event::Explained { step, reason } => {
                let reason = sanitize::text(reason.to_string().as_bytes(), Medium::Log);
                state.line(step, &format!("because {reason}"), self.stopwatch.elapsed());
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

    use super::super::ci::CiSystem;
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
            origin: None,
        };
        check(&[started(), cached], "#2 [2/3] RUN make\n\n#3 [3/3] COPY a b\n#3 CACHED\n");
    }
    #[test]
    fn nothing_in_a_folded_log_is_a_command_of_others() {
        let folds = Folds::new(CiSystem::GitHub, 0);
        let source = SourceFile::default();
        let plain = Plain::new(Vec::new(), Stopwatch::stepping(), Medium::Log, source);
        let plain = plain.in_folds(Some(folds));
        plain.event(&Event::CacheFailed { reason: "##[a]" });
        plain.event(&Event::Started { step: STEP, name: "RUN ##[b]" });
        plain.event(&output(b"::c::\nd ##[d]\n"));
        plain.event(&Event::Finished { step: STEP, elapsed: Duration::ZERO });
        let written = String::from_utf8(plain.state.into_inner().unwrap().out).unwrap();
        assert!(written.starts_with("WARN ## [a]\n::group::#2 RUN ## [b]\n#2 "), "{written}");
        assert!(!written.contains("##[") && !written.contains("\n::c"), "{written}");
        assert!(written.ends_with(" d ## [d]\n::endgroup::\n#2 DONE 0.0s\n"), "{written}");
    }
}
