//! Words in double quotes, as Go's `%q` writes them.

use std::fmt::Write as _;

/// A word in quotes.
pub(super) fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    word.chars().for_each(|letter| push(letter, &mut text));
    text.push('"');
    text
}

fn push(letter: char, text: &mut String) {
    let short = match letter {
        '"' | '\\' => Some(letter),
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\t' => Some('t'),
        '\n' => Some('n'),
        '\u{b}' => Some('v'),
        '\u{c}' => Some('f'),
        '\r' => Some('r'),
        _ => None,
    };
    if let Some(short) = short {
        text.extend(['\\', short]);
        return;
    }
    let code = u32::from(letter);
    // Writing to a string does not fail.
    let _ = match code {
        0..=0x1f | 0x7f => write!(text, "\\x{code:02x}"),
        _ if letter == '\'' || letter.escape_debug().len() == 1 => write!(text, "{letter}"),
        0x80..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_cannot_be_seen_is_escaped_as_go_does() {
        let cases = [
            ("a 'b'", r#""a 'b'""#),
            ("\\\"", r#""\\\"""#),
            ("\u{7}\t\n\u{b}", r#""\a\t\n\v""#),
            ("\0\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("☃\u{a0}\u{e000}", r#""☃\u00a0\ue000""#),
            ("\u{10ffff}", r#""\U0010ffff""#),
        ];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected, "{word:?}");
        }
    }
}
