//! The signs of a pattern for one name, as Go's `filepath.Match` reads them.

use std::iter::Peekable;
use std::str::Chars;

use super::Malformed;
use super::automaton::Token;

/// Letters from one to another, both among them; none where the second comes before the first.
pub(super) type Range = (char, char);

/// `[a-z]` and `[^a-z]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Class {
    ranges: Vec<Range>,
    wanted: bool,
}

impl Class {
    /// The letters of these ranges.
    pub(super) fn within(ranges: &[Range]) -> Self {
        Self { ranges: ranges.to_vec(), wanted: true }
    }

    /// All letters but those of these ranges.
    pub(super) fn outside(ranges: &[Range]) -> Self {
        Self { ranges: ranges.to_vec(), wanted: false }
    }

    pub(super) fn takes(&self, letter: char) -> bool {
        self.ranges.iter().any(|(low, high)| (low..=high).contains(&&letter)) == self.wanted
    }
}

/// Takes a pattern apart.
pub(super) fn tokens(pattern: &str) -> Result<Vec<Token>, Malformed> {
    let mut rest = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(letter) = rest.next() {
        tokens.push(match letter {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Letter(rest.next().ok_or(Malformed)?),
            '[' => Token::Class(class(&mut rest)?),
            letter => Token::Letter(letter),
        });
    }
    Ok(tokens)
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
