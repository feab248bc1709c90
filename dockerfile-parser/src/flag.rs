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
        let word = unquoted(rest.as_str());
        let after = rest.from(word.length);
        if word.text == "--" {
            return (Flags { flags }, after);
        }
        flags.push(flag(rest, &word));
        rest = after;
    }
    (Flags { flags }, rest)
}

fn flag(text: Text<'_>, word: &Unquoted) -> Flag {
    let span = text.word(0, word.length).span;
    let body = &word.text[2..];
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let place = text.word(word.value.min(word.length), word.length).span;
    let value = value.map(|value| Spanned::new(value.to_owned(), place));
    Flag { name: name.to_owned(), value, span }
}

/// A word without its quotes.
struct Unquoted {
    text: String,
    /// How many bytes it was written in.
    length: usize,
    /// The byte after the first `=`.
    value: usize,
}

/// The first word of a text.
fn unquoted(text: &str) -> Unquoted {
    let mut word = Unquoted { text: String::new(), length: text.len(), value: usize::MAX };
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, blank) if blank.is_whitespace() => {
                word.length = at;
                return word;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            (_, '\\') => word.text.extend(letters.next().map(|(_, next)| next)),
            (_, other) => {
                if other == '=' {
                    word.value = word.value.min(at + 1);
                }
                word.text.push(other);
            }
        }
    }
    word
}

impl Flags {
    /// Checks that only flags of this list are there, and each at most once unless it is in
    /// `repeatable`.
    pub(crate) fn check(&self, known: &[&str], repeatable: &[&str]) -> Result<(), Diagnostic> {
        for (index, flag) in self.flags.iter().enumerate() {
            if !known.contains(&flag.name.as_str()) {
                let message = format!("unknown flag: --{}", flag.name);
                return Err(unknown(flag, known, Diagnostic::error(flag.span, message)));
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

fn unknown(flag: &Flag, known: &[&str], error: Diagnostic) -> Diagnostic {
    match nearest(&flag.name, known.iter().copied()) {
        Some(near) => error.help(format!("did you mean --{near}?")),
        None if known.is_empty() => error.help("no flags are known here; `--` ends them"),
        None => error.help(format!("known flags are --{}", known.join(", --"))),
    }
}
