//! Patterns on the way down: what each of them makes of a directory goes with those that look into
//! it, so that an entry is judged by its own name and by what its directories were.

use super::automaton::Front;
use super::{Decision, Exclusion, PatternSet, Rule};

/// A directory, and what every pattern of a set made of it.
#[derive(Clone, Debug)]
pub struct Level {
    marks: Vec<Mark>,
    rest: Rest,
}

/// What is left of a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rest {
    /// Itself, and what is in it.
    Kept,
    /// What may be in it, and itself only for that.
    Below,
    Nothing,
}

/// What one pattern made of a directory.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// It matched the directory or one above: it matches everything below.
    Matched,
    /// It did not, and this is how far the path and its `/` came in the pattern, where that helps.
    Open(Option<Front>),
}

impl Level {
    /// Whether the directory itself is left out.
    pub fn is_excluded(&self) -> bool {
        self.rest != Rest::Kept
    }

    /// Whether something in the directory may be kept, though it may be left out itself.
    pub fn may_keep_below(&self) -> bool {
        self.rest != Rest::Nothing
    }
}

impl PatternSet {
    /// The directory that paths begin in. It is never left out.
    pub fn top(&self) -> Level {
        let marks = self.rules.iter().map(|rule| Mark::Open(rule.pattern.start()));
        Level { marks: marks.collect(), rest: Rest::Kept }
    }

    /// What decides about an entry of a directory; `path` is all of its path.
    pub fn decide_in(&self, above: &Level, path: &str) -> Option<Decision<'_>> {
        let index = self.judge(above, path, |_| {})?;
        let Rule { outcome, line, text, .. } = &self.rules[index];
        Some(Decision { index, line: *line, pattern: text, outcome: *outcome })
    }

    /// Whether an entry of a directory is left out; `path` is all of its path.
    pub fn excludes_in(&self, above: &Level, path: &str) -> bool {
        let decision = self.decide_in(above, path);
        decision.is_some_and(|decision| decision.outcome == Exclusion::Excluded)
    }

    /// Goes down into a directory of a directory; `path` is all of its path.
    pub fn enter(&self, above: &Level, path: &str) -> Level {
        let mut marks = Vec::with_capacity(self.rules.len());
        let decider = self.judge(above, path, |matched| {
            let pattern = &self.rules[marks.len()].pattern;
            marks.push(match &above.marks[marks.len()] {
                Mark::Open(front) if !matched => Mark::Open(pattern.descend(front.as_ref(), path)),
                Mark::Open(_) | Mark::Matched => Mark::Matched,
            });
        });
        let rest = match decider {
            Some(index) if self.rules[index].outcome == Exclusion::Excluded => {
                // What decided matches everything below, and only what comes after can change that.
                let reopened = self.is_reopened(&marks, index + 1, path);
                if reopened { Rest::Below } else { Rest::Nothing }
            }
            Some(_) | None => Rest::Kept,
        };
        Level { marks, rest }
    }

    /// Whether an exception from a position on may match something inside of a directory.
    fn is_reopened(&self, marks: &[Mark], from: usize, directory: &str) -> bool {
        self.rules.iter().zip(marks).skip(from).any(|(rule, mark)| match mark {
            Mark::Matched => false,
            Mark::Open(front) => {
                rule.outcome == Exclusion::Kept
                    && rule.pattern.leads_below(front.as_ref(), directory)
            }
        })
    }

    /// The last pattern that matches, and for each whether it does. One that would leave everything
    /// as it is so far is not asked and does not match, unless a directory above was matched.
    fn judge(&self, above: &Level, path: &str, mut note: impl FnMut(bool)) -> Option<usize> {
        let mut outcome = Exclusion::Kept;
        let mut decider = None;
        for (index, (rule, mark)) in self.rules.iter().zip(&above.marks).enumerate() {
            let matched = match mark {
                Mark::Matched => true,
                Mark::Open(front) => {
                    rule.outcome != outcome && rule.pattern.matches(front.as_ref(), path)
                }
            };
            if matched {
                outcome = rule.outcome;
                decider = Some(index);
            }
            note(matched);
        }
        decider
    }
}
