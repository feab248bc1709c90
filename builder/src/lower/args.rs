//! Which value a declared argument gets.
//!
//! The command line comes first, then the default where the argument is declared, then the global
//! value of that name. A stage sees nothing that it, or a stage it starts from, did not declare.

use std::collections::BTreeMap;

use crate::options::{EPOCH, Options};

/// What proxies are called; each is known in lower case too.
pub const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// The arguments declared so far, in order of declaration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    declared: Vec<(String, Option<String>)>,
}

impl Scope {
    /// Declares `name`. Declaring it again replaces its value and keeps its place.
    pub fn declare(&mut self, name: &str, value: Option<String>) {
        match self.declared.iter_mut().find(|(known, _)| known == name) {
            Some(slot) => slot.1 = value,
            None => self.declared.push((name.to_owned(), value)),
        }
    }

    /// The value of a declared argument that has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.declared.iter().find(|(known, _)| known == name)?;
        value.as_deref()
    }

    /// The arguments that have a value, in order of declaration.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.declared.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
    }
}

/// The value of an `ARG` in a stage. `default` is expanded already.
pub fn stage_value(
    name: &str,
    default: Option<String>,
    build_args: &BTreeMap<String, String>,
    global: &Scope,
) -> Option<String> {
    let given = build_args.get(name).cloned();
    given.or(default).or_else(|| global.get(name).map(str::to_owned))
}

/// The proxies of the command line, in both cases, as a step sees them. An empty one is none.
pub fn proxies(build_args: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for upper in PROXIES {
        let lower = upper.to_ascii_lowercase();
        let other = || build_args.iter().find(|(name, _)| name.eq_ignore_ascii_case(upper));
        for name in [upper, lower.as_str()] {
            let value = build_args.get(name).or_else(|| Some(other()?.1));
            found.extend(value.map(|value| (name.to_owned(), value.clone())));
        }
    }
    found.retain(|(_, value)| !value.is_empty());
    found
}

/// `SOURCE_DATE_EPOCH` in seconds; empty text is no epoch.
///
/// # Errors
///
/// When it is not a number.
pub fn epoch(options: &Options) -> Result<Option<i64>, EpochError> {
    let text = options.build_args.get(EPOCH).map_or("", String::as_str);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| EpochError { text: text.to_owned() })
}

/// Why a `SOURCE_DATE_EPOCH` is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid SOURCE_DATE_EPOCH: {text}")]
pub struct EpochError {
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(build_args: &[(&str, &str)], default: Option<&str>, expected: Option<&str>) {
        let mut global = Scope::default();
        global.declare("V", Some("global".to_owned()));
        let value = stage_value("V", default.map(str::to_owned), &given(build_args), &global);
        assert_eq!(value.as_deref(), expected);
    }

    #[test]
    fn the_command_line_wins_over_the_default_and_the_default_over_the_global_value() {
        check(&[("V", "9")], Some("2"), Some("9"));
        check(&[], Some("2"), Some("2"));
        check(&[], None, Some("global"));
    }

    #[test]
    fn declaring_again_keeps_the_place() {
        let mut scope = Scope::default();
        scope.declare("A", Some("1".to_owned()));
        scope.declare("B", None);
        scope.declare("C", Some("3".to_owned()));
        scope.declare("A", Some("2".to_owned()));
        assert_eq!(scope.values().collect::<Vec<_>>(), [("A", "2"), ("C", "3")]);
    }

    #[test]
    fn a_proxy_is_known_in_both_cases() {
        let both = [("NO_PROXY", "x"), ("no_proxy", "x")];
        let both = both.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for name in ["no_proxy", "NO_PROXY", "No_Proxy"] {
            assert_eq!(proxies(&given(&[(name, "x"), ("HTTP_PROXY", "")])), both, "{name}");
        }
    }

    #[test]
    fn an_epoch_is_a_number_or_nothing() {
        let mut options = Options::new(wythe_store::oci::platform::Platform::linux("amd64"));
        let mut check = |text: &str, expected| {
            options.build_args.insert("SOURCE_DATE_EPOCH".to_owned(), text.to_owned());
            assert_eq!(epoch(&options).ok(), expected, "{text}");
        };
        check("", Some(None));
        check("12", Some(Some(12)));
        check("abc", None);
    }
}
