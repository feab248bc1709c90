//! What a backslash means in patterns for paths, and what the names of classes stand for.
//!
//! Such patterns are turned into regular expressions of Go's, backslashes as they are, so that before
//! a letter or a digit a backslash makes a sign of those: `\t` is a tab.

use super::Malformed;
use super::automaton::Token;
use super::syntax::{Class, Range};

/// What a letter behind a backslash means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Escape {
    Letter(char),
    /// One of these letters.
    Letters(Vec<Range>),
    /// Anchors, quotes, numbers and properties: nobody means them in a pattern for files, and what
    /// such a pattern would match is no file's name.
    Never,
}

impl Escape {
    /// What `letter` means outside of a class.
    pub(super) fn read(letter: char) -> Result<Self, Malformed> {
        match letter {
            'A' | 'b' | 'B' | 'z' | 'Q' => Ok(Self::Never),
            letter => Self::in_class(letter),
        }
    }

    /// What `letter` means in a class.
    pub(super) fn in_class(letter: char) -> Result<Self, Malformed> {
        Ok(match letter {
            'a' => Self::Letter('\x07'),
            'f' => Self::Letter('\x0c'),
            'n' => Self::Letter('\n'),
            'r' => Self::Letter('\r'),
            't' => Self::Letter('\t'),
            'v' => Self::Letter('\x0b'),
            'd' => Self::Letters(DIGITS.to_vec()),
            'D' => Self::Letters(all_but(DIGITS)),
            's' => Self::Letters(BLANKS.to_vec()),
            'S' => Self::Letters(all_but(BLANKS)),
            'w' => Self::Letters(WORDS.to_vec()),
            'W' => Self::Letters(all_but(WORDS)),
            'p' | 'P' | 'x' | '0'..='7' => Self::Never,
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Self::Letter(letter),
            _ => return Err(Malformed),
        })
    }

    pub(super) fn token(self) -> Token {
        match self {
            Self::Letter(letter) => Token::Letter(letter),
            Self::Letters(letters) => Token::Class(Class::within(&letters)),
            Self::Never => Token::Class(Class::within(&[])),
        }
    }
}

/// The letters of `[:name:]`.
pub(super) fn posix(name: &str) -> Result<Vec<Range>, Malformed> {
    if let Some(name) = name.strip_prefix('^') {
        return Ok(all_but(&posix(name)?));
    }
    let ranges: &[Range] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => DIGITS,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORDS,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return Err(Malformed),
    };
    Ok(ranges.to_vec())
}

/// The letters in none of these ranges, which are in order and apart.
fn all_but(ranges: &[Range]) -> Vec<Range> {
    let mut left = Vec::new();
    let mut from = '\0';
    for &(low, high) in ranges {
        left.extend(before(low).filter(|to| from <= *to).map(|to| (from, to)));
        let Some(after) = (high..=char::MAX).nth(1) else { return left };
        from = after;
    }
    left.push((from, char::MAX));
    left
}

/// The letter before one.
fn before(letter: char) -> Option<char> {
    ('\0'..letter).next_back()
}

const DIGITS: &[Range] = &[('0', '9')];
const BLANKS: &[Range] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORDS: &[Range] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
