//! The lines of steps that run at once, put together so that each step is one part of the log that folds.
//!
//! One step is in front: what it prints is written at once. What others print is kept until it ends, and they follow
//! one after the other.

use std::collections::BTreeMap;

use wythe_builder::progress::StepId;

use super::ci::CiSystem;

/// How much of the steps that wait is kept, in bytes. The longest of them goes in front then: a log that grows
/// is worth more than one in order.
const MOST_KEPT: usize = 8 << 20;

/// Parts of a log for a CI system.
#[derive(Debug)]
pub(super) struct Folds {
    system: CiSystem,
    /// When the log began, in seconds since 1970.
    began: i64,
    front: Option<StepId>,
    waiting: BTreeMap<StepId, Waiting>,
    titles: BTreeMap<StepId, String>,
}

/// What a step has to say that is not in front.
#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    /// How it ended, if it has.
    verdict: Option<String>,
}

impl Folds {
    pub(super) fn new(system: CiSystem, began: i64) -> Self {
        let (waiting, titles) = Default::default();
        Self { system, began, front: None, waiting, titles }
    }

    /// What is written, in which the system that reads it finds no command that is not ours.
    pub(super) fn harmless(&self, text: &str) -> String {
        self.system.harmless(text)
    }

    /// What to write once a step has begun, after so many seconds.
    pub(super) fn begin(&mut self, step: StepId, title: &str, after: u64) -> String {
        self.titles.insert(step, title.to_owned());
        self.waiting.insert(step, Waiting::default());
        if self.front.is_none() { self.turn_to(step, after) } else { String::new() }
    }

    /// What to write once a step has printed a line.
    pub(super) fn line(&mut self, step: StepId, line: &str, after: u64) -> String {
        if self.front == Some(step) {
            return format!("{line}\n");
        }
        let waiting = self.waiting.entry(step).or_default();
        waiting.lines.push_str(line);
        waiting.lines.push('\n');
        let kept: usize = self.waiting.values().map(|waiting| waiting.lines.len()).sum();
        if kept <= MOST_KEPT {
            return String::new();
        }
        let mut out = self.leave(after);
        out.push_str(&self.ended(after));
        let longest = self.waiting.iter().max_by_key(|(_, waiting)| waiting.lines.len());
        let longest = longest.map(|(step, _)| *step);
        out.extend(longest.map(|step| self.turn_to(step, after)));
        out
    }

    /// What to write once a step has ended: how it did stands below its part, and is seen where that is folded.
    pub(super) fn end(&mut self, step: StepId, verdict: &str, after: u64) -> String {
        if self.front != Some(step) {
            self.waiting.entry(step).or_default().verdict = Some(format!("{verdict}\n"));
            return if self.front.is_none() { self.follow(after) } else { String::new() };
        }
        self.waiting.remove(&step);
        format!("{}{verdict}\n{}", self.leave(after), self.follow(after))
    }

    /// Those that have ended meanwhile, and one that still runs.
    fn follow(&mut self, after: u64) -> String {
        let mut out = self.ended(after);
        if let Some(step) = self.waiting.keys().next().copied() {
            out.push_str(&self.turn_to(step, after));
        }
        out
    }

    /// Those that have ended meanwhile. None of them may come to the front, where nothing would end it again.
    fn ended(&mut self, after: u64) -> String {
        let mut out = String::new();
        let ended = self.waiting.iter().filter(|(_, waiting)| waiting.verdict.is_some());
        for step in ended.map(|(step, _)| *step).collect::<Vec<_>>() {
            let waiting = self.waiting.remove(&step).unwrap_or_default();
            if !waiting.lines.is_empty() {
                out.push_str(&self.open(step, after));
                out.push_str(&waiting.lines);
                out.push_str(&self.system.close(&self.id(step), self.now(after)));
            }
            out.push_str(&waiting.verdict.unwrap_or_default());
        }
        out
    }

    fn turn_to(&mut self, step: StepId, after: u64) -> String {
        self.front = Some(step);
        let waiting = self.waiting.entry(step).or_default();
        let lines = std::mem::take(&mut waiting.lines);
        format!("{}{lines}", self.open(step, after))
    }

    fn leave(&mut self, after: u64) -> String {
        let front = self.front.take();
        front.map(|step| self.system.close(&self.id(step), self.now(after))).unwrap_or_default()
    }

    fn open(&self, step: StepId, after: u64) -> String {
        let title = self.titles.get(&step).cloned().unwrap_or_default();
        let title = format!("#{} {title}", step.0);
        self.system.open(&title, &self.id(step), self.now(after))
    }

    fn id(&self, step: StepId) -> String {
        format!("wythe_{}_{}", self.began, step.0)
    }

    fn now(&self, after: u64) -> i64 {
        self.began.saturating_add_unsigned(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_run_at_once_follow_one_after_the_other() {
        let (one, two) = (StepId(1), StepId(2));
        let mut folds = Folds::new(CiSystem::GitHub, 0);
        let mut log = folds.begin(one, "RUN a", 0);
        log += &folds.begin(two, "RUN b", 0);
        log += &folds.line(one, "#1 a1", 0);
        log += &folds.line(two, "#2 b1", 0);
        log += &folds.line(one, "#1 a2", 0);
        log += &folds.end(one, "#1 DONE", 1);
        log += &folds.line(two, "#2 b2", 0);
        log += &folds.end(two, "#2 DONE", 1);
        let expected = "::group::#1 RUN a\n#1 a1\n#1 a2\n::endgroup::\n#1 DONE\n\
            ::group::#2 RUN b\n#2 b1\n#2 b2\n::endgroup::\n#2 DONE\n";
        assert_eq!(log, expected);
    }

    #[test]
    fn what_has_ended_goes_before_what_runs() {
        let (one, two, three) = (StepId(1), StepId(2), StepId(3));
        let mut folds = Folds::new(CiSystem::GitLab, 100);
        let mut log = folds.begin(one, "a", 0);
        log += &folds.begin(two, "b", 0);
        log += &folds.begin(three, "c", 0);
        log += &folds.line(three, "#3 c1", 1);
        log += &folds.end(three, "#3 DONE", 2);
        log += &folds.end(one, "#1 DONE", 5);
        let start = |id, at, title: &str| {
            format!(
                "\x1b[0Ksection_start:{at}:wythe_100_{id}[collapsed=true]\r\x1b[0K#{id} {title}\n"
            )
        };
        let end = |id, at| format!("\x1b[0Ksection_end:{at}:wythe_100_{id}\r\x1b[0K\n");
        let parts = [
            start(1, 100, "a"),
            end(1, 105),
            "#1 DONE\n".to_owned(),
            start(3, 105, "c"),
            "#3 c1\n".to_owned(),
            end(3, 105),
            "#3 DONE\n".to_owned(),
            start(2, 105, "b"),
        ];
        assert_eq!(log, parts.concat());
    }

    #[test]
    fn a_step_that_prints_much_comes_to_the_front() {
        let (one, two) = (StepId(1), StepId(2));
        let mut folds = Folds::new(CiSystem::GitHub, 0);
        folds.begin(one, "a", 0);
        folds.begin(two, "b", 0);
        let long = "x".repeat(MOST_KEPT);
        let out = folds.line(two, &long, 0);
        assert!(out.starts_with("::endgroup::\n::group::#2 b\nxxx"), "{}", &out[..60]);
        assert_eq!(folds.line(two, "now", 0), "now\n");
        assert_eq!(folds.line(one, "later", 0), "");
    }

    #[test]
    fn a_step_that_has_ended_is_told_before_one_that_prints_much_comes_to_the_front() {
        let (one, two, three) = (StepId(1), StepId(2), StepId(3));
        let mut folds = Folds::new(CiSystem::GitHub, 0);
        for (step, title) in [(one, "a"), (two, "b"), (three, "c")] {
            folds.begin(step, title, 0);
        }
        folds.line(two, &"x".repeat(MOST_KEPT - 10), 0);
        folds.end(two, "#2 DONE", 1);
        let out = folds.line(three, "#3 much, at last", 2);
        assert!(
            out.ends_with("\n::endgroup::\n#2 DONE\n::group::#3 c\n#3 much, at last\n"),
            "{out:.80}"
        );
        assert_eq!(folds.end(three, "#3 DONE", 3), "::endgroup::\n#3 DONE\n::group::#1 a\n");
    }
}
