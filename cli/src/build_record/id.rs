//! What a build is called by programs: 25 digits and small letters, as BuildKit's references are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many letters an id has.
const LENGTH: usize = 25;

/// The identity of a build.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BuildId(String);

/// Why a text is no id of a build.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id of a build has 25 digits and small letters")]
pub(crate) struct BuildIdError;

/// Which builds somebody means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum BuildSelector {
    /// The one before so many others, the latest being none: `^0`, `^1`.
    Back(usize),
    /// Those whose ids begin so.
    Prefix(String),
}

/// Why a text selects no build.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither the beginning of an id nor ^N, counted from the latest build, which is ^0")]
pub(crate) struct BuildSelectorError;

impl BuildId {
    /// The id that these random bits make.
    pub(crate) fn from_random(bits: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(bits);
        let mut letters = [b'0'; LENGTH];
        for letter in letters.iter_mut().rev() {
            let digit = u8::try_from(number % 36).unwrap_or_default();
            *letter = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            number /= 36;
        }
        Self(letters.iter().map(|letter| char::from(*letter)).collect())
    }

    /// The letters.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == LENGTH && is_of_id(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BuildIdError)
        }
    }
}

impl TryFrom<String> for BuildId {
    type Error = BuildIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.0
    }
}

impl FromStr for BuildSelector {
    type Err = BuildSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As buildx writes references in files: BUILDER/NODE/ID.
        let text = text.rsplit('/').next().unwrap_or(text);
        match text.strip_prefix('^') {
            Some(back) => back.parse().map(Self::Back).map_err(|_| BuildSelectorError),
            None if !text.is_empty() && text.len() <= LENGTH && is_of_id(text) => {
                Ok(Self::Prefix(text.to_owned()))
            }
            None => Err(BuildSelectorError),
        }
    }
}

fn is_of_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_buildkits_references() {
        let none = BuildId::from_random([0; 16]);
        assert_eq!(none.as_str(), "0".repeat(25));
        let most = BuildId::from_random([255; 16]);
        assert_eq!(most.as_str().len(), 25);
        assert_eq!(most.as_str().parse(), Ok(most.clone()));
        assert_ne!(most, BuildId::from_random([254; 16]));
        for bad in ["", "short", "../../../../etc/passwd123", "ABCDEFGHIJKLMNOPQRSTUVWXY"] {
            assert_eq!(bad.parse::<BuildId>(), Err(BuildIdError), "{bad}");
        }
    }

    #[test]
    fn a_build_is_selected_by_a_beginning_or_by_its_place() {
        assert_eq!("^2".parse(), Ok(BuildSelector::Back(2)));
        assert_eq!("ab1".parse(), Ok(BuildSelector::Prefix("ab1".to_owned())));
        assert_eq!("default/default/ab1".parse(), Ok(BuildSelector::Prefix("ab1".to_owned())));
        for bad in ["", "^", "^x", "^-1", "a.b", "..", "AB"] {
            assert_eq!(bad.parse::<BuildSelector>(), Err(BuildSelectorError), "{bad}");
        }
    }
}
