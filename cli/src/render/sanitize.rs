//! Foreign bytes made harmless before they reach a terminal or a log.
//!
//! What a build step prints, a registry answers, or a file is called is written by others. An
//! escape sequence in it could retitle the window, fill the clipboard, or move the cursor up and
//! write "succeeded" over an error. Of all of them only colour is let through, and only where a
//! person is watching; everything else is shown in a visible form.

use std::fmt::Write as _;

/// What the text is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Medium {
    /// A file or pipe: colours are dropped.
    Log,
    /// A screen: colours are kept, and end with the line.
    Terminal,
}

/// One line of foreign bytes as harmless text.
///
/// A carriage return starts the line again, as on a terminal: what stands before it is dropped.
pub(crate) fn line(bytes: &[u8], medium: Medium) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let shown = bytes.iter().rposition(|&byte| byte == b'\r').map_or(0, |at| at + 1);
    text(&bytes[shown..], medium)
}

/// Foreign bytes as harmless text on one line.
pub(crate) fn text(bytes: &[u8], medium: Medium) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut coloured = false;
    for chunk in bytes.utf8_chunks() {
        coloured |= valid(chunk.valid(), medium, &mut out);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if coloured {
        out.push_str(RESET);
    }
    out
}

const RESET: &str = "\x1b[0m";

/// Appends valid UTF-8; returns whether a colour was let through.
fn valid(text: &str, medium: Medium, out: &mut String) -> bool {
    let mut coloured = false;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some(sequence) = colour(rest) {
            if medium == Medium::Terminal {
                out.push_str(sequence);
                coloured = true;
            }
            rest = &rest[sequence.len()..];
            continue;
        }
        visible(char, medium, out);
        rest = &rest[char.len_utf8()..];
    }
    coloured
}

/// The colour sequence (`ESC [ digits and semicolons m`) at the start of a text.
fn colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|char: char| !char.is_ascii_digit() && char != ';')?;
    let within = end <= LONGEST_COLOUR && parameters[end..].starts_with('m');
    within.then(|| &text[..end + 3])
}

/// The longest parameters of a colour: two colours of 24 bits and a few styles. What is longer
/// is no colour but an attempt at a parser.
const LONGEST_COLOUR: usize = 48;

fn visible(char: char, medium: Medium, out: &mut String) {
    match char {
        '\t' if medium == Medium::Terminal => out.push_str("    "),
        '\t' => out.push('\t'),
        _ if char.is_ascii_control() => {
            let _ = write!(out, "\\x{:02x}", u32::from(char));
        }
        _ if char.is_control() || reorders(char) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(char));
        }
        _ => out.push(char),
    }
}

/// Whether a character changes the order in which others are shown, or breaks lines.
pub(crate) fn reorders(char: char) -> bool {
    matches!(
        char,
        '\u{061c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], log: &str, terminal: &str) {
        assert_eq!(line(bytes, Medium::Log), log);
        assert_eq!(line(bytes, Medium::Terminal), terminal);
    }

    #[test]
    fn colour_is_kept_on_a_terminal_and_ends_with_the_line() {
        check(b"\x1b[1;31mred", "red", "\x1b[1;31mred\x1b[0m");
    }

    #[test]
    fn titles_clipboards_and_cursor_movements_become_visible() {
        check(b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07", "\\x1b]0;owned\\x07");
        check(b"\x1b[2Aup", "\\x1b[2Aup", "\\x1b[2Aup");
        check("\u{9b}2A".as_bytes(), "\\u{9b}2A", "\\u{9b}2A");
    }

    #[test]
    fn bidirectional_controls_become_visible() {
        check("a\u{202e}b".as_bytes(), "a\\u{202e}b", "a\\u{202e}b");
    }

    #[test]
    fn bytes_that_are_not_text_become_visible() {
        check(b"a\xffb", "a\\xffb", "a\\xffb");
        check(b"a\0b\x7f", "a\\x00b\\x7f", "a\\x00b\\x7f");
    }

    #[test]
    fn a_carriage_return_starts_the_line_again() {
        check(b"10%\r20%\r30%", "30%", "30%");
        check(b"dos\r", "dos", "dos");
    }

    #[test]
    fn a_colour_without_an_end_is_no_colour() {
        let long = format!("\x1b[{}m", "1;".repeat(100));
        assert!(line(long.as_bytes(), Medium::Terminal).starts_with("\\x1b["));
        check(b"\x1b[31", "\\x1b[31", "\\x1b[31");
    }
}
