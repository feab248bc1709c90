//! The flags of `wythe index`, named as `docker buildx imagetools` has them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wythe_delivery::annotation::Annotations;

use super::annotation;
use super::image::Which;
use super::switch::Switch;

/// Put images of registries under one name, and show what a name stands for
#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    #[command(subcommand)]
    pub(crate) command: IndexCommand,
}

/// What is done with an index.
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    Create(IndexCreateArgs),
    Inspect(IndexInspectArgs),
}

/// Make an index of images that are in registries, and name it there
#[derive(Debug, Args)]
pub(crate) struct IndexCreateArgs {
    /// Images, or indexes of which every entry is taken
    #[arg(required = true, value_name = "NAME")]
    pub(crate) sources: Vec<String>,
    /// The name it gets; may be repeated
    #[arg(short, long, value_name = "NAME", required_unless_present = "dry_run")]
    pub(crate) tag: Vec<String>,
    /// Metadata: index:KEY=VALUE, or manifest-descriptor[OS/ARCH]:KEY=VALUE
    #[arg(long, value_parser = annotation::parse, value_name = "TYPE:KEY=VALUE")]
    pub(crate) annotation: Vec<Annotations>,
    /// Keep what the name stands for so far
    #[arg(long, requires = "tag")]
    pub(crate) append: Switch,
    /// Write digest, names and descriptor as JSON to a file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Print the index and send nothing
    #[arg(long)]
    pub(crate) dry_run: Switch,
}

/// Show what a name stands for in its registry
#[derive(Debug, Args)]
pub(crate) struct IndexInspectArgs {
    /// Which name
    pub(crate) name: String,
    /// Print the document exactly as the registry has it
    #[arg(long)]
    pub(crate) raw: Switch,
    #[command(flatten)]
    pub(crate) which: Which,
}
