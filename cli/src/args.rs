//! The command line as it is typed.
//!
//! What was typed and what it means are different types: the structs here only say which flags
//! there are, and each has a conversion to the options of the library it ends up in.

pub(crate) mod annotation;
pub(crate) mod attributes;
pub(crate) mod bake;
pub(crate) mod budget;
pub(crate) mod build;
pub(crate) mod buildx;
pub(crate) mod cache;
pub(crate) mod cache_mounts;
pub(crate) mod call;
pub(crate) mod compose;
pub(crate) mod configurable;
pub(crate) mod container;
pub(crate) mod context;
pub(crate) mod copy_out;
pub(crate) mod create_repository;
pub(crate) mod digest_file;
mod docker;
pub(crate) mod docker_groups;
pub(crate) mod emit;
pub(crate) mod equivalents;
pub(crate) mod every_build;
pub(crate) mod explore;
pub(crate) mod format;
pub(crate) mod global;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod image_attributes;
pub(crate) mod image_filter;
pub(crate) mod image_name;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod isolation;
pub(crate) mod kaniko;
pub(crate) mod key_value;
pub(crate) mod layer_limit;
pub(crate) mod limits;
pub(crate) mod location;
pub(crate) mod network;
pub(crate) mod output;
pub(crate) mod provenance;
pub(crate) mod quota;
pub(crate) mod runtime;
pub(crate) mod s3_place;
pub(crate) mod secret;
pub(crate) mod store;
pub(crate) mod surroundings;
pub(crate) mod switch;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};

use self::global::GlobalArgs;
use crate::command::Command;
use crate::failure::Failure;
use crate::flag_defaults;
use crate::settings::Settings;

/// Builds container images from Dockerfiles: no daemon, no root
#[derive(Debug, Parser)]
#[command(name = "wythe", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line as data, for parsing and for shell completion.
    pub(crate) fn definition() -> clap::Command {
        completed(Self::command(), &|_| true)
    }

    /// As much of it as these words can be about: a build that runs nothing takes ten milliseconds, of which all
    /// commands are one.
    fn definition_of(words: &[OsString]) -> clap::Command {
        let is_there = |name: &str| words.iter().any(|word| word == name);
        completed(Self::command(), &|command| {
            is_there(command.get_name()) || command.get_all_aliases().any(is_there)
        })
    }

    /// Reads the words of a command line, the name of the program first; on `--help` and mistakes clap
    /// prints and exits. Flags that nobody gives are what the settings say.
    ///
    /// # Errors
    ///
    /// With the settings that make no sense.
    pub(crate) fn of_words(words: Vec<OsString>, settings: &Settings) -> Result<Self, Failure> {
        let cli = Self::with_defaults(words, settings)?;
        Ok(cli.unwrap_or_else(|error| context::or_dot(error).exit()))
    }

    /// As [`Self::of_words`], with what clap would print.
    pub(crate) fn with_defaults(
        words: Vec<OsString>,
        settings: &Settings,
    ) -> Result<Result<Self, clap::Error>, Failure> {
        let given = Self::definition_of(&words).try_get_matches_from(&words);
        let is_help = given.as_ref().is_err_and(|error| !error.use_stderr());
        if is_help || flag_defaults::are_none(settings) {
            return Ok(given.and_then(|given| Self::from_arg_matches(&given)));
        }
        let definition = Self::definition();
        let mut defaults = flag_defaults::chosen(&definition, settings)?;
        if let Ok(given) = &given {
            defaults = flag_defaults::compatible(&definition, given, defaults)?;
        }
        if defaults.is_empty() {
            return Ok(given.and_then(|given| Self::from_arg_matches(&given)));
        }
        let definition = flag_defaults::applied(definition, &defaults);
        let matches = definition.try_get_matches_from(words);
        Ok(matches.and_then(|matches| Self::from_arg_matches(&matches)))
    }

    /// Reads other words as a command line.
    pub(crate) fn of(words: &[&str]) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::definition().try_get_matches_from(words)?)
    }
}

/// Gives a command and those below it that are meant what the derived one has not. As with docker, of a flag that is
/// there twice the later counts: Compose says its progress so.
fn completed(command: clap::Command, is_meant: &dyn Fn(&clap::Command) -> bool) -> clap::Command {
    let command = command.args_override_self(true).mut_args(switch::complete);
    command
        .mut_subcommands(|below| if is_meant(&below) { completed(below, is_meant) } else { below })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_free_of_contradictions() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn of_a_flag_that_is_there_twice_the_later_counts() {
        let words = "wythe buildx bake --file - --progress rawjson --progress=quiet --file x";
        let words: Vec<&str> = words.split(' ').collect();
        let cli = Cli::of(&words).unwrap();
        assert_eq!(cli.global.progress, global::ProgressForm::Quiet);
        let Command::Bake(args) = cli.command.resolved() else { panic!("not bake") };
        assert_eq!(args.definition.files, ["-", "x"], "what may be there often still may");
    }

    #[test]
    fn what_is_refused_is_not_offered() {
        let mut definition = Cli::definition();
        let build = definition.find_subcommand_mut("build").unwrap();
        let help = build.render_long_help().to_string();
        assert!(help.contains("--explain"));
        assert!(!help.contains("--sbom"));
    }

    #[test]
    fn global_flags_are_accepted_before_and_after_the_command() {
        for words in [
            &["wythe", "--store", "/s", "version"] as &[_],
            &["wythe", "version", "--store", "/s"],
            &["wythe", "version", "--store=/s"],
        ] {
            let cli = Cli::of(words).unwrap();
            assert_eq!(cli.global.store.as_deref(), Some("/s".as_ref()), "{words:?}");
        }
    }
}
