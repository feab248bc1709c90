//! Patterns for one name: `*`, `?`, `[…]` and `\x`, as Go's `filepath.Match` reads them.

use super::Malformed;
use super::automaton::Automaton;
use super::regular;
use super::syntax::tokens;

/// A pattern for one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob {
    automaton: Automaton,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When a class is not closed or empty, a range lacks an end, or a backslash comes last.
    pub fn parse(pattern: &str) -> Result<Self, Malformed> {
        Ok(Self { automaton: Automaton::new(tokens(pattern)?) })
    }

    /// Reads one name of a pattern for paths, which are regular expressions everywhere else.
    ///
    /// # Errors
    /// As [`Glob::parse`], and when a range ends before it begins or a class or an escape is unknown.
    pub fn in_path(pattern: &str) -> Result<Self, Malformed> {
        Ok(Self { automaton: Automaton::new(regular::tokens(pattern)?) })
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        let mut front = self.automaton.start();
        for letter in name.chars() {
            front = self.automaton.step(&front, letter);
            if front.is_empty() {
                return false;
            }
        }
        self.automaton.accepts(&front)
    }
}
