//! Patterns for one name of a path: `*`, `?`, `[a-z]`, `[^a]` and `\x`, as Go's `filepath.Match`
//! reads them.

/// A pattern taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// Any run of characters.
    Star,
    /// Any one character.
    Any,
    /// This character.
    Literal(char),
    /// One character that is, or is not, in one of these ranges.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Whether a part of a source has a wildcard, that is one that no backslash takes the meaning of.
pub(crate) fn has_wildcard(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether a pattern is nothing but a name.
pub(crate) fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', '\\'])
}

impl Glob {
    /// Takes a pattern apart; `None` if a bracket stays open, a range has no end, or a backslash
    /// is last.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(first) = rest.next() {
            tokens.push(match first {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(rest.next()?),
                '[' => class(&mut rest)?,
                other => Token::Literal(other),
            });
        }
        Some(Self { tokens })
    }

    /// Whether the whole of a name matches. Bytes that are not UTF-8 match `*` and `?` only.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let name: Vec<char> = String::from_utf8_lossy(name).chars().collect();
        let (mut token, mut at) = (0, 0);
        // Where to go on when the last star takes one character more: only the last can matter.
        let mut retry = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                Some(one) if name.get(at).is_some_and(|&letter| one.takes(letter)) => {
                    (token, at) = (token + 1, at + 1);
                    continue;
                }
                None if at == name.len() => return true,
                Some(_) | None => {}
            }
            match retry {
                Some((after, start)) if start < name.len() => {
                    retry = Some((after, start + 1));
                    (token, at) = (after, start + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Literal(wanted) => *wanted == letter,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&letter)) != *negated
            }
        }
    }
}

/// The rest of a class after its bracket. A `]` that comes first closes nothing and is refused.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let low = bound(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { bound(rest)? } else { low };
        ranges.push((low, high));
    }
    Some(Token::Class { negated, ranges })
}

fn bound(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, names: &[&str], others: &[&str]) {
        let glob = Glob::parse(pattern).unwrap();
        for name in names {
            assert!(glob.matches(name.as_bytes()), "{pattern} does not match {name}");
        }
        for name in others {
            assert!(!glob.matches(name.as_bytes()), "{pattern} matches {name}");
        }
    }

    #[test]
    fn stars_and_marks_take_characters_not_bytes() {
        check("*.txt", &["a.txt", ".txt", "\u{fc}\u{f1}\u{ed}.txt"], &["a.txt2", "txt"]);
        check("?.c", &["\u{fc}.c", "a.c"], &[".c", "ab.c"]);
        check("a*b*c", &["abc", "aXbYbZc"], &["ab", "acb"]);
    }

    #[test]
    fn classes_have_ranges_and_may_be_negated() {
        check("arr[[]0", &["arr[0"], &["arr0"]);
        check("temp[0-9]", &["temp1"], &["tempA", "temp"]);
        check("temp[^0-9]", &["tempA"], &["temp1"]);
        check("[!a]", &["!", "a"], &["b"]);
        check("[\\]x]", &["]", "x"], &["\\"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_of_what_follows() {
        check("\\*", &["*"], &["a"]);
        check("\\temp1", &["temp1"], &["\\temp1"]);
        assert!(!has_wildcard("arr\\[0\\].txt") && has_wildcard("arr[[]0"));
    }

    #[test]
    fn unfinished_patterns_are_none() {
        for bad in ["[", "[a", "[]a]", "[-]", "[a-]", "[x-]", "a\\", "[\\"] {
            assert_eq!(Glob::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        check(&"*a".repeat(40), &[], &[&"a".repeat(39), &"ab".repeat(5000)]);
    }
}
