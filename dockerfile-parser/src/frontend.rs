//! Files for other frontends of `BuildKit`. None is ever run, so that an error says which one a file
//! is for: its own text would only be a list of unknown instructions.

use crate::ast::Word;
use crate::diagnostic::Diagnostic;
use crate::line::physical;
use crate::span::{Span, Spanned};

/// An error for a text that is no Dockerfile and names its frontend, as `// syntax=NAME` at the top or
/// as `"syntax"` of a JSON object.
pub(crate) fn foreign(source: &str) -> Option<Diagnostic> {
    let named = slashes(source).or_else(|| json(source))?;
    let message = format!("no Dockerfile, but a file for the frontend {}", named.value);
    Some(Diagnostic::error(named.span, message).help(HELP))
}

/// An error for a file with instructions that nobody knows, where it names a frontend of another
/// language.
pub(crate) fn other_language(syntax: &Word) -> Option<Diagnostic> {
    let image = syntax.value.rsplit('/').next().unwrap_or_default();
    if image.contains("dockerfile") {
        return None;
    }
    let message = format!("the frontend {} is named, and never run", syntax.value);
    Some(Diagnostic::error(syntax.span, message).help(HELP))
}

const HELP: &str = "only Dockerfiles are built: others need a builder that runs their frontend";

/// The value of `syntax` among the lines `// name=value` that a text begins with.
fn slashes(source: &str) -> Option<Word> {
    let mut lines = physical(source).into_iter().peekable();
    lines.next_if(|line| line.text.starts_with("#!"));
    for line in lines {
        let (name, value) = line.text.trim_start().strip_prefix("//")?.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("syntax") {
            let at = line.start + line.text.len() - value.trim_start().len();
            return word(value.trim(), at);
        }
    }
    None
}

/// The string that a JSON object has as `syntax`. What else is wrong with it does not matter.
fn json(source: &str) -> Option<Word> {
    let mut rest = source.trim_start().strip_prefix('{')?;
    let mut depth = 1;
    let mut key = None;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        rest = after;
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '"' => {
                let end = end_of_string(after)?;
                let text = &after[..end];
                if key == Some("syntax") {
                    return word(text, source.len() - after.len());
                }
                rest = &after[end + 1..];
                let names = depth == 1 && rest.trim_start().starts_with(':');
                key = names.then_some(text);
                continue;
            }
            ':' => continue,
            blank if blank.is_whitespace() => continue,
            _ => {}
        }
        key = None;
    }
    None
}

/// Where the quote is that ends a string.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn word(value: &str, at: usize) -> Option<Word> {
    (!value.is_empty()).then(|| Spanned::new(value.to_owned(), Span::new(at, at + value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: Option<&str>) {
        let found = foreign(source);
        let named = found.as_ref().map(|error| &source[error.span.start..error.span.end]);
        assert_eq!(named, expected, "{source:?}");
        assert!(found.is_none_or(|error| error.message.ends_with(expected.unwrap_or("?"))));
    }

    #[test]
    fn a_frontend_is_named_in_slashes_or_json() {
        check("// syntax=docker.io/foo/bar:1\nfoo\n", Some("docker.io/foo/bar:1"));
        check("#!/bin/x\n//check=skip=all\r\n//SYNTAX = a/b \r\nx", Some("a/b"));
        check("{\"syntax\":\"foo/baz:2\",\"steps\":[]}", Some("foo/baz:2"));
        check(" {\n \"a\\\"\": {\"syntax\": \"no\"},\n \"syntax\" : \"a/b\"\n", Some("a/b"));
    }

    #[test]
    fn nothing_else_names_one() {
        for source in [
            "FROM a\n// syntax=b\n",
            "# syntax=a/b\nFROM a\n",
            "// comment\n// syntax=b\n",
            "//syntax=\n",
            "{\"a\":\"syntax\",\"b\":\"c\"}",
            "{\"syntax\":[\"a\"]}",
            "{\"syntax",
            "[\"syntax\"]",
        ] {
            check(source, None);
        }
    }

    #[test]
    fn mirrors_of_the_language_itself_are_no_other() {
        let other =
            |name: &str| other_language(&Spanned::new(name.to_owned(), Span::default())).is_some();
        assert!(other("ghcr.io/x/buildpack:1") && other("foo"));
        assert!(!other("docker/dockerfile:1") && !other("h/mirror/dockerfile-upstream@sha256:a"));
    }
}
