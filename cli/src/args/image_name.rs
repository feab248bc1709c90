//! `--tag`: names of images, each perhaps of one target among several.

use std::str::FromStr;

use wythe_store::oci::reference::{ParseReferenceError, Reference};

use crate::failure::Failure;

/// What stands for the name of a target. No reference has braces.
pub(crate) const PLACEHOLDER: &str = "{target}";

/// `[TARGET=]NAME[:TAG]`, where the name may say `{target}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ImageName {
    /// The only target that it names, in lower case.
    pub(crate) target: Option<String>,
    text: String,
}

/// Why a text names no image that is to be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ImageNameError {
    /// It is no name at all.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// It says which digest the image has.
    #[error("{0:?} has a digest, which an image gets from what is in it")]
    Digest(String),
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // No reference has an equals sign.
        let (target, text) = match text.split_once('=') {
            Some((target, text)) => (Some(target.to_lowercase()), text.to_owned()),
            None => (None, text.to_owned()),
        };
        let name = Self { target, text };
        let reference = name.filled("x").parse::<Reference>()?;
        match reference.digest() {
            Some(_) => Err(ImageNameError::Digest(name.text)),
            None => Ok(name),
        }
    }
}

impl ImageName {
    /// As the flag has it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a target has it.
    pub(crate) fn is_of(&self, target: &str) -> bool {
        self.target.as_deref().is_none_or(|name| name == target)
    }

    /// The spelling for a target.
    pub(crate) fn filled(&self, target: &str) -> String {
        self.text.replace(PLACEHOLDER, target)
    }

    /// The reference for a target.
    pub(crate) fn reference(&self, target: &str) -> Result<Reference, Failure> {
        Ok(self.filled(target).parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [Option<&str>; 2]) {
        let name: ImageName = text.parse().unwrap();
        let of = |target: &str| name.is_of(target).then(|| name.filled(target));
        assert_eq!(["one", "two"].map(of), expected.map(|name| name.map(str::to_owned)), "{text}");
    }

    #[test]
    fn a_name_is_of_all_targets_or_of_one() {
        check("app:1", [Some("app:1"), Some("app:1")]);
        check("One=app:1", [Some("app:1"), None]);
        check("r.io:5000/{target}:1", [Some("r.io:5000/one:1"), Some("r.io:5000/two:1")]);
        check("two=app:{target}", [None, Some("app:two")]);
    }

    #[test]
    fn what_is_no_name_is_refused_before_anything_is_built() {
        let pinned = format!("app:1@sha256:{}", "0".repeat(64));
        for text in ["App", "one=", "one=a=b", "{other}:1", &pinned] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
