//! The exec form: a JSON array of strings, or not.

use std::str::Chars;

/// How a text that begins with `[` reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ExecForm {
    /// A valid array of strings.
    Strings(Vec<String>),
    /// A valid array with something else in it, which is an error everywhere.
    NotStrings,
    /// Not an array at all: the text is an ordinary command, which surprises people.
    Broken {
        /// Where the JSON ends being valid, in bytes.
        at: usize,
    },
}

/// Reads a text as the exec form; `None` where it does not begin with `[`.
pub(crate) fn read(text: &str) -> Option<ExecForm> {
    let body = text.trim_start();
    let mut json = Json { rest: body.strip_prefix('[')?.chars(), whole: text, strings: true };
    Some(match json.array() {
        Some(words) if json.strings => ExecForm::Strings(words),
        Some(_) => ExecForm::NotStrings,
        None => ExecForm::Broken { at: json.at() },
    })
}

/// Deeper nesting than any reader of JSON takes.
const MAX_DEPTH: usize = 64;

struct Json<'a> {
    rest: Chars<'a>,
    whole: &'a str,
    strings: bool,
}

impl Json<'_> {
    fn at(&self) -> usize {
        self.whole.len() - self.rest.as_str().len()
    }

    fn array(&mut self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        if self.eat(']') {
            return self.end(words);
        }
        loop {
            match self.peek()? {
                '"' => words.push(self.string()?),
                _ => self.other(0)?,
            }
            if self.eat(']') {
                return self.end(words);
            }
            self.expect(',')?;
        }
    }

    fn end(&mut self, words: Vec<String>) -> Option<Vec<String>> {
        self.peek().is_none().then_some(words)
    }

    /// Any value that is not a string; its content does not matter, its form does.
    fn other(&mut self, depth: usize) -> Option<()> {
        self.strings = false;
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            '[' => self.members(']', depth),
            '{' => self.members('}', depth),
            '"' => self.string().map(drop),
            _ => self.scalar(),
        }
    }

    fn members(&mut self, close: char, depth: usize) -> Option<()> {
        self.rest.next();
        if self.eat(close) {
            return Some(());
        }
        loop {
            if close == '}' {
                self.peek()?;
                self.string()?;
                self.expect(':')?;
            }
            self.other(depth + 1)?;
            if self.eat(close) {
                return Some(());
            }
            self.expect(',')?;
        }
    }

    fn scalar(&mut self) -> Option<()> {
        let text = self.rest.as_str();
        let end = text.find([',', ']', '}', ' ', '\t']).unwrap_or(text.len());
        let word = &text[..end];
        let known = matches!(word, "true" | "false" | "null")
            || (word.starts_with(|first: char| first.is_ascii_digit() || first == '-')
                && word.parse::<f64>().is_ok());
        self.rest = text[if known { end } else { 0 }..].chars();
        known.then_some(())
    }

    fn string(&mut self) -> Option<String> {
        let before = self.rest.clone();
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Some(text),
                Some('\\') => {
                    let letter = self.escape();
                    let Some(letter) = letter else {
                        self.rest = before;
                        return None;
                    };
                    text.push(letter);
                }
                Some(letter) if letter >= ' ' => text.push(letter),
                _ => {
                    self.rest = before;
                    return None;
                }
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.rest.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            letter @ ('"' | '\\' | '/') => letter,
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let unit = self.hex()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after = self.rest.clone();
        if self.rest.next() == Some('\\') && self.rest.next() == Some('u') {
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                return char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            }
        }
        self.rest = after;
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest.as_str().get(..4)?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.rest = self.rest.as_str()[4..].chars();
        Some(unit)
    }

    fn peek(&mut self) -> Option<char> {
        let text = self.rest.as_str().trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest = text.chars();
        text.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest.next();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.eat(wanted).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn strings(text: &str, expected: &[&str]) {
        let expected = expected.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(read(text), Some(ExecForm::Strings(expected)), "{text}");
    }

    #[track_caller]
    fn broken(text: &str, at: usize) {
        assert_eq!(read(text), Some(ExecForm::Broken { at }), "{text}");
    }

    #[test]
    fn arrays_of_strings_are_exec_form() {
        strings("[]", &[]);
        strings(r#"[ "a" , "b c" ]  "#, &["a", "b c"]);
        strings(r#"["\u2603\/\"\ud83d\ude00"]"#, &["☃/\"😀"]);
    }

    #[test]
    fn other_elements_are_no_strings() {
        for text in ["[1]", r#"["a", null]"#, r#"["a", ["b"]]"#, r#"[{"a": 1}]"#] {
            assert_eq!(read(text), Some(ExecForm::NotStrings), "{text}");
        }
    }

    #[test]
    fn near_misses_say_where_the_json_breaks() {
        broken(r#"["a",]"#, 5);
        broken("['a']", 1);
        broken(r#"["a"] && b"#, 6);
        broken(r#"["C:\x"]"#, 1);
        broken("[ -f x ]", 2);
        assert_eq!(read("echo [1]"), None);
    }
}
