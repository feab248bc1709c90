//! What layers and archives may unpack to: `entries=5000000`, `unpacked=500g`.

use std::str::FromStr;

use wythe_store::layer::limits::{Limit, Limits};

use crate::args::limits::Size;

/// A limit and its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LayerLimit(Limit, u64);

impl FromStr for LayerLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || format!("{text:?} is none of entries=NUMBER, unpacked=SIZE and expansion=NUMBER");
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        let (limit, Size(value)) =
            (name.parse().map_err(|()| bad())?, value.parse().map_err(|_| bad())?);
        Ok(Self(limit, value))
    }
}

/// The defaults, with what the environment (`NAME=VALUE,…`) and then the flags say.
///
/// # Errors
///
/// If the environment has something else.
pub(crate) fn layer_limits(
    environment: Option<&str>,
    flags: &[LayerLimit],
) -> Result<Limits, String> {
    let mut limits = Limits::default();
    let words = environment.unwrap_or("").split(',').filter(|word| !word.is_empty());
    let given = words.map(str::parse).collect::<Result<Vec<LayerLimit>, _>>()?;
    for LayerLimit(limit, value) in given.iter().chain(flags) {
        limits.set(*limit, *value);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_both_over_the_defaults() {
        let flags = ["entries=7".parse().unwrap()];
        let limits = layer_limits(Some("entries=5,unpacked=2k"), &flags).unwrap();
        let all = Limits::default();
        assert_eq!(limits, Limits { entries: 7, unpacked: 2048, expansion: all.expansion });
        assert_eq!(layer_limits(None, &[]).unwrap(), all);
    }

    #[test]
    fn what_is_no_limit_is_said() {
        for text in ["entries", "entries=", "entries=x", "files=3", "=3"] {
            assert!(text.parse::<LayerLimit>().is_err(), "{text}");
            assert!(layer_limits(Some(text), &[]).unwrap_err().contains("entries=NUMBER"));
        }
    }
}
