//! Ignore files of a few letters, and paths that they may or may not match.

use arbitrary::Arbitrary;
use wythe_dockerfile::pattern::PatternSet;

/// An ignore file and a path.
#[derive(Arbitrary, Debug)]
pub struct Case {
    lines: Vec<Line>,
    path: Vec<Vec<Letter>>,
    raw: String,
}

#[derive(Arbitrary, Debug)]
struct Line {
    kept: bool,
    rooted: bool,
    parts: Vec<Part>,
}

#[derive(Arbitrary, Debug)]
enum Part {
    /// `**` on its own.
    Any,
    Names(Vec<Token>),
}

#[derive(Arbitrary, Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Letter(Letter),
    Star,
    Question,
    /// Never a negated one: that matches a slash, too, as regular expressions do, and the matcher
    /// below goes name by name.
    Class(Letter),
}

#[derive(Arbitrary, Clone, Copy, Debug, Eq, PartialEq)]
enum Letter {
    A,
    B,
    Dot,
    Wide,
}

/// Longer ones only take longer to try every way.
const PARTS_MAX: usize = 5;

impl Case {
    /// What decides is what a matcher that tries everything says, and nothing panics.
    pub fn check(&self) {
        // Whatever stands in a file, reading it is an answer.
        drop(PatternSet::parse_ignore_file(&self.raw));
        let lines: Vec<&Line> =
            self.lines.iter().filter(|line| line.is_plain()).take(PARTS_MAX).collect();
        let text: String = lines.iter().map(|line| line.text() + "\n").collect();
        let path: Vec<Vec<char>> =
            self.path.iter().take(PARTS_MAX).map(|name| spelt(name)).collect();
        let plain =
            |name: &Vec<char>| !name.is_empty() && !name.iter().all(|letter| *letter == '.');
        if path.is_empty() || !path.iter().all(plain) {
            return;
        }
        let names: Vec<String> = path.iter().map(|name| name.iter().collect()).collect();
        let set = PatternSet::parse_ignore_file(&text)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let expected = excludes(&lines, &path);
        let path = names.join("/");
        assert_eq!(set.excludes(&path), expected, "{path:?} in\n{text}");
        let mut level = set.top();
        for (end, _) in path.match_indices('/') {
            level = set.enter(&level, &path[..end]);
            assert!(level.may_keep_below() || set.excludes(&path), "{path:?} in\n{text}");
        }
    }
}

/// From the top down, every line in order, each knowing whether it matched the directory above, and
/// asked only where it would change what is so far.
fn excludes(lines: &[&Line], path: &[Vec<char>]) -> bool {
    let mut above = vec![false; lines.len()];
    let mut excluded = false;
    for end in 1..=path.len() {
        excluded = false;
        for (line, matched) in lines.iter().zip(&mut above) {
            *matched |= line.kept == excluded && line.matches(&path[..end]);
            if *matched {
                excluded = !line.kept;
            }
        }
    }
    excluded
}

fn spelt(name: &[Letter]) -> Vec<char> {
    name.iter().take(PARTS_MAX).map(|letter| letter.text()).collect()
}

impl Line {
    /// Lines that mean what they look like: no empty name, no `.` or `..`, no `**` in a name.
    fn is_plain(&self) -> bool {
        let dots =
            |tokens: &[Token]| tokens.iter().all(|token| *token == Token::Letter(Letter::Dot));
        let stars =
            |tokens: &[Token]| tokens.windows(2).any(|two| two == [Token::Star, Token::Star]);
        let plain = |part: &Part| match part {
            Part::Any => true,
            Part::Names(tokens) => !dots(tokens) && !stars(tokens) && tokens.len() <= PARTS_MAX,
        };
        (1..=PARTS_MAX).contains(&self.parts.len()) && self.parts.iter().all(plain)
    }

    fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::Any => "**".to_owned(),
            Part::Names(tokens) => tokens.iter().map(|token| token.text()).collect(),
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        let (kept, root) = (if self.kept { "!" } else { "" }, if self.rooted { "/" } else { "" });
        format!("{kept}{root}{}", parts.join("/"))
    }

    fn matches(&self, path: &[Vec<char>]) -> bool {
        parts(&self.parts, path)
    }
}

fn parts(pattern: &[Part], path: &[Vec<char>]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        // At the end it is everything below, and not the directory itself.
        Some((Part::Any, [])) => !path.is_empty(),
        Some((Part::Any, rest)) => (0..=path.len()).any(|skip| parts(rest, &path[skip..])),
        Some((Part::Names(tokens), rest)) => path
            .split_first()
            .is_some_and(|(name, below)| letters(tokens, name) && parts(rest, below)),
    }
}

fn letters(tokens: &[Token], name: &[char]) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return name.is_empty() };
    if *token == Token::Star {
        return (0..=name.len()).any(|skip| letters(rest, &name[skip..]));
    }
    let Some((letter, others)) = name.split_first() else { return false };
    let fits = match token {
        Token::Letter(wanted) => *letter == wanted.text(),
        Token::Class(wanted) => *letter == wanted.text(),
        Token::Question | Token::Star => true,
    };
    fits && letters(rest, others)
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Letter(letter) => letter.text().to_string(),
            Self::Star => "*".to_owned(),
            Self::Question => "?".to_owned(),
            Self::Class(letter) => format!("[{}]", letter.text()),
        }
    }
}

impl Letter {
    fn text(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
            Self::Dot => '.',
            Self::Wide => 'é',
        }
    }
}
