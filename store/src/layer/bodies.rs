//! Where the bytes of files come from when a layer is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::bytes::FileBytes;
use crate::error::ReadError;
use crate::id::BodyId;
use crate::store::Store;

/// Opens bodies by id.
pub trait Bodies: Sync {
    /// The bytes of a body; `None` if they are not here.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    fn body(&self, id: &BodyId) -> Result<Option<FileBytes>, ReadError>;

    /// A file with these bytes and no others, which may be moved away by who is the last to ask for them.
    fn movable(&self, id: &BodyId) -> Option<PathBuf> {
        let _ = id;
        None
    }
}

impl Bodies for Store {
    fn body(&self, id: &BodyId) -> Result<Option<FileBytes>, ReadError> {
        Self::body(self, id)
    }
}

impl Bodies for BTreeMap<BodyId, FileBytes> {
    fn body(&self, id: &BodyId) -> Result<Option<FileBytes>, ReadError> {
        Ok(self.get(id).cloned())
    }
}
