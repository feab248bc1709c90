//! `check=`: which rules apply, and whether a finding fails the build.

use super::rule::{Rule, Status};

/// What `check=` says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    skip: Names,
    experimental: Names,
    /// What a finding does to the build.
    pub on_finding: OnFinding,
}

/// What a finding does to the build.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnFinding {
    /// It is reported.
    #[default]
    Report,
    /// It fails the build.
    Fail,
}

/// Names of rules, in lower case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Names {
    #[default]
    None,
    Some(Vec<String>),
    All,
}

/// A `check=` that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// An option that is none of `skip`, `error` and `experimental`.
    #[error("invalid check option {0:?}")]
    Option(String),
    /// `error=` with something that is no boolean.
    #[error("failed to parse check option {0:?} as boolean")]
    Boolean(String),
}

impl Settings {
    /// Reads `skip=A,B;error=true;experimental=C`.
    ///
    /// # Errors
    /// An unknown option, or an `error` that is neither true nor false.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        for option in text.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let Some((key, value)) = option.split_once('=') else {
                return Err(SettingsError::Option(option.to_owned()));
            };
            match key.trim() {
                "skip" => settings.skip = Names::parse(value),
                "experimental" => settings.experimental = Names::parse(value),
                "error" => settings.on_finding = on_finding(value.trim(), option)?,
                _ => return Err(SettingsError::Option(option.to_owned())),
            }
        }
        Ok(settings)
    }

    /// The rules that a comment above an instruction turns off, if it is such a comment.
    pub(super) fn from_comment(comment: &str) -> Option<Self> {
        let (name, value) = comment.trim().split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("check") {
            return None;
        }
        Self::parse(value).ok()
    }

    /// Whether a rule applies.
    pub(super) fn allows(&self, rule: &Rule) -> bool {
        match rule.status {
            Status::Stable => !self.skips(rule),
            // What was asked for is not among "all" that is skipped.
            Status::Experimental => {
                self.experimental.contains(rule.name) && !self.skip.has(rule.name)
            }
        }
    }

    /// Whether a rule is turned off by name, or with all others.
    pub(super) fn skips(&self, rule: &Rule) -> bool {
        self.skip.contains(rule.name)
    }
}

impl Names {
    fn parse(text: &str) -> Self {
        if text.trim().eq_ignore_ascii_case("all") {
            return Self::All;
        }
        Self::Some(text.split(',').map(|name| name.trim().to_lowercase()).collect())
    }

    fn contains(&self, name: &str) -> bool {
        *self == Self::All || self.has(name)
    }

    /// Whether a name is listed as such.
    fn has(&self, name: &str) -> bool {
        matches!(self, Self::Some(names) if names.contains(&name.to_lowercase()))
    }
}

fn on_finding(value: &str, option: &str) -> Result<OnFinding, SettingsError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(OnFinding::Fail),
        "false" | "f" | "0" => Ok(OnFinding::Report),
        _ => Err(SettingsError::Boolean(option.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rule::{INVALID_DEFINITION_DESCRIPTION, MAINTAINER_DEPRECATED};

    #[test]
    fn options_are_separated_by_semicolons() {
        let settings = Settings::parse("skip=A, maintainerdeprecated ;error=true").unwrap();
        assert!(!settings.allows(&MAINTAINER_DEPRECATED));
        assert_eq!(settings.on_finding, OnFinding::Fail);
        assert!(!settings.allows(&INVALID_DEFINITION_DESCRIPTION));
        let settings = Settings::parse("experimental=all").unwrap();
        assert!(settings.allows(&INVALID_DEFINITION_DESCRIPTION));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(Settings::parse("skp=A"), Err(SettingsError::Option("skp=A".to_owned())));
        assert_eq!(Settings::parse("skip"), Err(SettingsError::Option("skip".to_owned())));
        assert_eq!(Settings::parse("error=x"), Err(SettingsError::Boolean("error=x".to_owned())));
    }
}
