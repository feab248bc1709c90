//! Physical lines become logical ones: comments go, continuations are joined, places are kept.

use std::borrow::Cow;

use crate::ast::{Escape, Word};
use crate::span::{Span, Spanned};

/// The longest physical line, in bytes, that Dockerfiles may have everywhere they are read.
pub const MAX_LINE: usize = 65_535;

/// A physical line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Physical<'a> {
    /// Its text without the line break.
    pub(crate) text: &'a str,
    /// Where it starts in the source.
    pub(crate) start: usize,
    /// Where the next one starts.
    pub(crate) next: usize,
    /// Its number, from 1.
    pub(crate) number: usize,
}

/// The physical lines of a source, in order.
pub(crate) fn physical(source: &str) -> Vec<Physical<'_>> {
    let mut start = 0;
    let lines = source.split_inclusive('\n').enumerate().map(|(index, whole)| {
        let text = whole.strip_suffix('\n').unwrap_or(whole);
        let line = Physical { text, start, next: start + whole.len(), number: index + 1 };
        start = line.next;
        line
    });
    lines.collect()
}

/// A logical line: text joined from several places of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logical {
    /// The joined text.
    pub(crate) text: String,
    /// From keyword to the end of the last line.
    pub(crate) span: Span,
    /// The comment lines directly above.
    pub(crate) comments: Vec<Word>,
    /// The first blank line inside, if any.
    pub(crate) blank: Option<Span>,
    /// The last line, which is the only one unless it is continued.
    pub(crate) last_line: Span,
    /// Where each part of the text stands in the source.
    parts: Vec<(usize, usize)>,
}

impl Logical {
    /// The place in the source of a range of the text.
    pub(crate) fn span_of(&self, start: usize, end: usize) -> Span {
        let first = self.offset_of(start);
        let last = if end > start { self.offset_of(end - 1) + 1 } else { first };
        Span::new(first, last.max(first))
    }

    /// A piece of the text with its place; `text` must be a slice of [`Self::text`] from `start`.
    pub(crate) fn word(&self, start: usize, end: usize) -> Word {
        Spanned::new(self.text[start..end].to_owned(), self.span_of(start, end))
    }

    fn offset_of(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.parts.get(part).map_or(self.span.start, |(start, offset)| offset + (at - start))
    }

    fn push(&mut self, text: &str, offset: usize) {
        if !text.is_empty() {
            self.parts.push((self.text.len(), offset));
            self.text.push_str(text);
        }
    }
}

/// Cuts logical lines off a list of physical ones.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    physical: Vec<Physical<'a>>,
    at: usize,
    escape: Escape,
}

impl<'a> Lines<'a> {
    /// The lines of `source`, from line number `from` (from 0) on.
    pub(crate) fn new(source: &'a str, from: usize, escape: Escape) -> Self {
        Self { physical: physical(source), at: from, escape }
    }

    /// The next physical line as it stands, for heredoc bodies.
    pub(crate) fn raw(&mut self) -> Option<Physical<'a>> {
        let line = *self.physical.get(self.at)?;
        self.at += 1;
        Some(line)
    }

    /// The next logical line that holds an instruction.
    pub(crate) fn logical(&mut self) -> Option<Logical> {
        let mut comments = Vec::new();
        while let Some(line) = self.raw() {
            let text = clean(line.text).trim_start();
            if text.is_empty() {
                comments.clear();
            } else if let Some(comment) = text.strip_prefix('#') {
                let start = line.start + (clean(line.text).len() - comment.len());
                let place = Span::new(start, start + comment.len());
                comments.push(Spanned::new(comment.to_owned(), place));
            } else {
                return Some(self.join(line, comments));
            }
        }
        None
    }

    fn join(&mut self, first: Physical<'a>, comments: Vec<Word>) -> Logical {
        let text = clean(first.text);
        let lead = text.len() - text.trim_start().len();
        let start = first.start + lead;
        let mut logical = Logical { comments, ..Logical::default() };
        logical.span = Span::new(start, start);
        let mut open = self.take(text.trim_start(), start, &mut logical);
        while open {
            let Some(line) = self.raw() else { break };
            let text = clean(line.text);
            if text.trim_start().starts_with('#') {
                continue;
            }
            if text.trim().is_empty() {
                logical.blank.get_or_insert(Span::new(line.start, line.start + text.len()));
                continue;
            }
            open = self.take(text, line.start, &mut logical);
        }
        logical
    }

    /// Adds a physical line; whether it asks for another.
    fn take(&self, text: &str, offset: usize, logical: &mut Logical) -> bool {
        let (body, open) = match continued(text, self.escape.char()) {
            Some(body) => (body, true),
            None => (text, false),
        };
        logical.push(body, offset);
        logical.span.end = offset + text.trim_end().len();
        logical.last_line = Span::new(offset, logical.span.end);
        open
    }
}

fn clean(line: &str) -> &str {
    line.trim_end_matches('\r')
}

/// The line without its continuation mark, or `None` where it has none. Two escape characters are
/// a literal one.
fn continued(line: &str, escape: char) -> Option<&str> {
    let body = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!body.ends_with(escape)).then_some(body)
}

/// The source as text: without a byte order mark, and with what is not UTF-8 replaced.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// What to do about a text of which [`is_wide`] holds.
pub const SAVE_AS_UTF8: &str = "save it as UTF-8: iconv -f UTF-16 -t UTF-8";

/// Whether a text was UTF-16 before it was decoded, as editors and PowerShell on Windows write it:
/// every other byte is zero, which no letter of a Dockerfile or an ignore file is.
pub fn is_wide(text: &str) -> bool {
    text.trim_start_matches(['\u{feff}', '\u{fffd}']).chars().take(2).any(|letter| letter == '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_known_in_both_orders_with_and_without_a_mark() {
        let little =
            |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for text in ["FROM a", "\u{feff}FROM a", "# \u{e9}", "\u{feff}*.md\r\n"] {
            assert!(is_wide(&decode(&little(text))) && is_wide(&decode(&big(text))), "{text:?}");
        }
        for text in ["FROM a", "\u{feff}FROM a", "", "a", "\u{fffd}\u{fffd}F"] {
            assert!(!is_wide(&decode(text.as_bytes())), "{text:?}");
        }
    }

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let mut lines = Lines::new(source, 0, Escape::Backslash);
        let found: Vec<String> =
            std::iter::from_fn(|| lines.logical()).map(|line| line.text).collect();
        assert_eq!(found, expected, "{source:?}");
    }

    #[test]
    fn continuations_keep_leading_blanks_and_insert_nothing() {
        check("ENV A=1\\\nB=2\n", &["ENV A=1B=2"]);
        check("ENV A=1 \\  \n B=2", &["ENV A=1  B=2"]);
        check("FR\\\nOM scratch", &["FROM scratch"]);
    }

    #[test]
    fn comments_and_blank_lines_inside_an_instruction_vanish() {
        check("RUN a \\\n# no \\\n\n  # no\n b\nRUN c", &["RUN a  b", "RUN c"]);
    }

    #[test]
    fn two_escapes_do_not_continue() {
        check("ENV A=a\\\\\nENV B=2\n", &["ENV A=a\\\\", "ENV B=2"]);
    }

    #[test]
    fn an_escape_before_the_end_of_the_file_is_harmless() {
        check("RUN a \\", &["RUN a "]);
        check("RUN a \\\r\n b\r\n", &["RUN a  b"]);
    }

    #[test]
    fn places_lead_back_to_the_source() {
        let source = "RUN a \\\n  bcd\n";
        let line = Lines::new(source, 0, Escape::Backslash).logical().unwrap();
        let at = line.text.find("bcd").unwrap();
        assert_eq!(&source[line.span_of(at, at + 3).range()], "bcd");
        assert_eq!(line.span, Span::new(0, 13));
    }
}
