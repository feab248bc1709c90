//! Flags of an instruction: `--name=value` words between the keyword and the arguments.

use crate::ast::{Switch, Word};
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::suggest::nearest;
use crate::words::Text;

/// A flag as written, quotes removed.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    name: String,
    value: Option<Word>,
    span: Span,
}

/// The flags of one instruction, taken out one by one.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    flags: Vec<Flag>,
}

/// Splits the flags off the arguments. A lone `--` ends them and vanishes.
pub(crate) fn split(text: Text<'_>) -> (Flags, Text<'_>) {
    let mut rest = text;
    let mut flags = Vec::new();
    while rest.as_str().starts_with("--") {
        let (word, length) = unquoted(rest.as_str());
        let span = rest.word(0, length).span;
        let after = rest.from(length);
        if word == "--" {
            return (Flags { flags }, after);
        }
        flags.push(flag(&word, span));
        rest = after;
    }
    (Flags { flags }, rest)
}

fn flag(word: &str, span: Span) -> Flag {
    let body = &word[2..];
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let value = value.map(|value| {
        let start = (span.start + 3 + name.len()).min(span.end);
        Spanned::new(value.to_owned(), Span::new(start, span.end))
    });
    Flag { name: name.to_owned(), value, span }
}

/// The first word without its quotes, and how many bytes it was written in.
fn unquoted(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, blank) if blank.is_whitespace() => return (word, at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            (_, '\\') => word.extend(letters.next().map(|(_, next)| next)),
            (_, other) => word.push(other),
        }
    }
    (word, text.len())
}

impl Flags {
    /// Checks that only flags of this list are there, and each at most once unless it is in
    /// `repeatable`.
    pub(crate) fn check(&self, known: &[&str], repeatable: &[&str]) -> Result<(), Diagnostic> {
        for (index, flag) in self.flags.iter().enumerate() {
            if !known.contains(&flag.name.as_str()) {
                let message = format!("unknown flag: --{}", flag.name);
                let near = nearest(&flag.name, known.iter().copied());
                return Err(Diagnostic::error(flag.span, message).suggest(near));
            }
            let again = self.flags[..index].iter().any(|other| other.name == flag.name);
            if again && !repeatable.contains(&flag.name.as_str()) {
                let message = format!("duplicate flag specified: --{}", flag.name);
                return Err(Diagnostic::error(flag.span, message).help("remove one of the two"));
            }
        }
        Ok(())
    }

    /// The value of a flag that may be written once.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<Word>, Diagnostic> {
        Ok(self.values(name)?.pop())
    }

    /// All values of a flag, in order.
    pub(crate) fn values(&mut self, name: &str) -> Result<Vec<Word>, Diagnostic> {
        let mine = self.flags.iter().filter(|flag| flag.name == name);
        let values = mine.map(|flag| {
            flag.value.clone().ok_or_else(|| {
                let message = format!("missing a value on flag: --{name}");
                Diagnostic::error(flag.span, message).help(format!("write --{name}=value"))
            })
        });
        values.collect()
    }

    /// A flag that is on or off.
    pub(crate) fn switch(&mut self, name: &str) -> Result<Switch, Diagnostic> {
        let Some(flag) = self.flags.iter().find(|flag| flag.name == name) else {
            return Ok(Switch::Unset);
        };
        match flag.value.as_ref().map(|word| word.value.to_ascii_lowercase()).as_deref() {
            None | Some("true") => Ok(Switch::On),
            Some("false") => Ok(Switch::Off),
            Some(_) => {
                let message = format!("expecting boolean value for flag --{name}");
                Err(Diagnostic::error(flag.span, message)
                    .help(format!("write --{name}, --{name}=true or --{name}=false")))
            }
        }
    }
}
