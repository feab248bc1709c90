//! The flags of kaniko's executor, as data: they are taken, told of and documented by one table.

mod flags;

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

pub(crate) use flags::FLAGS;

use super::switch::Switch;

/// A flag of kaniko.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Without hyphens.
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
    pub(crate) meaning: Meaning,
    /// What it means here, or why it means nothing or is refused.
    pub(crate) says: &'static str,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Takes {
    /// Nothing, or true or false behind an equals sign.
    Switch,
    /// A value.
    Value,
}

/// What a flag means here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Meaning {
    /// What it says.
    Does,
    /// Nothing: it is about how kaniko works.
    Nothing,
    /// It cannot be done, and so is not taken.
    Refused,
}

impl Meaning {
    /// As the page has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Does => "does",
            Self::Nothing => "means nothing",
            Self::Refused => "refused",
        }
    }
}

/// A flag of all commands has the name and the meaning of kaniko's.
const GLOBAL: &str = "insecure-registry";

/// The flags that were given, with their values in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct KanikoArgs {
    given: BTreeMap<&'static str, Vec<String>>,
}

impl KanikoArgs {
    /// All values of a flag.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The value of the last of some flags that has one and is not empty.
    pub(crate) fn text(&self, names: &[&str]) -> Option<&str> {
        let mut values = names.iter().filter_map(|name| self.all(name).last());
        values.rfind(|value| !value.is_empty())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.all(name).last().is_some_and(|value| value.parse() == Ok(Switch::On))
    }

    /// The flags that were given and have a certain meaning.
    pub(crate) fn given(&self, meaning: Meaning) -> impl Iterator<Item = &'static Flag> {
        let flags = FLAGS.iter().filter(move |flag| flag.meaning == meaning);
        flags.filter(|flag| self.given.contains_key(flag.name))
    }
}

impl Args for KanikoArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = command
            .about("Build with the flags of kaniko's executor, as a program of that name does")
            .long_about(
                "Build with the flags of kaniko's executor. Called as `executor`, the program does \
                 this without being told",
            );
        command.args(FLAGS.iter().filter(|flag| flag.name != GLOBAL).map(arg))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KanikoArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in FLAGS.iter().filter(|flag| flag.name != GLOBAL) {
            if let Some(values) = matches.get_many::<String>(flag.name) {
                self.given.insert(flag.name, values.cloned().collect());
            }
        }
        Ok(())
    }
}

fn arg(flag: &Flag) -> Arg {
    // What the page has in code style is plain here.
    let says = flag.says.replace('`', "");
    let help = match flag.meaning {
        Meaning::Does => says,
        Meaning::Nothing | Meaning::Refused => format!("{}: {says}", flag.meaning.word()),
    };
    let arg = Arg::new(flag.name).long(flag.name).help(help).action(ArgAction::Append);
    let arg = if let Some(short) = flag.short { arg.short(short) } else { arg };
    match flag.takes {
        Takes::Value => arg.value_name("VALUE"),
        Takes::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(|text: &str| text.parse::<Switch>().map(|_| text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_flag_with_its_meaning() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/from-kaniko.md");
        let page = std::fs::read_to_string(path).unwrap();
        let row = |flag: &Flag| {
            let short = flag.short.map(|short| format!(", `-{short}`")).unwrap_or_default();
            format!("| `--{}`{short} | {} | {} |", flag.name, flag.meaning.word(), flag.says)
        };
        let rows: Vec<String> = FLAGS.iter().map(row).collect();
        let found: Vec<&str> = page.lines().filter(|line| line.starts_with("| `--")).collect();
        assert_eq!(found, rows, "the table of {path} is:\n{}", rows.join("\n"));
    }

    #[test]
    fn flags_are_in_order_and_each_is_there_once() {
        let names: Vec<String> = FLAGS.iter().map(|flag| flag.name.to_lowercase()).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut exact: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        exact.dedup();
        assert_eq!(exact.len(), FLAGS.len());
    }
}
