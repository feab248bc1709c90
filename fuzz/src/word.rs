//! Words with variables, operators, quotes and escapes, over a few variables.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use wythe_dockerfile::ast::Escape;
use wythe_dockerfile::expand::{expand, expand_heredoc, expand_words};

/// A word and the variables it may name.
#[derive(Arbitrary, Debug)]
pub struct Case {
    word: Vec<Atom>,
    backtick: bool,
    variables: Vec<(Variable, String)>,
}

/// Replacements in replacements grow to the limit of expansion, which is safe and slow.
const LENGTH_MAX: usize = 400;

#[derive(Arbitrary, Debug)]
enum Variable {
    A,
    B,
    Unset,
    Digit,
}

#[derive(Arbitrary, Debug)]
enum Atom {
    Bare(Variable),
    Braced(Variable),
    Operator(Variable, Operator, Vec<Atom>),
    Replace(Variable, bool, Vec<Atom>, Vec<Atom>),
    Double(Vec<Atom>),
    Single(String),
    Escaped(char),
    Text(String),
    Raw(Raw),
}

#[derive(Arbitrary, Debug)]
enum Operator {
    Default,
    DefaultIfUnset,
    Instead,
    InsteadIfSet,
    Required,
    Prefix,
    LongPrefix,
    Suffix,
    LongSuffix,
}

#[derive(Arbitrary, Debug)]
enum Raw {
    Dollar,
    Open,
    Close,
    Quote,
    Apostrophe,
    Escape,
    Star,
    Question,
    Slash,
    Blank,
}

impl Case {
    /// Expansion ends without a panic, is the same every time, and leaves plain text alone.
    pub fn check(&self) {
        let escape = if self.backtick { Escape::Backtick } else { Escape::Backslash };
        let mut word = String::new();
        self.word.iter().for_each(|atom| atom.write(&mut word, self.backtick));
        if word.len() > LENGTH_MAX {
            return;
        }
        let names =
            self.variables.iter().map(|(name, value)| (name.name().to_owned(), value.clone()));
        let variables: BTreeMap<String, String> = names.collect();
        let found = expand(&word, escape, &variables);
        assert_eq!(found, expand(&word, escape, &variables));
        let words = expand_words(&word, escape, &variables);
        assert_eq!(found.is_ok(), words.is_ok(), "{word:?}");
        if let (Ok(found), Ok(words)) = (&found, &words) {
            let visible = |text: &str| {
                text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>()
            };
            assert_eq!(visible(&found.value), visible(&words.concat()), "{word:?}");
        }
        // What is wrong with a body is an answer, too.
        drop(expand_heredoc(&word, &variables));
        if !word.contains(['$', '\\', '`', '"', '\'']) {
            assert_eq!(found.map(|found| found.value), Ok(word));
        }
    }
}

impl Variable {
    fn name(&self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B_1",
            Self::Unset => "nothing",
            Self::Digit => "1",
        }
    }
}

impl Atom {
    fn write(&self, out: &mut String, backtick: bool) {
        let all = |atoms: &[Self], out: &mut String| {
            atoms.iter().for_each(|atom| atom.write(out, backtick));
        };
        let escape = if backtick { '`' } else { '\\' };
        match self {
            Self::Bare(name) => out.extend(["$", name.name()]),
            Self::Braced(name) => out.extend(["${", name.name(), "}"]),
            Self::Operator(name, operator, word) => {
                out.extend(["${", name.name(), operator.sign()]);
                all(word, out);
                out.push('}');
            }
            Self::Replace(name, every, pattern, word) => {
                out.extend(["${", name.name(), if *every { "//" } else { "/" }]);
                all(pattern, out);
                out.push('/');
                all(word, out);
                out.push('}');
            }
            Self::Double(atoms) => {
                out.push('"');
                all(atoms, out);
                out.push('"');
            }
            Self::Single(text) => out.extend(["'", text, "'"]),
            Self::Escaped(letter) => out.extend([escape, *letter]),
            Self::Text(text) => out.push_str(text),
            Self::Raw(raw) => out.push(raw.letter(escape)),
        }
    }
}

impl Operator {
    fn sign(&self) -> &'static str {
        match self {
            Self::Default => ":-",
            Self::DefaultIfUnset => "-",
            Self::Instead => ":+",
            Self::InsteadIfSet => "+",
            Self::Required => ":?",
            Self::Prefix => "#",
            Self::LongPrefix => "##",
            Self::Suffix => "%",
            Self::LongSuffix => "%%",
        }
    }
}

impl Raw {
    fn letter(&self, escape: char) -> char {
        match self {
            Self::Dollar => '$',
            Self::Open => '{',
            Self::Close => '}',
            Self::Quote => '"',
            Self::Apostrophe => '\'',
            Self::Escape => escape,
            Self::Star => '*',
            Self::Question => '?',
            Self::Slash => '/',
            Self::Blank => ' ',
        }
    }
}
