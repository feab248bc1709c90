//! Findings as text: where, what, the lines, the remedy.

use std::fmt::Write;

use crate::diagnostic::Diagnostic;
use crate::span::{LineIndex, Span};

/// Most lines of an excerpt: a heredoc may have thousands, and its first lines tell which it is.
const MAX_LINES: usize = 12;

/// Most characters of a line: some lines hold an archive in base64.
const MAX_WIDTH: usize = 200;

/// A finding as text: `file:line:column: message`, the lines with the words underlined, the remedy.
pub fn render(source: &str, file: &str, finding: &Diagnostic) -> String {
    let lines = LineIndex::new(source);
    let at = lines.position(source, finding.span.start);
    let mut text = format!("{file}:{}:{}: {}\n", at.line, at.column, finding.message);
    text.push_str(&excerpt(source, finding.span));
    if let Some(help) = &finding.help {
        text.push_str("  help: ");
        text.push_str(help);
        text.push('\n');
    }
    text
}

/// The lines of a span, marked; a span on one line is underlined.
pub fn excerpt(source: &str, span: Span) -> String {
    let mut text = String::new();
    if source.is_empty() {
        return text;
    }
    let lines = LineIndex::new(source);
    let first = lines.line(span.start);
    let last = lines.line(span.end.saturating_sub(1).max(span.start));
    let shown = source.lines().enumerate().skip(first - 1).take(last - first + 1);
    for (index, line) in shown.clone().take(MAX_LINES) {
        append(&mut text, index + 1, line);
    }
    if shown.count() > MAX_LINES {
        text.push_str("     | >>> …\n");
    }
    if first == last {
        underline(source, &lines, span, &mut text);
    }
    text
}

fn append(text: &mut String, number: usize, line: &str) {
    let line = line.trim_end_matches('\r');
    let cut: String = line.chars().take(MAX_WIDTH).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    let written = writeln!(text, "{number:4} | >>> {cut}{more}");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

fn underline(source: &str, lines: &LineIndex, span: Span, text: &mut String) {
    let at = lines.position(source, span.start);
    if at.column > MAX_WIDTH {
        return;
    }
    let line = source.lines().nth(at.line - 1).unwrap_or_default();
    let lead = line.chars().take(at.column - 1);
    let lead: String = lead.map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
    let marked = source.get(span.range()).unwrap_or_default().trim_end();
    let width = marked.chars().count().clamp(1, MAX_WIDTH + 1 - at.column);
    let written = writeln!(text, "     |     {lead}{}", "^".repeat(width));
    debug_assert!(written.is_ok(), "writing to a string does not fail");
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

    #[test]
    fn long_lines_and_long_heredocs_are_cut() {
        let source = format!("{}\n{}", "é".repeat(900), "x\n".repeat(40));
        let wide = excerpt(&source, Span::new(0, 1800));
        assert!(wide.lines().all(|line| line.chars().count() < 220), "{wide}");
        let long = excerpt(&source, Span::new(0, source.len()));
        assert_eq!(long.lines().count(), MAX_LINES + 1, "{long}");
    }
}
