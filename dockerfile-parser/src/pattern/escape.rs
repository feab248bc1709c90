//! What a backslash means in patterns for paths.
//!
//! Everywhere else such patterns are turned into regular expressions of Go's, backslashes as they
//! are, so that before a letter or a digit a backslash makes a sign of those: `\t` is a tab.

use super::Malformed;
use super::syntax::{Class, Sign};

/// How letters behind a backslash are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Escapes {
    /// As themselves.
    Plain,
    /// As in regular expressions.
    Regular,
}

impl Escapes {
    /// What `letter` means behind a backslash.
    pub(super) fn read(self, letter: char) -> Result<Sign, Malformed> {
        let itself = letter.is_ascii() && !letter.is_ascii_alphanumeric();
        if self == Self::Plain || itself {
            return Ok(Sign::Letter(letter));
        }
        Ok(match letter {
            'a' => Sign::Letter('\x07'),
            'f' => Sign::Letter('\x0c'),
            'n' => Sign::Letter('\n'),
            'r' => Sign::Letter('\r'),
            't' => Sign::Letter('\t'),
            'v' => Sign::Letter('\x0b'),
            'd' => Sign::Class(Class::within(DIGITS)),
            'D' => Sign::Class(Class::outside(DIGITS)),
            's' => Sign::Class(Class::within(BLANKS)),
            'S' => Sign::Class(Class::outside(BLANKS)),
            'w' => Sign::Class(Class::within(WORDS)),
            'W' => Sign::Class(Class::outside(WORDS)),
            // Anchors, quotes, numbers and properties: nobody means them in a pattern for files,
            // and what such a pattern would match is no file's name.
            'A' | 'b' | 'B' | 'z' | 'Q' | 'p' | 'P' | 'x' | '0'..='7' => {
                Sign::Class(Class::within(&[]))
            }
            _ => return Err(Malformed),
        })
    }
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const BLANKS: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORDS: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
