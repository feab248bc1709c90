//! The signs of a pattern for one name, as Go's `filepath.Match` reads them.

use std::iter::Peekable;
use std::str::Chars;

use super::Malformed;
use super::escape::Escapes;

/// One sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    Star,
    Any,
    Letter(char),
    Class(Class),
}

/// `[a-z]` and `[^a-z]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Class {
    ranges: Vec<(char, char)>,
    wanted: bool,
}

impl Class {
    /// The letters of these ranges.
    pub(super) fn within(ranges: &[(char, char)]) -> Self {
        Self { ranges: ranges.to_vec(), wanted: true }
    }

    /// All letters but those of these ranges.
    pub(super) fn outside(ranges: &[(char, char)]) -> Self {
        Self { ranges: ranges.to_vec(), wanted: false }
    }

    pub(super) fn takes(&self, letter: char) -> bool {
        self.ranges.iter().any(|(low, high)| (low..=high).contains(&&letter)) == self.wanted
    }
}

/// Takes a pattern apart.
pub(super) fn signs(pattern: &str, escapes: Escapes) -> Result<Vec<Sign>, Malformed> {
    let mut rest = pattern.chars().peekable();
    let mut signs = Vec::new();
    while let Some(letter) = rest.next() {
        signs.push(match letter {
            '*' => Sign::Star,
            '?' => Sign::Any,
            '\\' => escapes.read(rest.next().ok_or(Malformed)?)?,
            '[' => Sign::Class(class(&mut rest)?),
            letter => Sign::Letter(letter),
        });
    }
    Ok(signs)
}

fn class(rest: &mut Peekable<Chars<'_>>) -> Result<Class, Malformed> {
    let wanted = rest.next_if_eq(&'^').is_none();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Class { ranges, wanted });
        }
        let low = end(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { end(rest)? } else { low };
        ranges.push((low, high));
    }
}

/// One end of a range: `-` and `]` need a backslash.
fn end(rest: &mut Peekable<Chars<'_>>) -> Result<char, Malformed> {
    match rest.next().ok_or(Malformed)? {
        '\\' => rest.next().ok_or(Malformed),
        '-' | ']' => Err(Malformed),
        letter => Ok(letter),
    }
}
