//! `$N`, `${N}` and the operators.

use super::Cause;
use super::lexer::{Escapes, Lexer};
use super::text::Text;
use super::wildcard::{Anchor, Extent, Wildcard};

/// Deepest nesting of substitutions: each level is a level of recursion.
const MAX_DEPTH: usize = 100;

impl Lexer<'_> {
    /// What stands for a `$` that was just taken, and what belongs to it.
    pub(super) fn dollar(&mut self) -> Result<String, Cause> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name) });
        }
        if self.depth == MAX_DEPTH {
            return Err(Cause::Depth(MAX_DEPTH));
        }
        self.depth += 1;
        let value = self.braces();
        self.depth -= 1;
        value
    }

    fn braces(&mut self) -> Result<String, Cause> {
        match self.rest.peek() {
            None => return Err(Cause::MissingBrace),
            Some('{' | '}' | ':') => return Err(Cause::BadSubstitution),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            Some('}') => Ok(self.value(&name)),
            Some(':') => self.colon(&name),
            Some('/') => self.replace(&name),
            Some(end @ ('#' | '%')) => self.trim(&name, end),
            Some(operator @ ('+' | '-' | '?')) => self.choose(&name, operator, Empty::IsSet),
            None | Some('\n') => Err(Cause::MissingBrace),
            Some(other) => Err(Cause::Modifier(other.to_string())),
        }
    }

    fn colon(&mut self, name: &str) -> Result<String, Cause> {
        match self.rest.next() {
            Some(operator @ ('+' | '-' | '?')) => self.choose(name, operator, Empty::IsUnset),
            Some(other) => {
                self.until('}', Escapes::Drop, &Cause::MissingBrace)?;
                Err(Cause::Modifier(format!(":{other}")))
            }
            None => Err(Cause::MissingBrace),
        }
    }

    fn choose(&mut self, name: &str, operator: char, empty: Empty) -> Result<String, Cause> {
        let word = self.until('}', Escapes::Drop, &Cause::MissingBrace)?;
        let value = self.lookup(name);
        let state = if value.is_none() { "unset" } else { "empty" };
        let value = value.filter(|value| empty == Empty::IsSet || !value.is_empty());
        match (operator, value) {
            ('+', None) => Ok(String::new()),
            ('+', Some(_)) | ('-', None) => Ok(word),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let usual = || format!("is not allowed to be {state}");
                let message = if word.is_empty() { usual() } else { word };
                Err(Cause::Required { name: name.to_owned(), message })
            }
        }
    }

    fn trim(&mut self, name: &str, end: char) -> Result<String, Cause> {
        let word = self.until('}', Escapes::Keep, &Cause::MissingBrace)?;
        let (pattern, extent) = match word.strip_prefix(end) {
            Some(pattern) => (pattern, Extent::Longest),
            None => (word.as_str(), Extent::Shortest),
        };
        let pattern = Wildcard::parse(pattern)?;
        let mut letters: Vec<char> = self.value(name).chars().collect();
        if end == '#' {
            let found = pattern.find(&letters, Anchor::Start, extent);
            return Ok(letters[found.map_or(0, |found| found.end)..].iter().collect());
        }
        letters.reverse();
        let found = pattern.reversed().find(&letters, Anchor::Start, extent);
        Ok(letters[found.map_or(0, |found| found.end)..].iter().rev().collect())
    }

    fn replace(&mut self, name: &str) -> Result<String, Cause> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = self.until('/', Escapes::Keep, &Cause::MissingSlash)?;
        let replacement = self.until('}', Escapes::Keep, &Cause::MissingBrace)?;
        let value = self.value(name);
        let times = if all { usize::MAX } else { 1 };
        replace(&value, &Wildcard::parse(&pattern)?, &replacement, times)
    }

    /// A name: letters, digits and `_`; or only digits; or one special parameter.
    fn name(&mut self) -> String {
        let special = |letter: &char| "@*#?-$!".contains(*letter);
        if let Some(letter) = self.rest.next_if(special) {
            return letter.to_string();
        }
        let numeric = self.rest.peek().is_some_and(|letter| letter.is_numeric());
        let belongs = |letter: &char| {
            letter.is_numeric() || (!numeric && (letter.is_alphabetic() || *letter == '_'))
        };
        std::iter::from_fn(|| self.rest.next_if(belongs)).collect()
    }

    fn value(&mut self, name: &str) -> String {
        self.lookup(name).unwrap_or_default()
    }

    fn lookup(&mut self, name: &str) -> Option<String> {
        let value = self.variables.get(name);
        if value.is_none() && !self.unset.iter().any(|known| known == name) {
            self.unset.push(name.to_owned());
        }
        value
    }
}

fn replace(value: &str, pattern: &Wildcard, with: &str, times: usize) -> Result<String, Cause> {
    let letters: Vec<char> = value.chars().collect();
    let (mut out, mut at) = (Text::default(), 0);
    for _ in 0..times {
        let rest = letters.get(at..).unwrap_or_default();
        let Some(found) = pattern.find(rest, Anchor::Anywhere, Extent::Longest) else { break };
        out.letters(&rest[..found.start])?;
        out.quoted(with)?;
        at += found.end;
        // An empty match must not be found at the same place again.
        if found.is_empty() {
            out.letters(rest.get(found.end..=found.end).unwrap_or_default())?;
            at += 1;
        }
        if at > letters.len() {
            break;
        }
    }
    out.letters(letters.get(at..).unwrap_or_default())?;
    Ok(out.value)
}

/// Whether a variable with an empty value counts as set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Empty {
    IsSet,
    IsUnset,
}
