//! Directories that are built aside.

use std::path::PathBuf;

use crate::error::{At as _, WriteError};
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::scratch::{claim, live_record, record};
use crate::live_record::LiveName;
use crate::trash::throw_away;

/// A directory in the making. It is built aside and renamed, so that a crash leaves no half of it;
/// dropped before that, it is thrown away.
#[derive(Debug)]
pub(super) struct Building<'a> {
    pub(super) lease: &'a Lease,
    pub(super) path: String,
}

impl<'a> Building<'a> {
    pub(super) fn new(lease: &'a Lease) -> Result<Self, WriteError> {
        let path = lease.scratch_path();
        lease.store().vfs().make_dir(&path).writing(&path)?;
        Ok(Self { lease, path })
    }

    pub(super) fn absolute(&self) -> PathBuf {
        self.lease.store().path().join(&self.path)
    }

    /// Gives it its place. The layer is in it once `batch` is committed.
    pub(super) fn keep(
        self,
        layer: LayerRecord,
        idmap: &[u8],
        batch: &mut Batch,
    ) -> Result<PathBuf, WriteError> {
        let name = self.claim()?;
        record(self.lease, batch, &name, layer, idmap)?;
        Ok(self.lease.store().path().join(name.path()))
    }

    /// As [`keep`](Self::keep), for one more directory of a layer that may have another.
    pub(super) fn keep_beside(
        self,
        layer: &LayerRecord,
        idmap: &[u8],
        batch: &mut Batch,
    ) -> Result<PathBuf, WriteError> {
        let name = self.claim()?;
        let made = live_record(self.lease, &name, layer.id, idmap)?;
        batch.put_layer(layer).put_live(&name, &made);
        Ok(self.lease.store().path().join(name.path()))
    }

    fn claim(&self) -> Result<LiveName, WriteError> {
        claim(self.lease, &self.absolute())
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let vfs = self.lease.store().vfs();
        // What was kept is no longer here, and what cannot be moved goes with the lease.
        if let Err(error) = throw_away(&**vfs, &self.path) {
            tracing::debug!(%error, path = self.path, "no unfinished directory to throw away");
        }
    }
}
