//! What went wrong with something remote: its address, and why.

use wythe_store::digest::Digest;
use wythe_store::error::{ReadError, WriteError};

use super::address;

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
