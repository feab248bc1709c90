//! Cutting the arguments of an instruction into words, before anything is expanded.

use crate::ast::{Escape, Word};
use crate::line::Logical;

/// A part of a logical line: the arguments after the keyword and the flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) line: &'a Logical,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Text<'a> {
    /// A part of a line without the blanks around it.
    pub(crate) fn new(line: &'a Logical, start: usize, end: usize) -> Self {
        let text = &line.text[start..end];
        let start = start + (text.len() - text.trim_start().len());
        let end = start + line.text[start..end.max(start)].trim_end().len();
        Self { line, start, end }
    }

    pub(crate) fn as_str(&self) -> &'a str {
        &self.line.text[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The whole text as one word.
    pub(crate) fn whole(&self) -> Word {
        self.line.word(self.start, self.end)
    }

    /// The text from a byte on.
    pub(crate) fn from(&self, offset: usize) -> Self {
        Self::new(self.line, self.start + offset, self.end)
    }

    pub(crate) fn word(&self, from: usize, to: usize) -> Word {
        self.line.word(self.start + from, self.start + to)
    }

    /// Words between blanks; quotes mean nothing.
    pub(crate) fn blank_separated(&self) -> Vec<Word> {
        let text = self.as_str();
        let mut words = Vec::new();
        let mut from = None;
        for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
            match (is_blank(letter), from) {
                (true, Some(start)) => {
                    words.push(self.word(start, at));
                    from = None;
                }
                (false, None) => from = Some(at),
                _ => {}
            }
        }
        words
    }

    /// The first word and the text after it.
    pub(crate) fn split_first(&self) -> (Word, Self) {
        let text = self.as_str();
        let end = text.find(is_blank).unwrap_or(text.len());
        (self.word(0, end), self.from(end))
    }

    /// The text with the blanks after it.
    pub(crate) fn with_blanks(&self) -> &str {
        &self.line.text[self.start..]
    }

    /// Words as ENV, LABEL and ARG see them: quotes and the escape character protect blanks, and
    /// stay.
    pub(crate) fn quoted_words(&self, escape: Escape) -> Vec<Self> {
        let text = self.as_str();
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(lead) = text[at..].find(|letter: char| !letter.is_whitespace()) {
            let from = at + lead;
            at = from + word_length(&text[from..], escape.char());
            words.push(Self { line: self.line, start: self.start + from, end: self.start + at });
        }
        words
    }

    /// The parts before and after the first `=`.
    pub(crate) fn cut(&self) -> Option<(Word, Word)> {
        let text = self.as_str();
        let at = text.find('=')?;
        Some((self.word(0, at), self.word(at + 1, text.len())))
    }
}

/// The blanks that separate words of a list.
pub(crate) fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

fn word_length(text: &str, escape: char) -> usize {
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            None if letter.is_whitespace() => return at,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if letter == open => quote = None,
            None | Some('"') if letter == escape => drop(letters.next()),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Lines;

    fn with<T>(source: &str, check: impl FnOnce(Text<'_>) -> T) -> T {
        let line = Lines::new(source, 0, Escape::Backslash).logical().unwrap();
        check(Text::new(&line, 0, line.text.len()))
    }

    fn values(words: Vec<Word>) -> Vec<String> {
        words.into_iter().map(|word| word.value).collect()
    }

    fn quoted(text: Text<'_>) -> Vec<String> {
        values(text.quoted_words(Escape::Backslash).iter().map(Text::whole).collect())
    }

    #[test]
    fn list_words_know_no_quotes() {
        let words = with(r#"f\ x "a b" /d/"#, |text| values(text.blank_separated()));
        assert_eq!(words, ["f\\", "x", "\"a", "b\"", "/d/"]);
    }

    #[test]
    fn pair_words_keep_quotes_that_protect_blanks() {
        let words = with(r#"a="x y" b='p "q' c=\ z"#, quoted);
        assert_eq!(words, [r#"a="x y""#, r#"b='p "q'"#, r"c=\ z"]);
    }

    #[test]
    fn a_no_break_space_separates_pairs() {
        let words = with("a=1\u{a0}b=2", quoted);
        assert_eq!(words, ["a=1", "b=2"]);
    }
}
