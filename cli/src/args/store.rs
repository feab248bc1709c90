//! The flags of the commands about the store and this machine.

use clap::Args;

use super::budget::{Amount, Bounds, PruneFilter};
use super::call::AnswerFormat;
use super::image::format;
use super::switch::Switch;

/// Show what takes up space in the store
#[derive(Debug, Args)]
pub(crate) struct DuArgs {
    /// Say what these images take, and what of it nothing else needs
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Print a table or one JSON array
    #[arg(long, value_parser = format, default_value = "text", value_name = "text|json")]
    pub(crate) format: AnswerFormat,
}

/// Remove what no image and no recent build needs
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Remove cached results, too, not only what nothing refers to
    #[arg(short, long)]
    pub(crate) all: Switch,
    /// Remove what was used longest ago until the store takes no more than this
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_used_space: Option<Amount>,
    /// Leave so much whatever the other bounds say
    #[arg(long, value_name = "SIZE", visible_alias = "keep-storage")]
    pub(crate) reserved_space: Option<Amount>,
    /// Remove what was used longest ago until so much of the disk is free
    #[arg(long, value_name = "SIZE")]
    pub(crate) min_free_space: Option<Amount>,
    /// Leave what was used within a time: until=24h
    #[arg(long, value_name = "until=AGE")]
    pub(crate) filter: Option<PruneFilter>,
    /// Accepted for scripts made for docker: no question is asked anyway
    #[arg(short, long)]
    pub(crate) force: Switch,
}

impl PruneArgs {
    /// The bounds that were asked for.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            max_used: self.max_used_space,
            reserved: self.reserved_space,
            min_free: self.min_free_space,
            keep_for: self.filter.map(|PruneFilter(age)| age),
        }
    }
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

/// What a completion script calls
#[derive(Debug, Args)]
pub(crate) struct CompleteWordsArgs {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
    /// The words of the command line behind the name of the program, as far as the cursor
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}

/// Print a manual page, for `man -l -`
#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// Of which command; of the program, if none is named
    pub(crate) command: Option<String>,
}

/// Print the version
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {}

/// Let docker build, docker buildx and Compose build with this program
#[derive(Debug, Args)]
pub(crate) struct DockerPluginArgs {
    /// Let them build with docker's own builder again
    #[arg(long)]
    pub(crate) remove: Switch,
}
