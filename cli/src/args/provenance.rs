//! `--provenance` and `--attest`: whether a statement of how an image was built leaves with it, and
//! what it says.

use std::str::FromStr;

use super::attributes::{AttributeError, Attributes};

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ProvenanceArg {
    Off,
    On(Provenance),
}

/// What a statement says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Provenance {
    pub(crate) detail: Detail,
    /// A URI that names who builds.
    pub(crate) builder: String,
    /// The person's word that the build can be repeated byte for byte.
    pub(crate) reproducible: bool,
}

/// How much a statement tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Detail {
    /// Everything but what may not be meant for everybody.
    #[default]
    Min,
    /// Also the values of build arguments and labels, the names of secrets, and the Dockerfile.
    Max,
}

/// One `--attest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Attest {
    /// `type=provenance,…` is `--provenance` in another spelling.
    Provenance(ProvenanceArg),
    /// `type=sbom,disabled=true` is `--sbom=false`.
    NoSbom,
}

impl FromStr for Attest {
    type Err = ProvenanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        let kind = attributes.take("type").ok_or(AttributeError::Missing("type"))?;
        match kind.as_str() {
            "provenance" => ProvenanceArg::of(attributes).map(Self::Provenance),
            "sbom" if attributes.take_bool("disabled")? == Some(true) => Ok(Self::NoSbom),
            "sbom" => Err(ProvenanceError::Sbom),
            _ => Err(ProvenanceError::Type(kind)),
        }
    }
}

/// Why a `--provenance` or `--attest` cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ProvenanceError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error("mode {0:?} is neither min nor max")]
    Mode(String),
    #[error("lists of contents are not attached yet")]
    Sbom,
    #[error("type {0:?} is not provenance")]
    Type(String),
    #[error("version {0:?} is not written; v1 is")]
    Version(String),
}

impl FromStr for ProvenanceArg {
    type Err = ProvenanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "true" | "1" => return Ok(Self::On(Provenance::default())),
            "false" | "0" => return Ok(Self::Off),
            _ => {}
        }
        Self::of(Attributes::parse(text)?)
    }
}

impl ProvenanceArg {
    fn of(mut attributes: Attributes) -> Result<Self, ProvenanceError> {
        let detail = match attributes.take("mode").as_deref() {
            None | Some("min") => Detail::Min,
            Some("max") => Detail::Max,
            Some(other) => return Err(ProvenanceError::Mode(other.to_owned())),
        };
        if let Some(version) = attributes.take("version").filter(|version| version != "v1") {
            return Err(ProvenanceError::Version(version));
        }
        let builder = attributes.take("builder-id").unwrap_or_default();
        let reproducible = attributes.take_bool("reproducible")?.unwrap_or_default();
        let off = attributes.take_bool("disabled")?.unwrap_or_default();
        attributes.finish(&["builder-id", "disabled", "mode", "reproducible", "version"])?;
        Ok(if off { Self::Off } else { Self::On(Provenance { detail, builder, reproducible }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, detail: Option<Detail>) {
        let found = match text.parse().unwrap() {
            ProvenanceArg::Off => None,
            ProvenanceArg::On(asked) => Some(asked.detail),
        };
        assert_eq!(found, detail, "{text}");
    }

    #[test]
    fn a_truth_value_or_a_mode_turns_it_on() {
        check("true", Some(Detail::Min));
        check("mode=max,builder-id=https://example.org/ci", Some(Detail::Max));
        check("false", None);
        check("mode=max,disabled=true", None);
    }

    #[test]
    fn another_spelling_means_the_same() {
        let attest = |text: &str| text.parse::<Attest>();
        let max = "mode=max".parse().unwrap();
        assert_eq!(attest("type=provenance,mode=max"), Ok(Attest::Provenance(max)));
        let off = Attest::Provenance(ProvenanceArg::Off);
        assert_eq!(attest("type=provenance,disabled=true"), Ok(off));
        assert_eq!(attest("type=sbom,disabled=true"), Ok(Attest::NoSbom));
        assert_eq!(attest("type=sbom"), Err(ProvenanceError::Sbom));
        assert!(attest("mode=max").is_err() && attest("type=vex").is_err());
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for text in ["mode=all", "version=v0.2", "filename=x", "perhaps"] {
            assert!(text.parse::<ProvenanceArg>().is_err(), "{text}");
        }
    }
}
