//! A Dockerfile as something to point at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wythe_dockerfile::diagnostic::{self, Diagnostic};
use wythe_dockerfile::span::{LineIndex, Span};

use super::sanitize::{self, Medium};

/// The text of a Dockerfile and what it is called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl SourceFile {
    /// The line a finding starts at, from 1.
    pub(crate) fn line(&self, finding: &Diagnostic) -> usize {
        finding.line(&self.text)
    }

    /// The line that a place begins at, from 1.
    pub(crate) fn line_at(&self, span: Span) -> usize {
        LineIndex::new(&self.text).line(span.start)
    }

    /// A finding below the words it is about, harmless on a terminal.
    pub(crate) fn excerpt(&self, finding: &Diagnostic) -> String {
        let text = diagnostic::render(&self.text, &self.name, finding);
        let lines = text.lines().map(|line| sanitize::text(line.as_bytes(), Medium::Log));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// As [`Self::excerpt`], without the message, which somebody else tells.
    pub(crate) fn place(&self, finding: &Diagnostic) -> String {
        let silent = Diagnostic { message: String::new(), ..finding.clone() };
        let text = self.excerpt(&silent);
        let (head, words) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{words}", head.trim_end())
    }

    /// A finding as an object for programs; lines and columns count from 1.
    pub(crate) fn object(&self, finding: &Diagnostic) -> Value {
        let lines = LineIndex::new(&self.text);
        let [start, end] =
            [finding.span.start, finding.span.end].map(|at| lines.position(&self.text, at));
        json!({
            "file": self.name,
            "line": start.line,
            "column": start.column,
            "end": {"line": end.line, "column": end.column},
            "message": finding.message,
            "help": finding.help,
            "rule": finding.rule,
        })
    }

    /// The lines of a place, in the form of buildx's answers.
    pub(crate) fn location(&self, span: Span) -> Value {
        let lines = LineIndex::new(&self.text);
        let [start, end] = [span.start, span.end].map(|at| lines.line(at));
        json!({"ranges": [{"start": {"line": start}, "end": {"line": end}}]})
    }

    /// The whole text, in the form of buildx's answers.
    pub(crate) fn encoded(&self) -> Value {
        json!([STANDARD.encode(&self.text)])
    }

    /// The same with its name, as answers about findings have it.
    pub(crate) fn named(&self) -> Value {
        let data = STANDARD.encode(&self.text);
        json!([{"filename": self.name, "language": "Dockerfile", "data": data}])
    }

    /// A finding on one line.
    pub(crate) fn summary(&self, finding: &Diagnostic) -> String {
        let rule = finding.rule.map(|rule| format!("{rule}: ")).unwrap_or_default();
        let text = format!("{rule}{} (line {})", finding.message, self.line(finding));
        sanitize::text(text.as_bytes(), Medium::Log)
    }
}

#[cfg(test)]
mod tests {
    use wythe_dockerfile::span::Span;

    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { name: "Dockerfile".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_finding_is_one_line_with_its_rule_and_place() {
        let finding = Diagnostic::warning("StageNameCasing", Span::new(7, 12), "not lower case");
        let summary = file("FROM a\nFROM b AS C\n").summary(&finding);
        assert_eq!(summary, "StageNameCasing: not lower case (line 2)");
    }

    #[test]
    fn a_dockerfile_cannot_drive_the_terminal() {
        let finding = Diagnostic::error(Span::new(0, 4), "bad");
        let excerpt = file("FROM \x1b[2Ja\n").excerpt(&finding);
        assert!(excerpt.contains("\\x1b[2J") && excerpt.contains("Dockerfile:1:1"), "{excerpt}");
    }
}
