//! Patterns for a path, with `**`.

use super::Malformed;
use super::automaton::{Automaton, Front};
use super::{regular, syntax};

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
    /// Reads a clean pattern, which has to be one for names, too.
    pub(super) fn parse(pattern: &str) -> Result<Self, Malformed> {
        syntax::tokens(pattern)?;
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
        Ok(Self::Other(Automaton::new(regular::tokens(pattern)?)))
    }

    /// How far nothing at all comes in the pattern, where it goes letter by letter.
    pub(super) fn start(&self) -> Option<Front> {
        match self {
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => None,
            Self::Other(automaton) => Some(automaton.start()),
        }
    }

    /// Whether the pattern matches a path; `front` is how far its directory and a `/` came.
    pub(super) fn matches(&self, front: Option<&Front>, path: &str) -> bool {
        match (self, front) {
            (Self::Exact(exact), _) => path == exact,
            (Self::Prefix(prefix), _) => path.starts_with(prefix.as_str()),
            (Self::Suffix(suffix), _) => ends(path, suffix),
            (Self::Other(automaton), Some(front)) => {
                let front = follow(automaton, front, last(path));
                front.is_some_and(|front| automaton.accepts(&front))
            }
            (Self::Other(_), None) => false,
        }
    }

    /// How far a directory and a `/` come; `front` is as for [`PathPattern::matches`].
    pub(super) fn descend(&self, front: Option<&Front>, directory: &str) -> Option<Front> {
        let Self::Other(automaton) = self else { return None };
        let at = follow(automaton, front?, last(directory))?;
        Some(automaton.step(&at, '/')).filter(|front| !front.is_empty())
    }

    /// Whether the pattern may match something inside of a directory; `front` is how far that and a
    /// `/` came.
    pub(super) fn leads_below(&self, front: Option<&Front>, directory: &str) -> bool {
        match self {
            Self::Exact(exact) => is_inside(exact, directory),
            Self::Prefix(prefix) => is_inside(prefix, directory) || is_begun(directory, prefix),
            Self::Suffix(_) => true,
            Self::Other(_) => front.is_some(),
        }
    }
}

/// How far one name more comes; nothing where no path that goes on so can match.
fn follow(automaton: &Automaton, front: &Front, name: &str) -> Option<Front> {
    let step = |front: Front, letter| {
        let next = automaton.step(&front, letter);
        (!next.is_empty()).then_some(next)
    };
    name.chars().try_fold(front.clone(), step)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether `path` is one of what is in a directory.
fn is_inside(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether all paths in a directory, or all that matter of them, begin so.
fn is_begun(directory: &str, prefix: &str) -> bool {
    directory.starts_with(prefix) || prefix.strip_suffix('/') == Some(directory)
}

fn ends(path: &str, suffix: &str) -> bool {
    path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
}
