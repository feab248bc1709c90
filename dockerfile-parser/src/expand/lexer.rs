//! Reads a word from left to right.

use std::iter::Peekable;
use std::str::Chars;

use super::text::Text;
use super::{Cause, ExpandError, Variables};
use crate::ast::Escape;

/// Whether quotes group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Quotes {
    Group,
    Ordinary,
}

/// Whether escape characters are dropped, or kept for somebody who reads the text after this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Escapes {
    Drop,
    Keep,
}

/// A word on its way to text.
pub(super) struct Lexer<'a> {
    word: &'a str,
    pub(super) rest: Peekable<Chars<'a>>,
    escape: char,
    quotes: Quotes,
    pub(super) variables: &'a dyn Variables,
    pub(super) unset: Vec<String>,
    pub(super) depth: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        word: &'a str,
        escape: Escape,
        quotes: Quotes,
        variables: &'a dyn Variables,
    ) -> Self {
        let (rest, escape) = (word.chars().peekable(), escape.char());
        Self { word, rest, escape, quotes, variables, unset: Vec::new(), depth: 0 }
    }

    /// Reads the whole word: its text, and the names that were not set.
    pub(super) fn run(mut self) -> Result<(Text, Vec<String>), ExpandError> {
        let mut text = Text::default();
        while let Some(letter) = self.rest.next() {
            if let Err(cause) = self.letter(letter, Escapes::Drop, &mut text) {
                return Err(ExpandError { word: self.word.to_owned(), cause });
            }
        }
        Ok((text, self.unset))
    }

    /// Reads up to `stop` and takes it; `missing` is the error where there is none.
    pub(super) fn until(
        &mut self,
        stop: char,
        escapes: Escapes,
        missing: &Cause,
    ) -> Result<String, Cause> {
        let mut text = Text::default();
        while let Some(letter) = self.rest.next() {
            if letter == stop {
                return Ok(text.value);
            }
            if let Err(cause) = self.letter(letter, escapes, &mut text) {
                // What runs into the end of the word lacks this stop before anything else.
                return Err(if self.rest.peek().is_some() { cause } else { missing.clone() });
            }
        }
        Err(missing.clone())
    }

    fn letter(&mut self, letter: char, escapes: Escapes, out: &mut Text) -> Result<(), Cause> {
        match letter {
            '$' => {
                let value = self.dollar()?;
                out.bare(&value)
            }
            '\'' if self.quotes == Quotes::Group => self.single(out),
            '"' if self.quotes == Quotes::Group => self.double(escapes, out),
            letter if letter == self.escape => {
                if escapes == Escapes::Keep {
                    out.letter(letter)?;
                }
                self.rest.next().map_or(Ok(()), |escaped| out.letter(escaped))
            }
            letter => out.bare(letter.encode_utf8(&mut [0; 4])),
        }
    }

    fn single(&mut self, out: &mut Text) -> Result<(), Cause> {
        for letter in self.rest.by_ref() {
            if letter == '\'' {
                return Ok(());
            }
            out.letter(letter)?;
        }
        Err(Cause::Unclosed("single-quote"))
    }

    fn double(&mut self, escapes: Escapes, out: &mut Text) -> Result<(), Cause> {
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => return Ok(()),
                '$' => {
                    let value = self.dollar()?;
                    out.quoted(&value)?;
                }
                letter if letter == self.escape => self.escaped_in_quotes(escapes, out)?,
                letter => out.letter(letter)?,
            }
        }
        Err(Cause::Unclosed("double-quote"))
    }

    /// In double quotes the escape stands for itself before a letter that needs none.
    fn escaped_in_quotes(&mut self, escapes: Escapes, out: &mut Text) -> Result<(), Cause> {
        let own = self.escape;
        let special = |letter: &char| matches!(letter, '"' | '$') || *letter == own;
        let taken = self.rest.next_if(special);
        if escapes == Escapes::Keep {
            out.letter(own)?;
        }
        out.letter(taken.unwrap_or(own))
    }
}
