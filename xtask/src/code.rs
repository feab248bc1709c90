//! Rust text with everything blanked that is not code, so that a rule about a word is not
//! triggered by a comment or a string about that word.

/// Replaces comments and the insides of string literals by blanks; lines stay where they are.
pub fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match rest {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => closed_by(rest, 2, "*/"),
            _ if first == '"' => string(rest),
            _ if rest.starts_with("r\"") => closed_by(rest, 2, "\""),
            _ if rest.starts_with("r#\"") => closed_by(rest, 3, "\"#"),
            _ if rest.starts_with("'\"'") => 3,
            _ => 0,
        };
        let (blanked, kept) = match length {
            0 => (0, first.len_utf8()),
            length => (length, 0),
        };
        out.extend(rest[..blanked].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        out.push_str(&rest[blanked..blanked + kept]);
        rest = &rest[blanked + kept..];
    }
    out
}

fn closed_by(text: &str, opening: usize, end: &str) -> usize {
    text[opening..].find(end).map_or(text.len(), |at| opening + at + end.len())
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(blank(text).split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn comments_are_blanked() {
        check("a // unsafe\nb /* unsafe */ c", "a b c");
    }

    #[test]
    fn strings_are_blanked_up_to_their_own_end() {
        check(r#"a("x \" unsafe", r"\", 'b')"#, "a( , , 'b')");
        check("a(r#\"x \" unsafe\"#)", "a( )");
        check("a('\"', unsafe)", "a( , unsafe)");
    }

    #[test]
    fn lines_stay_where_they_are() {
        assert_eq!(blank("/*\n*/ a"), "  \n   a");
    }
}
