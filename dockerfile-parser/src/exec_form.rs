//! The exec form: a JSON array of strings, or not, and then why not.

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
        /// What is wrong there.
        why: Break,
    },
}

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Break {
    /// A quote of the wrong kind.
    SingleQuote,
    /// Something else than a value.
    Value,
    /// A comma before the closing bracket.
    TrailingComma,
    /// Neither a comma nor a closing bracket.
    Separator,
    /// The end of the text inside the array.
    Open,
    /// A string without its closing quote.
    OpenString,
    /// A backslash before a letter that needs none.
    Escape,
    /// A control character in a string.
    Control,
    /// Text after the closing bracket.
    Trailing,
    /// Arrays in arrays, too deep.
    Depth,
}

impl Break {
    /// The cause, as the end of a sentence.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::SingleQuote => "JSON knows no single quotes",
            Self::Value => "a string in double quotes is expected here",
            Self::TrailingComma => "a comma stands before the closing bracket",
            Self::Separator => "a comma or the closing bracket is expected here",
            Self::Open => "the closing bracket is missing",
            Self::OpenString => "this string has no closing quote",
            Self::Escape => "this string has a backslash that is no JSON escape",
            Self::Control => "this string has a control character",
            Self::Trailing => "text follows the closing bracket",
            Self::Depth => "it is nested too deep",
        }
    }

    /// The remedy.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::SingleQuote | Self::Value => "put every element in double quotes",
            Self::TrailingComma => "remove the comma",
            Self::Separator => "put a comma between the elements",
            Self::Open => "close the array with ]",
            Self::OpenString => "close the string with \"",
            Self::Escape => "write \\\\ for a backslash",
            Self::Control => "write \\t for a tab, \\n for a line break",
            Self::Trailing => "remove what follows, or write the command without brackets",
            Self::Depth => "write one array of strings",
        }
    }
}

/// Reads a text as the exec form; `None` where it does not begin with `[`.
pub(crate) fn read(text: &str) -> Option<ExecForm> {
    let body = text.trim_start();
    let mut json = Json { rest: body.strip_prefix('[')?.chars(), strings: Strings::Only };
    Some(match json.array() {
        Ok(words) if json.strings == Strings::Only => ExecForm::Strings(words),
        Ok(_) => ExecForm::NotStrings,
        Err(why) => ExecForm::Broken { at: text.len() - json.rest.as_str().len(), why },
    })
}

/// Whether a text that is no array was probably meant to be one. A shell's `[ -f x ]` and the
/// wildcard `[ab]*` were not.
pub(crate) fn resembles_array(text: &str) -> bool {
    let Some(body) = text.trim_start().strip_prefix('[') else { return false };
    let inner = body.trim_start();
    let Some(quote) = inner.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let listed = body.starts_with(|first: char| !first.is_whitespace() && first != '[');
        return listed && body.contains(',') && body.trim_end().ends_with(']');
    };
    let mut letters = inner[1..].chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            let next = letters.as_str().trim_start().chars().next();
            return matches!(next, None | Some(',' | ']' | '"' | '\''));
        }
    }
    true
}

/// Deeper nesting than any reader of JSON takes.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Strings {
    Only,
    AndOthers,
}

struct Json<'a> {
    rest: Chars<'a>,
    strings: Strings,
}

impl Json<'_> {
    fn array(&mut self) -> Result<Vec<String>, Break> {
        let mut words = Vec::new();
        if !self.eat(']') {
            loop {
                match self.peek() {
                    Some('"') => words.push(self.string()?),
                    _ => self.other(0)?,
                }
                if !self.more(']')? {
                    break;
                }
            }
        }
        if self.peek().is_some() { Err(Break::Trailing) } else { Ok(words) }
    }

    /// Whether another element follows; reads the separator.
    fn more(&mut self, close: char) -> Result<bool, Break> {
        if self.eat(close) {
            return Ok(false);
        }
        let comma = self.rest.clone();
        if !self.eat(',') {
            return Err(if self.peek().is_none() { Break::Open } else { Break::Separator });
        }
        if self.peek() == Some(close) {
            self.rest = comma;
            return Err(Break::TrailingComma);
        }
        Ok(true)
    }

    /// Any value that is not a string; its content does not matter, its form does.
    fn other(&mut self, depth: usize) -> Result<(), Break> {
        self.strings = Strings::AndOthers;
        if depth > MAX_DEPTH {
            return Err(Break::Depth);
        }
        match self.peek() {
            Some('[') => self.members(']', depth),
            Some('{') => self.members('}', depth),
            Some('"') => self.string().map(drop),
            Some('\'') => Err(Break::SingleQuote),
            Some(_) => self.scalar(),
            None => Err(Break::Open),
        }
    }

    fn members(&mut self, close: char, depth: usize) -> Result<(), Break> {
        self.rest.next();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            if close == '}' {
                self.peek();
                self.string()?;
                if !self.eat(':') {
                    return Err(Break::Separator);
                }
            }
            self.other(depth + 1)?;
            if !self.more(close)? {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Break> {
        let text = self.rest.as_str();
        let end = text.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(text.len());
        let word = &text[..end];
        if !matches!(word, "true" | "false" | "null") && !is_number(word) {
            return Err(Break::Value);
        }
        self.rest = text[end..].chars();
        Ok(())
    }

    /// A string; on failure the cursor is back at its quote.
    fn string(&mut self) -> Result<String, Break> {
        let before = self.rest.clone();
        let text = self.characters();
        if text.is_err() {
            self.rest = before;
        }
        text
    }

    fn characters(&mut self) -> Result<String, Break> {
        if !self.eat('"') {
            return Err(Break::Value);
        }
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape().ok_or(Break::Escape)?),
                Some(letter) if letter >= ' ' => text.push(letter),
                Some(_) => return Err(Break::Control),
                None => return Err(Break::OpenString),
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
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        self.rest = self.rest.as_str()[4..].chars();
        all.then(|| u32::from_str_radix(digits, 16).ok())?
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
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(digits.len());
    let leading_zero = whole > 1 && digits.starts_with('0');
    whole > 0 && !leading_zero && !word.ends_with('.') && word.parse::<f64>().is_ok()
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
    fn broken(text: &str, at: usize, why: Break) {
        assert_eq!(read(text), Some(ExecForm::Broken { at, why }), "{text}");
    }

    #[test]
    fn arrays_of_strings_are_exec_form() {
        strings("[]", &[]);
        strings(r#"[ "a" , "b c" ]  "#, &["a", "b c"]);
        strings(r#"["\u2603\/\"\ud83d\ude00"]"#, &["☃/\"😀"]);
        strings(r#"["\ud83dx"]"#, &["\u{fffd}x"]);
    }

    #[test]
    fn other_elements_are_no_strings() {
        for text in ["[1]", r#"["a", null]"#, r#"["a", ["b"]]"#, r#"[{"a": -1.5e3}]"#, "[[], {}]"] {
            assert_eq!(read(text), Some(ExecForm::NotStrings), "{text}");
        }
    }

    #[test]
    fn near_misses_say_where_the_json_breaks_and_why() {
        broken(r#"["a",]"#, 4, Break::TrailingComma);
        broken("['a']", 1, Break::SingleQuote);
        broken(r#"["a"] && b"#, 6, Break::Trailing);
        broken(r#"["C:\x"]"#, 1, Break::Escape);
        broken(r#"["a" "b"]"#, 5, Break::Separator);
        broken(r#"["a", "b"#, 6, Break::OpenString);
        broken(r#"["a""#, 4, Break::Open);
        broken("[a, b]", 1, Break::Value);
        broken("[01]", 1, Break::Value);
        assert_eq!(read("echo [1]"), None);
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = "[".repeat(100_000);
        assert!(matches!(read(&deep), Some(ExecForm::Broken { why: Break::Depth, .. })));
    }

    #[test]
    fn shell_tests_and_wildcards_were_not_meant_as_arrays() {
        for text in ["[ -f x ] && y", "[ \"$A\" = b ] || c", "[[ a ]]", "[fg] /out", "[a-z]*.c /o"]
        {
            assert!(!resembles_array(text), "{text}");
        }
        for text in ["['a']", "[\"a\",]", "[\"a\"] && b", "[a, b]", "[ 'a', 'b' ]", "[\"C:\\x\"]"] {
            assert!(resembles_array(text), "{text}");
        }
    }
}
