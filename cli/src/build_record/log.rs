//! What the steps of a build wrote, as far as it is kept: of each step the end.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// The most that is kept of what one step wrote, in bytes: twenty thousand lines, of which the last say why it
/// failed.
const MOST_OF_STEP: usize = 1 << 20;

/// The most that is kept of a build, in bytes: what a record may take of memory while it is made.
const MOST_OF_BUILD: usize = 16 << 20;

/// What a line costs beside its letters.
const LINE: usize = 32;

/// The logs of the steps, by number.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct BuildLog {
    pub(crate) steps: BTreeMap<usize, StepLog>,
    #[serde(skip)]
    size: usize,
}

/// What a step wrote.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct StepLog {
    /// How many lines stood before those that are kept.
    pub(crate) left_out: u64,
    pub(crate) lines: VecDeque<LogLine>,
    #[serde(skip)]
    size: usize,
}

/// A line: when it was written, in microseconds since the build began, on which stream (1 standard output,
/// 2 standard error), and what it says.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct LogLine(pub(crate) u64, pub(crate) u8, pub(crate) String);

impl BuildLog {
    /// Adds a line of a step, and forgets what is too much.
    pub(crate) fn push(&mut self, step: usize, line: LogLine) {
        let log = self.steps.entry(step).or_default();
        let size = cost(&line);
        log.size += size;
        self.size += size;
        log.lines.push_back(line);
        while log.size > MOST_OF_STEP {
            self.size -= log.forget();
        }
        while self.size > MOST_OF_BUILD {
            let longest = self.steps.values_mut().max_by_key(|log| log.size);
            self.size -= longest.map_or(self.size, StepLog::forget);
        }
    }
}

impl StepLog {
    /// Drops the first line; returns what that cost.
    fn forget(&mut self) -> usize {
        let Some(line) = self.lines.pop_front() else { return 0 };
        self.left_out += 1;
        let size = cost(&line);
        self.size -= size;
        size
    }
}

fn cost(line: &LogLine) -> usize {
    line.2.len() + LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, length: usize) -> LogLine {
        LogLine(at, 1, "x".repeat(length))
    }

    #[test]
    fn of_a_step_that_writes_much_the_end_is_kept() {
        let mut log = BuildLog::default();
        (0..40).for_each(|at| log.push(1, line(at, 60_000)));
        let kept = &log.steps[&1];
        assert_eq!(kept.left_out + kept.lines.len() as u64, 40);
        assert_eq!(kept.lines.back(), Some(&line(39, 60_000)));
        assert!(kept.size <= MOST_OF_STEP && log.size == kept.size);
    }

    #[test]
    fn of_many_steps_that_write_much_all_keep_their_ends() {
        let mut log = BuildLog::default();
        for step in 0..32 {
            (0..20).for_each(|at| log.push(step, line(at, 60_000)));
        }
        assert!(log.size <= MOST_OF_BUILD);
        assert!(log.steps.values().all(|log| log.lines.back().is_some_and(|last| last.0 == 19)));
    }
}
