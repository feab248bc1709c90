//! The comma-separated fields of `--mount`, before anything is expanded.

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest::nearest;

/// What a field sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Env,
    From,
    Gid,
    Id,
    Mode,
    Readonly,
    Readwrite,
    Required,
    Sharing,
    Size,
    Source,
    Target,
    Type,
    Uid,
}

const KEYS: [(&str, Key); 19] = [
    ("type", Key::Type),
    ("target", Key::Target),
    ("source", Key::Source),
    ("from", Key::From),
    ("id", Key::Id),
    ("readonly", Key::Readonly),
    ("readwrite", Key::Readwrite),
    ("required", Key::Required),
    ("sharing", Key::Sharing),
    ("size", Key::Size),
    ("mode", Key::Mode),
    ("uid", Key::Uid),
    ("gid", Key::Gid),
    ("env", Key::Env),
    ("dst", Key::Target),
    ("destination", Key::Target),
    ("src", Key::Source),
    ("ro", Key::Readonly),
    ("rw", Key::Readwrite),
];

impl Key {
    /// Whether the key may stand without a value.
    fn may_be_bare(self) -> bool {
        matches!(self, Self::Readonly | Self::Readwrite | Self::Required)
    }
}

/// One field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Field {
    pub(super) key: Key,
    /// The key as spelled.
    pub(super) name: String,
    /// Unexpanded; absent for a bare key.
    pub(super) value: Option<String>,
    pub(super) span: Span,
}

/// Reads the fields of a `--mount`.
pub(super) fn read(raw: &Word) -> Result<Vec<Field>, Diagnostic> {
    let pieces = split(&raw.value).ok_or_else(|| {
        Diagnostic::error(raw.span, format!("unbalanced quotes in --mount={}", raw.value))
            .help("close the double quotes; write two of them for one inside")
    })?;
    pieces.into_iter().map(|piece| field(&piece.text, piece.place(raw))).collect()
}

fn field(text: &str, span: Span) -> Result<Field, Diagnostic> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let lower = name.to_ascii_lowercase();
    let key = KEYS.iter().find(|(known, _)| *known == lower).map(|(_, key)| *key);
    match key {
        Some(Key::From) if has_variable(value.as_deref()) => Err(variable(text, span)),
        Some(key) if value.is_some() || key.may_be_bare() => {
            Ok(Field { key, name: lower, value, span })
        }
        None if value.is_some() => {
            let error = Diagnostic::error(span, format!("unexpected key '{name}' in '{text}'"));
            let known = KEYS.map(|(known, _)| known);
            Err(match nearest(name, known) {
                Some(known) => error.help(format!("did you mean {known}?")),
                None => error.help(format!("known keys are {}", known.join(", "))),
            })
        }
        _ => Err(bare(text, span)),
    }
}

/// The dependencies of a step must be known before any variable is.
fn variable(text: &str, span: Span) -> Diagnostic {
    let message = format!("'{text}': variable expansion is not supported for from of --mount");
    Diagnostic::error(span, message)
        .help("add a stage `FROM ${name} AS source` with a global ARG, and use from=source")
}

fn bare(text: &str, span: Span) -> Diagnostic {
    let message = format!("invalid field '{text}' must be a key=value pair");
    let help = if text.is_empty() {
        "write the fields without blanks between them, or put the whole value in double quotes"
    } else {
        "only ro, rw and required may stand without a value"
    };
    Diagnostic::error(span, message).help(help)
}

fn has_variable(value: Option<&str>) -> bool {
    value.and_then(|value| value.split_once('$')).is_some_and(|(_, after)| !after.is_empty())
}

/// A field's text and its bytes in the value.
struct Piece {
    text: String,
    from: usize,
    to: usize,
}

impl Piece {
    /// The place of the field, or of the whole value where quotes hide it.
    fn place(&self, raw: &Word) -> Span {
        if raw.span.end - raw.span.start != raw.value.len() || self.from == self.to {
            return raw.span;
        }
        Span::new(raw.span.start + self.from, raw.span.start + self.to)
    }
}

/// Splits a line of comma-separated values; `None` where its quotes do not match.
fn split(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    loop {
        let (value, to) = value(text, from)?;
        pieces.push(Piece { text: value, from, to });
        match text.as_bytes().get(to) {
            None => return Some(pieces),
            Some(b',') => from = to + 1,
            Some(_) => return None,
        }
    }
}

/// The value that starts at `from`, and where it ends.
fn value(text: &str, from: usize) -> Option<(String, usize)> {
    let rest = &text[from..];
    let Some(mut inner) = rest.strip_prefix('"') else {
        let end = rest.find(',').unwrap_or(rest.len());
        return (!rest[..end].contains('"')).then(|| (rest[..end].to_owned(), from + end));
    };
    let mut value = String::new();
    loop {
        let (before, after) = inner.split_once('"')?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                inner = more;
            }
            None => return Some((value, text.len() - after.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Spanned;

    fn word(value: &str) -> Word {
        Spanned::new(value.to_owned(), Span::new(10, 10 + value.len()))
    }

    #[track_caller]
    fn refused(value: &str, expected: &str, at: Span) {
        let error = read(&word(value)).unwrap_err();
        assert!(error.message.contains(expected), "{value}: {}", error.message);
        assert_eq!(error.span, at, "{value}");
    }

    #[test]
    fn quotes_protect_commas_and_themselves() {
        let fields = read(&word(r#"type=tmpfs,"target=/a,""b""",ro"#)).unwrap();
        assert_eq!(fields[1].value.as_deref(), Some("/a,\"b\""));
        assert_eq!((fields[2].key, &fields[2].value), (Key::Readonly, &None));
    }

    #[test]
    fn a_trailing_comma_leaves_an_empty_field() {
        refused("type=cache,", "invalid field '' must be a key=value pair", Span::new(10, 21));
    }

    #[test]
    fn the_wrong_field_is_pointed_at() {
        refused("type=bind,tagret=/x", "unexpected key 'tagret'", Span::new(20, 29));
        refused("target", "invalid field 'target'", Span::new(10, 16));
        refused("from=$x,target=/m", "variable expansion is not supported", Span::new(10, 17));
        refused("\"type=bind", "unbalanced quotes", Span::new(10, 20));
    }
}
