//! The result of an expansion, which knows where it may be split.

use super::Cause;

/// Longest result in bytes: a file of ten lines can double a value a hundred times.
const MAX_LENGTH: usize = 16 << 20;

/// Text and its words.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    /// The text in one piece.
    pub(super) value: String,
    /// The words that are complete.
    words: Vec<String>,
    /// The word that may go on.
    word: String,
}

impl Text {
    /// Adds text whose blanks separate words.
    pub(super) fn bare(&mut self, text: &str) -> Result<(), Cause> {
        self.grow(text)?;
        for letter in text.chars() {
            if !letter.is_whitespace() {
                self.word.push(letter);
            } else if !self.word.is_empty() {
                self.words.push(std::mem::take(&mut self.word));
            }
        }
        Ok(())
    }

    /// Adds text whose blanks belong to the word.
    pub(super) fn quoted(&mut self, text: &str) -> Result<(), Cause> {
        self.grow(text)?;
        self.word.push_str(text);
        Ok(())
    }

    /// Adds a letter that stands for itself.
    pub(super) fn letter(&mut self, letter: char) -> Result<(), Cause> {
        self.quoted(letter.encode_utf8(&mut [0; 4]))
    }

    /// Adds letters that stand for themselves.
    pub(super) fn letters(&mut self, letters: &[char]) -> Result<(), Cause> {
        self.quoted(&letters.iter().collect::<String>())
    }

    /// The words that are not empty.
    pub(super) fn into_words(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }

    fn grow(&mut self, text: &str) -> Result<(), Cause> {
        if self.value.len() + text.len() > MAX_LENGTH {
            return Err(Cause::Length(MAX_LENGTH));
        }
        self.value.push_str(text);
        Ok(())
    }
}
