//! The flags of `wythe cache`.

use std::path::PathBuf;

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
    Export(CacheExportArgs),
    Import(CacheImportArgs),
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

/// Save cache mounts to a directory or an archive, with what they hold
///
/// A directory is what --cache-to type=local,dest=DIR,mounts=all writes; what it has already is not written
/// again. A name that ends in .tar is an archive of such a directory. Secrets that steps have left in a mount
/// are saved with it.
#[derive(Debug, Args)]
pub(crate) struct CacheExportArgs {
    /// Ids as Dockerfiles have them, or names of `wythe cache ls`
    #[arg(value_name = "ID|NAME")]
    pub(crate) mounts: Vec<String>,
    /// Save all of them
    #[arg(short, long)]
    pub(crate) all: Switch,
    /// Where to
    #[arg(short, long, value_name = "DIR|FILE.tar")]
    pub(crate) output: PathBuf,
}

/// Restore cache mounts that were saved with export or --cache-to type=local
#[derive(Debug, Args)]
pub(crate) struct CacheImportArgs {
    /// A directory, or an archive of one
    #[arg(value_name = "DIR|FILE.tar")]
    pub(crate) input: PathBuf,
    /// Only these, by the ids that Dockerfiles have
    #[arg(value_name = "ID")]
    pub(crate) mounts: Vec<String>,
    /// Replace mounts that are here and hold something
    #[arg(long)]
    pub(crate) replace: Switch,
}
