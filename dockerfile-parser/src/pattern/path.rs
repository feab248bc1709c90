//! Patterns for a path, with `**`; what matches a directory matches everything in it.

use super::Malformed;
use super::automaton::{Automaton, Token};
use super::escape::Escapes;
use super::syntax::{Sign, signs};

/// A pattern for a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PathPattern {
    /// This path.
    Exact(String),
    /// `text**`: every path that begins so.
    Prefix(String),
    /// `**text`: every path that ends so, and `**/text` the path `text`, too.
    Suffix(String),
    /// Anything else.
    Other(Automaton),
}

impl PathPattern {
    /// Reads a clean pattern.
    pub(super) fn parse(pattern: &str) -> Result<Self, Malformed> {
        let signs = signs(pattern, Escapes::Regular)?;
        let plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
        if plain(pattern) {
            return Ok(Self::Exact(pattern.to_owned()));
        }
        if let Some(suffix) = pattern.strip_prefix("**").filter(|suffix| plain(suffix)) {
            return Ok(Self::Suffix(suffix.to_owned()));
        }
        if let Some(prefix) = pattern.strip_suffix("**").filter(|prefix| plain(prefix)) {
            return Ok(Self::Prefix(prefix.to_owned()));
        }
        Ok(Self::Other(Automaton::new(tokens(&signs))))
    }

    /// Whether the pattern matches the path or a directory it is in.
    pub(super) fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path
                .strip_prefix(exact.as_str())
                .is_some_and(|r| r.is_empty() || r.starts_with('/')),
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => with_parents(path).any(|path| ends(path, suffix)),
            Self::Other(automaton) => covers(automaton, path),
        }
    }

    /// Whether the pattern may match something inside of a directory.
    pub(super) fn leads_below(&self, directory: &str) -> bool {
        let mut inside = directory.to_owned();
        inside.push('/');
        match self {
            Self::Exact(exact) => exact.starts_with(&inside),
            Self::Prefix(prefix) => {
                prefix.starts_with(&inside) || inside.starts_with(prefix.as_str())
            }
            Self::Suffix(_) => true,
            Self::Other(automaton) => {
                let step = |front, letter| automaton.step(&front, letter);
                !inside.chars().fold(automaton.start(), step).is_empty()
            }
        }
    }
}

/// `**` takes a `/` behind it along. At the end it is any text, and elsewhere any directories.
fn tokens(signs: &[Sign]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = signs;
    loop {
        rest = match rest {
            [] => return tokens,
            [Sign::Star, Sign::Star, Sign::Letter('/'), after @ ..]
            | [Sign::Star, Sign::Star, after @ ..] => {
                if after.is_empty() {
                    tokens.push(Token::Rest);
                } else {
                    tokens.extend([Token::Maybe, Token::Directories]);
                }
                after
            }
            [sign, after @ ..] => {
                tokens.push(match sign {
                    Sign::Star => Token::Star,
                    Sign::Any => Token::Any,
                    Sign::Letter(letter) => Token::Letter(*letter),
                    Sign::Class(class) => Token::Class(class.clone()),
                });
                after
            }
        }
    }
}

fn covers(automaton: &Automaton, path: &str) -> bool {
    let mut front = automaton.start();
    for letter in path.chars() {
        if letter == '/' && automaton.accepts(&front) {
            return true;
        }
        front = automaton.step(&front, letter);
        if front.is_empty() {
            return false;
        }
    }
    automaton.accepts(&front)
}

fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
    parents.chain(std::iter::once(path))
}

fn ends(path: &str, suffix: &str) -> bool {
    path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
}
