//! Patterns for paths, as they are matched everywhere else: as regular expressions of Go's.
//!
//! They are made sign by sign, inside of classes, too, where a `*` becomes something else than anybody
//! means: `[*]` is `[[^/]*]`. What is a class then is one of regular expressions, with `[:alpha:]` and
//! `\d`, and without ranges that end before they begin.

use super::Malformed;
use super::automaton::Token;
use super::escape::{Escape, posix};
use super::syntax::{Class, Range};

/// The tokens of a clean pattern.
pub(super) fn tokens(pattern: &str) -> Result<Vec<Token>, Malformed> {
    let text = expression(pattern);
    let mut reader = Reader { rest: &text };
    let mut tokens = Vec::new();
    while !reader.rest.is_empty() {
        if reader.eat(DIRECTORIES) {
            tokens.extend([Token::Maybe, Token::Directories]);
        } else if !tokens.is_empty() || !reader.eat("^") {
            // A `^` at the beginning says only that this is it.
            tokens.push(reader.token()?);
        }
    }
    Ok(tokens)
}

/// `**`, and `/` behind it
const DIRECTORIES: &str = "(.*/)?";
/// `**` at the end
const REST: &str = ".*";
/// `*`
const STAR: &str = "[^/]*";
/// `?`
const ANY: &str = "[^/]";

/// The expression without its `^` and `$`.
fn expression(pattern: &str) -> String {
    let mut text = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                text.push_str(if rest.peek().is_none() { REST } else { DIRECTORIES });
            }
            '*' => text.push_str(STAR),
            '?' => text.push_str(ANY),
            '\\' => text.extend([Some(letter), rest.next()].into_iter().flatten()),
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => text.extend(['\\', letter]),
            letter => text.push(letter),
        }
    }
    text
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn next(&mut self) -> Result<char, Malformed> {
        let mut letters = self.rest.chars();
        let letter = letters.next().ok_or(Malformed)?;
        self.rest = letters.as_str();
        Ok(letter)
    }

    fn token(&mut self) -> Result<Token, Malformed> {
        for (text, token) in [(REST, Token::Rest), (STAR, Token::Star), (ANY, Token::Any)] {
            if self.eat(text) {
                return Ok(token);
            }
        }
        Ok(match self.next()? {
            // The beginning, which is not here.
            '^' => Token::Class(Class::within(&[])),
            '\\' => Escape::read(self.next()?)?.token(),
            '[' => {
                let class = self.class()?;
                if self.eat("*") { Token::Run(class) } else { Token::Class(class) }
            }
            letter => Token::Letter(letter),
        })
    }

    fn class(&mut self) -> Result<Class, Malformed> {
        let outside = self.eat("^");
        let mut ranges = Vec::new();
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            self.range(&mut ranges)?;
        }
        Ok(if outside { Class::outside(&ranges) } else { Class::within(&ranges) })
    }

    /// What stands next in a class.
    fn range(&mut self, ranges: &mut Vec<Range>) -> Result<(), Malformed> {
        if let Some((name, after)) =
            self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]"))
        {
            ranges.extend(posix(name)?);
            self.rest = after;
            return Ok(());
        }
        let low = match self.end()? {
            Escape::Letter(letter) => letter,
            Escape::Letters(letters) => {
                ranges.extend(letters);
                return Ok(());
            }
            Escape::Never => return Ok(()),
        };
        let goes_on = self.rest.starts_with('-') && !self.rest.starts_with("-]");
        if !goes_on || !self.eat("-") {
            ranges.push((low, low));
            return Ok(());
        }
        match self.end()? {
            Escape::Letter(high) if low <= high => ranges.push((low, high)),
            Escape::Letter(_) | Escape::Letters(_) | Escape::Never => return Err(Malformed),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Escape, Malformed> {
        match self.next()? {
            '\\' => Escape::in_class(self.next()?),
            letter => Ok(Escape::Letter(letter)),
        }
    }
}
