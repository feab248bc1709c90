//! Heredocs: where a line starts them, and the bodies that follow it.

use crate::ast::{Heredoc, HeredocChomp, HeredocExpansion, Word};
use crate::diagnostic::Diagnostic;
use crate::line::{Lines, Logical, Physical};
use crate::span::{Span, Spanned};

/// The start of a heredoc: `[fd]<<[-]NAME`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) name: String,
    pub(crate) descriptor: Option<u32>,
    pub(crate) chomp: HeredocChomp,
    pub(crate) expansion: HeredocExpansion,
}

/// Reads the bodies of the heredocs that `line` starts, in order.
pub(crate) fn bodies(
    line: &Logical,
    starts: Vec<Start>,
    lines: &mut Lines<'_>,
) -> Result<Vec<Heredoc>, Diagnostic> {
    starts.into_iter().map(|start| body(line, start, lines)).collect()
}

fn body(line: &Logical, start: Start, lines: &mut Lines<'_>) -> Result<Heredoc, Diagnostic> {
    let word = line.word(start.from, start.to);
    let mut text = String::new();
    let mut span: Option<Span> = None;
    let mut near = None;
    while let Some(physical) = lines.raw() {
        let content = without_tabs(physical.text, start.chomp);
        if content.trim_end_matches('\r') == start.name {
            let span = span.unwrap_or(Span::new(physical.start, physical.start));
            let (name, descriptor) = (start.name, start.descriptor);
            let (expansion, chomp) = (start.expansion, start.chomp);
            let body = Spanned::new(text, span);
            return Ok(Heredoc { word, name, descriptor, expansion, chomp, body });
        }
        if content.trim() == start.name {
            near = near.or(Some(physical));
        }
        text.push_str(physical.text);
        text.push('\n');
        let place = Span::new(physical.start, physical.next);
        span = Some(span.map_or(place, |span| span.to(place)));
    }
    Err(unterminated(&word, &start.name, near))
}

/// The error of a heredoc without an end; it names the line that nearly ended it.
fn unterminated(word: &Word, name: &str, near: Option<Physical<'_>>) -> Diagnostic {
    let error = Diagnostic::error(word.span, format!("unterminated heredoc {}", word.value));
    match near {
        Some(line) => {
            let number = line.number;
            error.help(format!("remove the blanks around {name} on line {number}"))
        }
        None => error
            .help(format!("end it with a line that is exactly {name}, without blanks around it")),
    }
}

/// A line as a heredoc means it.
pub(crate) fn without_tabs(line: &str, chomp: HeredocChomp) -> &str {
    match chomp {
        HeredocChomp::Keep => line,
        HeredocChomp::StripTabs => line.trim_start_matches('\t'),
    }
}

/// The heredocs that a text starts. Quoted words and `<<<` start none.
pub(crate) fn starts(text: &str) -> Vec<Start> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((from, to)) = next_word(text, at) {
        at = to;
        if let Some(start) = start(text, from, to) {
            at = start.to;
            found.push(start);
        }
    }
    found
}

/// The bounds of the next word from `at` on; quotes and escapes protect blanks.
fn next_word(text: &str, at: usize) -> Option<(usize, usize)> {
    let from = at + text[at..].find(|letter: char| !letter.is_whitespace())?;
    let mut quote = None;
    let mut letters = text[from..].char_indices();
    while let Some((offset, letter)) = letters.next() {
        match (quote, letter) {
            (None, blank) if blank.is_whitespace() => return Some((from, from + offset)),
            (None | Some('"'), '\\') => drop(letters.next()),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    Some((from, text.len()))
}

fn start(text: &str, from: usize, to: usize) -> Option<Start> {
    let word = &text[from..to];
    let digits = word.len() - word.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let descriptor = word[..digits].parse().ok();
    let rest = word[digits..].strip_prefix("<<")?;
    let (rest, chomp) = match rest.strip_prefix('-') {
        Some(rest) => (rest, HeredocChomp::StripTabs),
        None => (rest, HeredocChomp::Keep),
    };
    let (rest, to) = if rest.is_empty() {
        let (next, end) = next_word(text, to)?;
        (&text[next..end], end)
    } else {
        (rest, to)
    };
    let (name, expansion) = unquoted(rest)?;
    Some(Start { from, to, name, descriptor, chomp, expansion })
}

/// The name without its quotes, and what they say of the body; `None` where this is no name. A backslash
/// is taken off and says nothing, as `BuildKit` has it and no shell.
fn unquoted(word: &str) -> Option<(String, HeredocExpansion)> {
    if word.is_empty() || word.contains('<') {
        return None;
    }
    let mut name = String::new();
    let mut expansion = HeredocExpansion::Expand;
    let mut quote = None;
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '"' | '\'') => {
                expansion = HeredocExpansion::Literal;
                quote = Some(letter);
            }
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => name.extend(letters.next()),
            (_, other) => name.push(other),
        }
    }
    (quote.is_none() && !name.is_empty()).then_some((name, expansion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let names: Vec<String> = starts(text).into_iter().map(|start| start.name).collect();
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn every_form_is_recognised() {
        check("cat <<EOF", &["EOF"]);
        check("cat <<-'E F' 3<<\"B\" <<C", &["E F", "B", "C"]);
        check("cat << EOF > /o", &["EOF"]);
        check("cat 3<<EOF <&3", &["EOF"]);
        check("<<$EOF", &["$EOF"]);
    }

    #[test]
    fn quoted_words_and_here_strings_are_not_heredocs() {
        check("echo \"<<EOF\" '<<X'", &[]);
        check("cat <<<word", &[]);
        check("echo 1 <<", &[]);
        check("a<<b", &[]);
    }

    #[test]
    fn a_quoted_name_keeps_the_body_literal_and_an_escaped_one_does_not() {
        let found = |text: &str| {
            let start = starts(text).remove(0);
            (start.name, start.expansion)
        };
        for text in ["<<'A'", "<<\"A\"", "<<A''"] {
            assert_eq!(found(text), ("A".to_owned(), HeredocExpansion::Literal), "{text}");
        }
        for (text, name) in [("<<A", "A"), ("<<\\A", "A"), ("<<\\\"A", "\"A")] {
            assert_eq!(found(text), (name.to_owned(), HeredocExpansion::Expand), "{text}");
        }
    }
}
