//! What is wrong with a Dockerfile, where, and what to do about it.

use crate::span::{LineIndex, Span};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file means something, but perhaps not what was intended.
    Warning,
    /// The file cannot be built.
    Error,
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the build check that found it; `None` for errors of the language itself.
    pub rule: Option<&'static str>,
    /// The offending words.
    pub span: Span,
    /// One sentence of cause, without a final stop.
    pub message: String,
    /// One remedy.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, rule: None, span, message: message.into(), help: None }
    }

    /// A finding of a build check at a place.
    pub fn warning(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        let (severity, rule, message) = (Severity::Warning, Some(rule), message.into());
        Self { severity, rule, span, message, help: None }
    }

    /// The finding with a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding with "did you mean" where a known word is near.
    #[must_use]
    pub fn suggest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.help(format!("did you mean {word}?")),
            None => self,
        }
    }

    /// The line the finding starts at, from 1.
    pub fn line(&self, source: &str) -> usize {
        LineIndex::new(source).line(self.span.start)
    }
}

/// Most lines of an excerpt: a long heredoc is cut short in the middle of nowhere.
const MAX_EXCERPT: usize = 12;

/// A finding as text: `file:line:column: message`, the lines with the words underlined, the remedy.
pub fn render(source: &str, file: &str, finding: &Diagnostic) -> String {
    let lines = LineIndex::new(source);
    let at = lines.position(source, finding.span.start);
    let mut text = format!("{file}:{}:{}: {}\n", at.line, at.column, finding.message);
    if !source.is_empty() {
        excerpt(source, &lines, finding.span, &mut text);
    }
    if let Some(help) = &finding.help {
        text.push_str("  help: ");
        text.push_str(help);
        text.push('\n');
    }
    text
}

fn excerpt(source: &str, lines: &LineIndex, span: Span, out: &mut String) {
    let first = lines.line(span.start);
    let last = lines.line(span.end.saturating_sub(1).max(span.start));
    let shown = source.lines().enumerate().map(|(index, line)| (index + 1, line));
    for (number, line) in shown.skip(first - 1).take((last - first + 1).min(MAX_EXCERPT)) {
        out.push_str(&format!("{number:4} | >>> {}\n", line.trim_end_matches('\r')));
    }
    if first == last {
        underline(source, lines, span, out);
    }
}

fn underline(source: &str, lines: &LineIndex, span: Span, out: &mut String) {
    let at = lines.position(source, span.start);
    let line = source.lines().nth(at.line - 1).unwrap_or_default();
    let lead = line.chars().take(at.column - 1);
    let lead: String = lead.map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    let marked = source.get(span.range()).unwrap_or_default().trim_end();
    let width = marked.chars().count().max(1);
    out.push_str(&format!("     |     {lead}{}\n", "^".repeat(width)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offending_word_is_underlined() {
        let source = "FROM a\n\tRUNN x\n";
        let finding =
            Diagnostic::error(Span::new(8, 12), "unknown instruction: RUNN").suggest(Some("RUN"));
        let expected = "Dockerfile:2:2: unknown instruction: RUNN\n   2 | >>> \tRUNN x\n     |     \t^^^^\n  help: did you mean RUN?\n";
        assert_eq!(render(source, "Dockerfile", &finding), expected);
    }

    #[test]
    fn every_line_of_a_long_instruction_is_marked() {
        let source = "FROM a\nRUN b \\\n  c\n";
        let text = render(source, "D", &Diagnostic::error(Span::new(7, 18), "bad"));
        assert!(text.contains("   2 | >>> RUN b \\\n   3 | >>>   c\n"), "{text}");
    }
}
