//! The flags of `wythe init`.

use std::path::PathBuf;

use clap::Args;

use crate::starter::Language;

/// Write a Dockerfile and a .dockerignore to begin with
///
/// Files that are there are never written over.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory of the project
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// What it is written in [default: what its files tell]
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) language: Option<Language>,
}
