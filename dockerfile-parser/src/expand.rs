//! Words become text: quotes and escapes are taken off, variables are put in.

mod lexer;
mod substitution;
mod text;
mod wildcard;

use std::collections::BTreeMap;

use crate::ast::Escape;
use lexer::{Lexer, Quotes};

/// The variables a word may name.
pub trait Variables {
    /// The value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<String>;

    /// The names of all variables, for suggestions.
    fn names(&self) -> Vec<String>;
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A word after expansion.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expanded {
    /// The text.
    pub value: String,
    /// The names that were read and not set, in order of reading, operators included.
    pub unset: Vec<String>,
}

/// A word that cannot be expanded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("failed to process {word:?}: {cause}")]
pub struct ExpandError {
    /// The whole word as written.
    pub word: String,
    /// Why.
    pub cause: Cause,
}

/// Why a word cannot be expanded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A quote is opened and never closed.
    #[error("unexpected end of statement while looking for matching {0}")]
    Unclosed(&'static str),
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${N/p` without the second `/`.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${` without a name.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// An operator that does not exist.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// A backslash in a pattern before a letter that needs none.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{}'", escaped.map(String::from).unwrap_or_default())]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What follows the backslash.
        escaped: Option<char>,
    },
    /// `${N?message}` or `${N:?message}` of a variable without a value.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The message as written, or the usual one.
        message: String,
    },
    /// Substitutions inside of substitutions, too many of them.
    #[error("substitutions are nested more than {0} deep")]
    Depth(usize),
    /// The result would be too long.
    #[error("the value is longer than {0} bytes")]
    Length(usize),
}

impl Cause {
    /// What helps, in one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unclosed(quote) if quote.starts_with("single") => "close it with '".to_owned(),
            Self::Unclosed(_) => {
                "close it with \", or write \\\" for the character itself".to_owned()
            }
            Self::MissingBrace => "close it with }".to_owned(),
            Self::MissingSlash => "write ${NAME/pattern/replacement}".to_owned(),
            Self::BadSubstitution => "write a name, as in ${NAME}".to_owned(),
            Self::Modifier(_) => {
                "known are ${N:-x}, ${N:+x}, ${N:?x}, ${N#x}, ${N%x} and ${N/x/y}".to_owned()
            }
            Self::Pattern { .. } => "only * ? \\ } and / take a backslash".to_owned(),
            Self::Required { name, .. } => {
                format!("set it with ENV, or declare it with ARG and give --build-arg {name}=VALUE")
            }
            Self::Depth(_) | Self::Length(_) => "put parts of it into variables".to_owned(),
        }
    }
}

/// Expands one word to one text.
///
/// # Errors
/// When a quote or a brace is not closed, an operator is unknown or a required variable not set.
pub fn expand(
    word: &str,
    escape: Escape,
    variables: &dyn Variables,
) -> Result<Expanded, ExpandError> {
    let lexer = Lexer::new(word, escape, Quotes::Group, variables);
    lexer.run().map(|(text, unset)| Expanded { value: text.value, unset })
}

/// Expands a text and splits the result; blanks of unquoted variables split too.
///
/// # Errors
/// As [`expand`].
pub fn expand_words(
    text: &str,
    escape: Escape,
    variables: &dyn Variables,
) -> Result<Vec<String>, ExpandError> {
    let lexer = Lexer::new(text, escape, Quotes::Group, variables);
    lexer.run().map(|(text, _)| text.into_words())
}

/// Expands the body of an unquoted heredoc: quotes are ordinary, the escape is the backslash.
///
/// # Errors
/// As [`expand`].
pub fn expand_heredoc(body: &str, variables: &dyn Variables) -> Result<Expanded, ExpandError> {
    let lexer = Lexer::new(body, Escape::Backslash, Quotes::Ordinary, variables);
    lexer.run().map(|(text, unset)| Expanded { value: text.value, unset })
}

#[cfg(test)]
mod tests;
