//! The flags of the commands about the store and this machine.

use clap::Args;

use super::call::AnswerFormat;
use super::image::format;
use super::switch::Switch;

/// Show what takes up space in the store
#[derive(Debug, Args)]
pub(crate) struct DuArgs {}

/// Remove what no image and no recent build needs
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Remove cached results, too, not only what nothing refers to
    #[arg(short, long)]
    pub(crate) all: Switch,
    /// Accepted for scripts made for docker: no question is asked anyway
    #[arg(short, long)]
    pub(crate) force: Switch,
}

/// Read everything in the store, and name each image that is not to be had whole
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Look at checksums and at what is missing only, and not at the digests of blobs and layers
    #[arg(long)]
    pub(crate) quick: Switch,
    /// Compare the directories that steps run on with their layers, too
    #[arg(long)]
    pub(crate) live: Switch,
    /// Make what is damaged again, or fetch it from where it came, and drop what is lost for good:
    /// results of steps, and names of images
    #[arg(long)]
    pub(crate) repair: Switch,
    /// Print sentences or JSON
    #[arg(long, value_parser = format, default_value = "text", value_name = "text|json")]
    pub(crate) format: AnswerFormat,
}

/// Say what this machine lets a build do, and what would have to change for more
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

/// Print a completion script
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

/// Print the version
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {}
