//! Making an adopted layer independent of its directory.

use crate::error::{ReadError, WriteError};
use crate::layer::export::measure;
use crate::layer::tar_write::WriteTarError;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::upper::{UpperError, upper_tree};
use crate::tree::entry::Tree;

/// A layer could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Neither tree nor directory is there.
    #[error("the layer's files are gone")]
    Gone,
    /// Its directory could not be read.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// Its tar stream could not be computed.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The tree of a layer. Of one that is only a directory, files and tree are stored first; `lower`
/// is the root file system it was made on. The record is changed, and is the caller's to commit.
pub fn ensure_tree(
    lease: &Lease,
    record: &mut LayerRecord,
    lower: &Tree,
) -> Result<Tree, SealError> {
    if let Some(id) = &record.tree {
        return lease.store().tree(id)?.ok_or(SealError::Gone);
    }
    let name = record.live.as_ref().ok_or(SealError::Gone)?;
    let tree = upper_tree(lease, &lease.store().path().join(name.path()), lower)?;
    record.tree = Some(lease.put_tree(&tree)?);
    Ok(tree)
}

/// Computes what a manifest needs of a layer: its tree, its DiffID and the length of its tar
/// stream. The record is changed, and is the caller's to commit.
pub fn seal(lease: &Lease, record: &mut LayerRecord, lower: &Tree) -> Result<Tree, SealError> {
    let tree = ensure_tree(lease, record, lower)?;
    if record.diff_id.is_none() {
        let measured = measure(&tree, lease.store())?;
        record.diff_id = Some(measured.diff_id);
        record.tar_size = Some(measured.size);
    }
    Ok(tree)
}
