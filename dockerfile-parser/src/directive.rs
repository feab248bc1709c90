//! Parser directives: the `# name=value` lines at the top.

use crate::ast::{Directives, Escape, Word};
use crate::diagnostic::Diagnostic;
use crate::line::physical;
use crate::parse::DIRECTIVES;
use crate::span::{Span, Spanned};

/// What the top of a file says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Top {
    /// The directives.
    pub(crate) directives: Directives,
    /// What is wrong with them.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads the directives. The first line that is none ends them.
pub(crate) fn read(source: &str) -> Top {
    let mut top = Top::default();
    let mut seen: Vec<String> = Vec::new();
    // Directives stand on the first lines without a gap: the position of one is its line.
    for line in physical(source) {
        let Some((name, value)) = directive(line.text, line.start) else { break };
        if let Some(first) = seen.iter().position(|earlier| *earlier == name) {
            let message = format!(
                "only one {name} parser directive can be used, and line {} has one",
                first + 1
            );
            let error = Diagnostic::error(value.span, message);
            top.diagnostics.push(error.help("remove one of the two lines"));
            break;
        }
        match name.as_str() {
            "syntax" => top.directives.syntax = Some(value),
            "check" => top.directives.check = Some(value),
            _ => match escape(&value) {
                Ok(escape) => top.directives.escape = escape,
                Err(error) => top.diagnostics.push(error),
            },
        }
        seen.push(name);
    }
    top
}

fn escape(value: &Word) -> Result<Escape, Diagnostic> {
    match value.value.as_str() {
        "\\" => Ok(Escape::Backslash),
        "`" => Ok(Escape::Backtick),
        other => {
            let message = format!("invalid escape token '{other}' does not match ` or \\");
            Err(Diagnostic::error(value.span, message).help("write `# escape=\\` or `# escape=``"))
        }
    }
}

/// The name in lower case and the value of a directive line. Inside of it no blanks count but those of ASCII.
fn directive(line: &str, start: usize) -> Option<(String, Word)> {
    let blank = |letter: char| letter.is_ascii_whitespace();
    let line = line.trim_end_matches('\r');
    let body = line.trim_start().strip_prefix('#')?;
    let (name, value) = body.split_once('=')?;
    let name = name.trim_matches(blank).to_ascii_lowercase();
    if !DIRECTIVES.contains(&name.as_str()) {
        return None;
    }
    let at = start + (line.len() - value.trim_start_matches(blank).len());
    let value = value.trim_matches(blank);
    if value.is_empty() {
        return None;
    }
    Some((name, Spanned::new(value.to_owned(), Span::new(at, at + value.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_free_in_case_and_blanks() {
        let top = read("#  ESCAPE = `\n# syntax=docker/dockerfile:1\nFROM a");
        assert_eq!(top.directives.escape, Escape::Backtick);
        assert_eq!(top.directives.syntax.unwrap().value, "docker/dockerfile:1");
    }

    #[test]
    fn anything_else_ends_the_directives() {
        for first in ["", "# a comment", "# unknown=1", "FROM a"] {
            let top = read(&format!("{first}\n# escape=`\n"));
            assert_eq!(top.directives.escape, Escape::Backslash, "{first:?}");
        }
    }

    #[test]
    fn other_blanks_than_those_of_ascii_belong_to_names_and_values() {
        assert_eq!(read("\u{a0}# escape=`\n").directives.escape, Escape::Backtick);
        assert_eq!(read("#\u{2003}escape=`\n"), Top::default());
        let top = read("# escape=\u{a0}`\n");
        assert!(top.diagnostics[0].message.contains("invalid escape token '\u{a0}`'"));
    }

    #[test]
    fn a_second_directive_of_one_name_is_an_error() {
        let top = read("# check=skip=all\n# check=skip=all\n");
        assert!(top.diagnostics[0].message.contains("only one check"));
    }
}
