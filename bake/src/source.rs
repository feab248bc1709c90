//! Where something is written: files as they were given, and ranges of bytes in them.

use std::fmt;

/// One definition file: its name, as it is told in errors, and its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DefinitionFile {
    /// The path it was read from, or `-` for standard input. Its ending decides the format.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A file of a [`Sources`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct FileId(pub(crate) usize);

/// A range of bytes of one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// From where this one begins to where the other ends.
    pub(crate) fn to(self, other: Self) -> Self {
        Self { end: other.end.max(self.end), ..self }
    }
}

/// A place in a file, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The name of the file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line itself, without its end.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The files of one definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    files: Vec<DefinitionFile>,
}

impl Sources {
    pub(crate) fn add(&mut self, file: DefinitionFile) -> FileId {
        self.files.push(file);
        FileId(self.files.len() - 1)
    }

    pub(crate) fn file(&self, id: FileId) -> &DefinitionFile {
        &self.files[id.0]
    }

    /// The place of the first byte of a span.
    pub(crate) fn place(&self, span: Span) -> Place {
        let DefinitionFile { name, text } = self.file(span.file);
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        Place {
            file: name.clone(),
            line: text[..begin].matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            text: line.to_owned(),
        }
    }

    /// The offset of a line (from 1) and a column in characters (from 0).
    pub(crate) fn offset(&self, file: FileId, line: usize, column: usize) -> usize {
        let text = &self.file(file).text;
        let mut lines = text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
        let rest = lines.next().unwrap_or_default();
        before + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_from_one() {
        let mut sources = Sources::default();
        let text = "a = 1\né = b\n".to_owned();
        let file = sources.add(DefinitionFile { name: "x.hcl".to_owned(), text });
        let place = sources.place(Span { file, start: 11, end: 12 });
        assert_eq!((place.line, place.column, place.text.as_str()), (2, 5, "é = b"));
        assert_eq!(place.to_string(), "x.hcl:2:5");
        assert_eq!(sources.offset(file, 2, 4), 11);
    }
}
