//! Lines of a live view, made to fit.

use unicode_width::UnicodeWidthChar;

use super::look::{Charset, Colour, Look};

/// What is to be shown on one line: what it says, and what stands at the right border.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ViewLine {
    text: String,
    end: String,
    tone: Tone,
}

/// How a line sounds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Tone {
    /// Something failed.
    Bad,
    /// What is less important than the rest.
    Faint,
    /// Nothing had to be done.
    Good,
    #[default]
    Neutral,
    /// Something deserves attention.
    Warning,
}

/// A line as it is written, and how many cells it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ViewRow {
    pub(crate) text: String,
    pub(crate) cells: usize,
}

impl ViewLine {
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), end: String::new(), tone }
    }

    /// The same with something at the right border, which is shown whole.
    pub(crate) fn ending(self, end: impl Into<String>) -> Self {
        Self { end: end.into(), ..self }
    }

    /// The line in a window of so many columns: what does not fit is left out, and dots say so.
    pub(crate) fn fit(&self, columns: usize, look: Look) -> ViewRow {
        // A line that fills the last column makes some terminals wrap.
        let most = columns.saturating_sub(1);
        let end = if self.end.len() < most { self.end.as_str() } else { "" };
        let room = most.saturating_sub(end.len() + usize::from(!end.is_empty()));
        let (mut text, mut cells) = cut(&shown(&self.text, look.charset), room, look.charset);
        if !end.is_empty() {
            text.push_str(&" ".repeat(room - cells + 1));
            text.push_str(end);
            cells = most;
        }
        ViewRow { text: self.tone.over(text, look.colour), cells }
    }
}

impl Tone {
    fn over(self, text: String, colour: Colour) -> String {
        let code = match self {
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Neutral => return text,
        };
        match colour {
            Colour::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Plain => text,
        }
    }
}

/// A text in the characters that there are.
pub(crate) fn shown(text: &str, charset: Charset) -> String {
    match charset {
        Charset::Unicode => text.to_owned(),
        Charset::Ascii => {
            let shown = |char: char| match char {
                char if char.is_ascii() => char.to_string(),
                char => char.escape_unicode().to_string(),
            };
            text.chars().map(shown).collect()
        }
    }
}

/// What of a text fits into so many cells, and how many it takes.
fn cut(text: &str, room: usize, charset: Charset) -> (String, usize) {
    let cells = |char: char| char.width().unwrap_or(0);
    let whole: usize = text.chars().map(cells).sum();
    if whole <= room {
        return (text.to_owned(), whole);
    }
    let dots = match charset {
        Charset::Ascii => "...",
        Charset::Unicode => "…",
    };
    let dots = if dots.chars().count() <= room { dots } else { "" };
    let (mut out, mut width) = (String::new(), 0);
    for char in text.chars() {
        if width + cells(char) + dots.chars().count() > room {
            break;
        }
        width += cells(char);
        out.push(char);
    }
    out.push_str(dots);
    (out, width + dots.chars().count())
}

#[cfg(test)]
mod tests {
    use super::super::look::Reflow;
    use super::*;

    const PLAIN: Look =
        Look { colour: Colour::Plain, charset: Charset::Unicode, reflow: Reflow::Wraps };

    #[track_caller]
    fn check(line: &ViewLine, columns: usize, look: Look, expected: &str) {
        assert_eq!(line.fit(columns, look).text, expected, "{columns}");
    }

    #[test]
    fn what_is_left_out_is_marked() {
        let line = ViewLine::new("=> RUN make all", Tone::Neutral).ending("1.2s");
        check(&line, 30, PLAIN, "=> RUN make all          1.2s");
        check(&line, 16, PLAIN, "=> RUN ma… 1.2s");
        check(&line, 16, Look { charset: Charset::Ascii, ..PLAIN }, "=> RUN ... 1.2s");
        check(&line, 4, PLAIN, "=>…");
        check(&line, 1, PLAIN, "");
    }

    #[test]
    fn a_wide_character_is_not_cut_in_half() {
        check(&ViewLine::new("長い行", Tone::Neutral), 6, PLAIN, "長い…");
        check(&ViewLine::new("長い行", Tone::Neutral), 5, PLAIN, "長…");
        assert_eq!(ViewLine::new("長い行", Tone::Neutral).fit(5, PLAIN).cells, 3);
    }

    #[test]
    fn characters_that_are_not_there_are_named() {
        let look = Look { charset: Charset::Ascii, ..PLAIN };
        check(&ViewLine::new("RUN é", Tone::Neutral), 40, look, "RUN \\u{e9}");
    }

    #[test]
    fn colours_take_no_cells() {
        let look = Look { colour: Colour::Coloured, ..PLAIN };
        let row = ViewLine::new("no", Tone::Bad).fit(40, look);
        assert_eq!((row.text.as_str(), row.cells), ("\x1b[31mno\x1b[0m", 2));
    }
}
