//! Where a key is: never the key itself, which lists of processes would show.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What precedes the name of a variable, as with cosign.
const VARIABLE: &str = "env://";
/// What a cache is told of which all is to be believed.
const NONE: &str = "none";
/// With what a key begins.
const PEM: &str = "-----BEGIN";

/// Where a key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeyPlace {
    /// A file in PEM.
    File(PathBuf),
    /// A variable whose value is what such a file has.
    Variable(String),
    /// There is none.
    Nowhere,
    /// The key was written where its place should be. It is not kept, so that nothing shows it.
    Written,
}

impl KeyPlace {
    /// The place that is meant by a text.
    pub(crate) fn of(text: &str) -> Self {
        match text.strip_prefix(VARIABLE) {
            Some(name) => Self::Variable(name.to_owned()),
            None if text == NONE => Self::Nowhere,
            None if text.contains(PEM) => Self::Written,
            None => Self::File(text.into()),
        }
    }
}

impl FromStr for KeyPlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::of(text))
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Variable(name) => write!(out, "{VARIABLE}{name}"),
            Self::Nowhere => out.write_str(NONE),
            Self::Written => out.write_str("a key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_a_file_or_in_a_variable_and_is_itself_never_shown() {
        assert_eq!(KeyPlace::of("k.pem"), KeyPlace::File("k.pem".into()));
        assert_eq!(KeyPlace::of("env://KEY"), KeyPlace::Variable("KEY".to_owned()));
        assert_eq!(KeyPlace::of("none"), KeyPlace::Nowhere);
        let written = KeyPlace::of("-----BEGIN PRIVATE KEY-----\nhush");
        assert!(!format!("{written:?}{written}").contains("hush"));
    }
}
