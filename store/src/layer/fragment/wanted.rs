//! Files whose bytes are had when they are needed first.

use std::sync::OnceLock;

use crate::bytes::FileBytes;
use crate::id::BodyId;
use crate::layer::bodies::Bodies;
use crate::layer::tar_write::WriteTarError;
use crate::path::LayerPath;
use crate::tree::entry::File;

/// A file of a layer, opened or not.
#[derive(Debug)]
pub(super) struct WantedFile {
    /// What an error calls it.
    path: LayerPath,
    file: File,
    bytes: OnceLock<FileBytes>,
}

impl WantedFile {
    pub(super) fn new(path: &LayerPath, file: &File) -> Self {
        Self { path: path.clone(), file: *file, bytes: OnceLock::new() }
    }

    pub(super) fn loaded(path: &LayerPath, file: &File, bytes: FileBytes) -> Self {
        Self { path: path.clone(), file: *file, bytes: bytes.into() }
    }

    pub(super) fn id(&self) -> &BodyId {
        &self.file.body
    }

    pub(super) fn size(&self) -> u64 {
        self.file.size
    }

    /// Its bytes, which the parts of a long file share.
    pub(super) fn open(&self, bodies: &dyn Bodies) -> Result<&FileBytes, WriteTarError> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let loaded = self.load(bodies)?;
        Ok(self.bytes.get_or_init(|| loaded))
    }

    /// Its bytes.
    pub(super) fn load(&self, bodies: &dyn Bodies) -> Result<FileBytes, WriteTarError> {
        let found = bodies.body(&self.file.body)?.filter(|body| body.len() == self.file.size);
        found
            .ok_or_else(|| WriteTarError::Missing { path: self.path.clone(), body: self.file.body })
    }
}
