//! The flags that settings may give a value, as the definition of the command line has them, and what they are
//! called in files and variables.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

/// The command line of another program, which means what that program takes it for.
const FOREIGN: &str = "kaniko";

/// A flag of ours that people are shown.
#[derive(Clone, Debug)]
pub(crate) struct ConfigurableFlag {
    /// The names of the command and of the groups it is in; none for a flag of every command.
    pub(crate) command: Vec<String>,
    /// The long name.
    pub(crate) name: String,
    /// What is said of it.
    pub(crate) arg: Arg,
}

/// The flags of a command line, those of every command first.
pub(crate) fn flags(definition: &Command) -> Vec<ConfigurableFlag> {
    let mut found = Vec::new();
    gather(definition, &mut Vec::new(), &mut found);
    found
}

fn gather(command: &Command, path: &mut Vec<String>, found: &mut Vec<ConfigurableFlag>) {
    let is_shown = |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_action(), ArgAction::Help);
    for arg in command.get_arguments().filter(is_shown) {
        if let Some(name) = arg.get_long() {
            let (command, name) = (path.clone(), name.to_owned());
            found.push(ConfigurableFlag { command, name, arg: arg.clone() });
        }
    }
    for inner in command.get_subcommands() {
        if !inner.is_hide_set() && inner.get_name() != FOREIGN {
            path.push(inner.get_name().to_owned());
            gather(inner, path, found);
            path.pop();
        }
    }
}

impl ConfigurableFlag {
    /// The words below `flags` of a file that lead to it.
    pub(crate) fn path(&self) -> Vec<String> {
        let mut path = self.command.clone();
        path.push(self.name.clone());
        path
    }

    /// What it is called in a file.
    #[cfg(test)]
    pub(crate) fn key(&self) -> String {
        format!("flags.{}", self.path().join("."))
    }

    /// The variable that says the same.
    pub(crate) fn variable(&self) -> String {
        format!("WYTHE_{}", self.path().join("_").replace('-', "_").to_uppercase())
    }

    /// Whether it may be there often, with a value each time.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    /// Whether it takes these values.
    ///
    /// # Errors
    ///
    /// With what it takes instead.
    pub(crate) fn accepts(&self, values: &[OsString]) -> Result<(), String> {
        if values.len() > 1 && !self.is_list() {
            return Err("it takes one value".to_owned());
        }
        values.iter().try_for_each(|value| self.accepts_one(value))
    }

    /// As the command line would, without the other flags that this one may contradict.
    fn accepts_one(&self, value: &OsStr) -> Result<(), String> {
        let mut arg = Arg::new("value")
            .long("value")
            .allow_hyphen_values(true)
            .action(self.arg.get_action().clone())
            .value_parser(self.arg.get_value_parser().clone());
        if let Some(delimiter) = self.arg.get_value_delimiter() {
            arg = arg.value_delimiter(delimiter);
        }
        let mut word = OsString::from("--value=");
        word.push(value);
        let alone = Command::new("wythe").no_binary_name(true).arg(arg);
        alone.try_get_matches_from([word]).map(|_| ()).map_err(|error| expected(&error))
    }
}

/// What would have been right, in words that do not show the value.
fn expected(error: &clap::Error) -> String {
    let known = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(known)) => known.join(", "),
        _ => String::new(),
    };
    match (error.kind(), std::error::Error::source(error)) {
        (ErrorKind::InvalidValue, _) if !known.is_empty() => format!("it takes one of {known}"),
        (_, Some(why)) => why.to_string(),
        (_, None) => "it takes no such value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::Cli;

    fn all() -> Vec<ConfigurableFlag> {
        flags(&Cli::definition())
    }

    fn found(key: &str) -> ConfigurableFlag {
        all().into_iter().find(|flag| flag.key() == key).unwrap()
    }

    #[test]
    fn a_flag_has_one_name_in_files_and_one_in_variables() {
        let flag = found("flags.build.no-cache");
        assert_eq!(flag.variable(), "WYTHE_BUILD_NO_CACHE");
        assert_eq!(found("flags.progress").variable(), "WYTHE_PROGRESS");
        assert_eq!(found("flags.compose.build.quiet").variable(), "WYTHE_COMPOSE_BUILD_QUIET");
    }

    #[test]
    fn no_variable_means_two_things() {
        // `WYTHE_STORE` is the flag's already.
        let others = ["CONFIG", "LIMITS", "MAX_USED_SPACE", "CACHE_FROM", "HISTORY_MAX_BUILDS"];
        let mut seen: BTreeSet<String> = others.map(|name| format!("WYTHE_{name}")).into();
        for flag in all() {
            assert!(seen.insert(flag.variable()), "{}", flag.variable());
        }
    }

    #[test]
    fn no_flag_of_every_command_is_called_like_a_command() {
        let all = all();
        let commands: BTreeSet<_> = all.iter().filter_map(|flag| flag.command.first()).collect();
        for flag in all.iter().filter(|flag| flag.command.is_empty()) {
            assert!(!commands.contains(&flag.name), "{}", flag.name);
        }
    }

    #[track_caller]
    fn check(key: &str, values: &[&str], expected: Result<(), &str>) {
        let values: Vec<OsString> = values.iter().map(OsString::from).collect();
        assert_eq!(found(key).accepts(&values), expected.map_err(str::to_owned), "{key}");
    }

    #[test]
    fn values_are_taken_as_the_command_line_takes_them() {
        check("flags.build.no-cache", &["true"], Ok(()));
        check("flags.build.no-cache", &["maybe"], Err("neither true nor false"));
        check("flags.build.platform", &["linux/amd64,linux/arm64"], Ok(()));
        check("flags.build.build-arg", &["A=1", "B=-2"], Ok(()));
        check("flags.build.iidfile", &["a", "b"], Err("it takes one value"));
        let told = found("flags.progress").accepts(&["loud".into()]).unwrap_err();
        assert!(told.starts_with("it takes one of auto, json, plain"), "{told}");
    }
}
