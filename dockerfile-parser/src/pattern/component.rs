//! Patterns for one name: `*`, `?`, `[…]` and `\x`, as Go's `filepath.Match` reads them.

use super::Malformed;
use super::automaton::{Automaton, Token};
use super::escape::Escapes;
use super::syntax::{Sign, signs};

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
        let tokens = signs(pattern, Escapes::Plain)?.into_iter().map(|sign| match sign {
            Sign::Star => Token::Star,
            Sign::Any => Token::Any,
            Sign::Letter(letter) => Token::Letter(letter),
            Sign::Class(class) => Token::Class(class),
        });
        Ok(Self { automaton: Automaton::new(tokens.collect()) })
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
