//! The flags of `wythe compose`, named as those of `docker compose`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::every_build::CommonArgs;
use super::key_value::KeyValue;
use super::switch::Switch;

/// Build the services of a Compose project, without docker
#[derive(Debug, Args)]
pub(crate) struct ComposeArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(subcommand)]
    pub(crate) command: ComposeCommand,
}

/// What is done with a project.
#[derive(Debug, Subcommand)]
pub(crate) enum ComposeCommand {
    Build(Box<ComposeBuildArgs>),
}

/// Which project is meant
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// A Compose file, or several, of which the later count more; - reads one from standard input
    /// [default: compose.yaml and its override file, here or in a directory above]
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// The name of the project [default: that of its files, else of its directory]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// The directory that paths are seen from [default: that of the first file]
    #[arg(long, value_name = "DIR")]
    pub(crate) project_directory: Option<PathBuf>,
    /// A profile to turn on; * is all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) profile: Vec<String>,
    /// A file of variables, in place of .env
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<String>,
    /// How many steps may run at once; -1 is as many as there are processors
    #[arg(long, hide = true, allow_hyphen_values = true, value_name = "N")]
    pub(crate) parallel: Option<i64>,
    #[arg(long, hide = true, value_name = "WHEN")]
    pub(crate) ansi: Option<String>,
}

/// Build services: all that have a build and are in no profile that is off, or those that are named
#[derive(Debug, Args)]
pub(crate) struct ComposeBuildArgs {
    /// Services
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Value of an ARG for all of them; without a value, that of the variable of that name
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<KeyValue>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// How many steps may run at once, of all services together
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Write digests and names of all images as JSON to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Run every step, and keep the results for the next build
    #[arg(long)]
    pub(crate) no_cache: Switch,
    /// Show what would be built, as a definition for bake, and build nothing
    #[arg(long)]
    pub(crate) print: Switch,
    /// Attach statements of how images were built
    #[arg(long, value_name = "BOOL|mode=min|mode=max")]
    pub(crate) provenance: Option<String>,
    /// Ask the registry for newer base images even if some are here
    #[arg(long)]
    pub(crate) pull: Switch,
    /// Push the images of services that say what they are called
    #[arg(long)]
    pub(crate) push: Switch,
    /// Tell nothing but what goes wrong
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    /// What is not false is refused
    #[arg(long, hide = true, value_name = "BOOL")]
    pub(crate) sbom: Option<String>,
    /// An SSH agent for RUN --mount=type=ssh of all services
    #[arg(long, value_name = "ID[=SOCKET|KEY]")]
    pub(crate) ssh: Vec<String>,
    /// Build also what they depend on
    #[arg(long)]
    pub(crate) with_dependencies: Switch,
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) builder: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    #[test]
    fn what_people_write_for_docker_compose_is_taken() {
        let words = "wythe compose -f a.yaml -f b.yaml -p me --profile x,y --env-file e build \
                     --build-arg A=1 --build-arg B --pull --push --no-cache -q --ssh default web db";
        let words: Vec<&str> = words.split_whitespace().collect();
        let Command::Compose(args) = Cli::of(&words).unwrap().command else {
            panic!("not compose")
        };
        assert_eq!(args.project.files, ["a.yaml", "b.yaml"]);
        assert_eq!(args.project.profile, ["x", "y"]);
        let ComposeCommand::Build(build) = args.command;
        assert_eq!(build.services, ["web", "db"]);
        assert_eq!(build.build_arg.len(), 2);
        assert!(build.push.is_on() && build.quiet.is_on());
    }
}
