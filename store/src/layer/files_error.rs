//! Why a layer, or a tree, could not become files.

use rustix::io::Errno;

use crate::error::ReadError;
use crate::id::BodyId;
use crate::path::LayerPath;

/// A tree could not become files.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct MaterialiseError {
    /// The entry.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: MaterialiseCause,
}

/// Why a tree could not become files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialiseCause {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file's bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file's bytes are not in the store.
    #[error("body {0} is not in the store")]
    Missing(BodyId),
}

impl From<Errno> for MaterialiseCause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}
