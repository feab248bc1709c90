//! Why a build context cannot be read.

use std::io;

use wythe_store::error::WriteError;

use crate::ignore::RuleError;

/// An entry of the context that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path:?} of the build context")]
pub struct ContextError {
    /// The path from the context's root, or that of the context or its ignore file.
    pub path: String,
    /// Why not.
    #[source]
    pub cause: ContextCause,
}

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextCause {
    /// The system refused.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The bytes could not be put into the store.
    #[error("its bytes cannot be stored")]
    Store(#[source] WriteError),
    /// Someone writes to the file while it is read.
    #[error("the file changed each time it was read")]
    Changing,
    /// What is read now is not what the build began with.
    #[error("files changed during the build")]
    Changed,
    /// A device, which an image cannot take from a context.
    #[error("it is a device")]
    Device,
    /// More directories inside one another than any layer may have.
    #[error("directories are nested more than {} deep", super::scan::MAX_DEPTH)]
    TooDeep,
    /// Sources lead through too many links.
    #[error("too many symbolic links")]
    Loop,
    /// The ignore file is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// The ignore file is longer than 4 MiB.
    #[error("the ignore file is longer than 4 MiB")]
    IgnoreFileTooLong,
    /// The ignore file has a bad line.
    #[error(transparent)]
    Ignore(RuleError),
}

impl ContextError {
    pub(crate) fn of(path: &[u8], errno: rustix::io::Errno) -> Self {
        Self { path: super::lossy(path), cause: ContextCause::Read(errno.into()) }
    }
}
