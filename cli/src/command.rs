//! The commands, each a screenful: flags to options, one call, the result shown.

pub(crate) mod completion;
pub(crate) mod version;

use crate::args::store::{CompletionArgs, VersionArgs};
use crate::failure::Failure;
use crate::session::Session;

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Completion(CompletionArgs),
    Version(VersionArgs),
}

impl Command {
    /// Does it.
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Completion(args) => completion::run(args, session),
            Self::Version(args) => version::run(args, session),
        }
    }
}
