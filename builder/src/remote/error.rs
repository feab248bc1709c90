//! What went wrong with something remote: its address, and why.

use wythe_store::digest::Digest;
use wythe_store::error::{ReadError, WriteError};

use super::address;
use super::program::GitError;
use super::repository::RepositoryError;
use crate::context::error::ContextError;

/// Something remote that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct RemoteError {
    /// The address, without what may be secret in it.
    pub url: String,
    /// Why.
    #[source]
    pub problem: RemoteProblem,
}

/// Why something remote could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteProblem {
    /// The server refused.
    #[error("invalid response status {0}")]
    Status(u16),
    /// The server could not be reached, or its answer broke off.
    #[error("{detail}")]
    Network {
        /// The chain of causes.
        detail: String,
    },
    /// This build has nothing to fetch with.
    #[error("this build may not fetch anything")]
    Disabled,
    /// The bytes are not those that the Dockerfile says.
    #[error("digest mismatch: expected {expected}, found {found}")]
    Checksum {
        /// What the Dockerfile says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More came than anybody adds to an image.
    #[error("longer than {0} bytes")]
    TooLong(u64),
    /// A secret that cannot be sent in a header.
    #[error("the secret {0} is not the text of a header")]
    Secret(String),
    /// There is no git to fetch with.
    #[error("git is needed for this and was not found")]
    NoGit,
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// An address of a repository that cannot be understood.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The repository has no such branch, tag or commit.
    #[error("the repository has no ref {0:?}")]
    Reference(String),
    /// The commit is not the one that the Dockerfile says.
    #[error("expected checksum to match {expected}, got {found}")]
    Commit {
        /// What the Dockerfile says.
        expected: String,
        /// What the repository has.
        found: String,
    },
    /// The repository has no such directory.
    #[error("subdirectory {0:?} is not a directory of the repository")]
    Subdirectory(String),
    /// What was fetched could not be read.
    #[error(transparent)]
    Files(Box<ContextError>),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl RemoteError {
    /// A problem with what is at an address.
    pub fn new(url: &str, problem: impl Into<RemoteProblem>) -> Self {
        Self { url: address::shown(url), problem: problem.into() }
    }
}
