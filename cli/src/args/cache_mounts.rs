//! The flags of `wythe cache`.

use clap::{Args, Subcommand};

use super::call::AnswerFormat;
use super::image::format;
use super::switch::Switch;

/// Look after the directories of RUN --mount=type=cache
#[derive(Debug, Args)]
pub(crate) struct CacheMountsArgs {
    #[command(subcommand)]
    pub(crate) command: CacheMountsCommand,
}

/// What is to be done with them.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheMountsCommand {
    Ls(CacheLsArgs),
    Rm(CacheRmArgs),
}

/// List cache mounts with their sizes
#[derive(Debug, Args)]
pub(crate) struct CacheLsArgs {
    /// Print a table or one JSON array
    #[arg(long, value_parser = format, default_value = "text", value_name = "text|json")]
    pub(crate) format: AnswerFormat,
}

/// Remove cache mounts that no step uses
#[derive(Debug, Args)]
pub(crate) struct CacheRmArgs {
    /// Ids as Dockerfiles have them, or names of `wythe cache ls`
    #[arg(value_name = "ID|NAME")]
    pub(crate) mounts: Vec<String>,
    /// Remove all of them
    #[arg(short, long)]
    pub(crate) all: Switch,
}
