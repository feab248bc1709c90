//! The flags of `wythe history`: of an image as docker has it, and of past builds as buildx has it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::format::{self, ListFormat};
use super::image::HistoryArgs;
use super::switch::Switch;
use crate::build_record::filter::BuildFilter;
use crate::build_record::id::BuildSelector;
use crate::template::Template;

const AFTER: &str = "An image whose name is that of a command is named with its tag, as ls:latest, or asked about with \
    `wythe image history`. Builds are named by the beginning of their id or counted from the latest: ^0, ^1";

/// List the instructions that made an image, or look at past builds
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = AFTER
)]
pub(crate) struct HistoryGroup {
    #[command(subcommand)]
    pub(crate) builds: Option<BuildHistoryCommand>,
    #[command(flatten)]
    pub(crate) image: Option<HistoryArgs>,
}

/// What of past builds is wanted.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildHistoryCommand {
    Export(ExportBuildArgs),
    Inspect(InspectBuildArgs),
    Logs(BuildLogsArgs),
    #[command(visible_alias = "list")]
    Ls(ListBuildsArgs),
    Open(OpenBuildArgs),
    #[command(visible_alias = "remove")]
    Rm(RemoveBuildsArgs),
    Trace(TraceBuildArgs),
}

/// List past builds, the latest first
#[derive(Debug, Args)]
pub(crate) struct ListBuildsArgs {
    /// Only builds with ref=, repository= or status=completed|error|canceled|running|lost, or != of these; with startedAt, completedAt
    /// or duration that is <, <=, > or >= such as 24h
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<BuildFilter>,
    /// Only builds of the repository that the command runs in
    #[arg(long)]
    pub(crate) local: Switch,
    /// Show names in full
    #[arg(long)]
    pub(crate) no_trunc: Switch,
    /// Print a table, one JSON object per line, or what a template makes, such as {{.Ref}}
    #[arg(long, default_value = "table", value_name = "table|json|TEMPLATE")]
    pub(crate) format: ListFormat,
}

/// Say what is known of a past build
#[derive(Debug, Args)]
pub(crate) struct InspectBuildArgs {
    /// Which build [default: the latest]
    #[arg(value_name = "REF")]
    pub(crate) build: Option<BuildSelector>,
    /// Print it for people, as JSON, or what a template makes, such as {{.Status}}
    #[arg(long, default_value = "pretty", value_parser = inspect_format, value_name = "pretty|json|TEMPLATE")]
    pub(crate) format: InspectFormat,
}

/// How a build is shown.
#[derive(Clone, Debug)]
pub(crate) enum InspectFormat {
    Json,
    Pretty,
    Template(Template),
}

/// Print what the steps of a past build wrote, in the form of --progress
#[derive(Debug, Args)]
pub(crate) struct BuildLogsArgs {
    /// Which build [default: the latest]
    #[arg(value_name = "REF")]
    pub(crate) build: Option<BuildSelector>,
}

/// Forget past builds; what they made stays
#[derive(Debug, Args)]
pub(crate) struct RemoveBuildsArgs {
    /// Which builds
    #[arg(value_name = "REF", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) builds: Vec<BuildSelector>,
    /// All of them
    #[arg(long)]
    pub(crate) all: Switch,
}

/// Write the record of a past build, with its log, as one JSON object or as a page
#[derive(Debug, Args)]
pub(crate) struct ExportBuildArgs {
    /// Which build [default: the latest]
    #[arg(value_name = "REF")]
    pub(crate) build: Option<BuildSelector>,
    /// Write a page for a browser, which needs no network
    #[arg(long)]
    pub(crate) html: Switch,
    /// Where to [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Show a past build in a browser
#[derive(Debug, Args)]
pub(crate) struct OpenBuildArgs {
    /// Which build [default: the latest]
    #[arg(value_name = "REF")]
    pub(crate) build: Option<BuildSelector>,
}

/// Print the trace of a past build, as Jaeger has it
#[derive(Debug, Args)]
pub(crate) struct TraceBuildArgs {
    /// Which build [default: the latest]
    #[arg(value_name = "REF")]
    pub(crate) build: Option<BuildSelector>,
}

fn inspect_format(text: &str) -> Result<InspectFormat, String> {
    match text {
        "json" => Ok(InspectFormat::Json),
        "pretty" => Ok(InspectFormat::Pretty),
        text if text.contains("{{") => {
            format::template(text).map(InspectFormat::Template).map_err(|error| error.to_string())
        }
        _ => Err("neither pretty, json nor a template such as {{.Status}}".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn history(words: &str) -> HistoryGroup {
        let words: Vec<&str> = ["wythe", "history"].into_iter().chain(words.split(' ')).collect();
        let Command::History(group) = Cli::of(&words).unwrap().command else {
            panic!("not history")
        };
        group
    }

    #[test]
    fn an_image_is_meant_unless_a_command_of_past_builds_is_said() {
        for words in ["alpine", "--format json alpine", "ls:latest", "-q --no-trunc app:1"] {
            let group = history(words);
            assert!(group.builds.is_none() && group.image.is_some(), "{words}");
        }
        for words in [
            "ls",
            "ls --filter status=error --filter startedAt>1h --local --no-trunc --format json",
            "inspect",
            "inspect ^1 --format {{.Name}}",
            "logs abc --progress rawjson",
            "rm a b",
            "rm --all",
            "export -o f ^0",
            "export --html",
            "open ^1",
            "trace",
        ] {
            let group = history(words);
            assert!(group.builds.is_some() && group.image.is_none(), "{words}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in ["", "rm", "rm --all x", "ls --filter x", "inspect A.B", "ls --format x"] {
            let words: Vec<&str> = ["wythe", "history"]
                .into_iter()
                .chain(words.split(' ').filter(|word| !word.is_empty()))
                .collect();
            assert!(Cli::of(&words).is_err(), "{words:?}");
        }
    }
}
