//! A directory of directories, over that of a layer that does not name all it leads through.

use std::path::PathBuf;

use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::ensure::{EnsureError, ensure};
use crate::tree::entry::Tree;
use crate::tree::unnamed::corrections;

/// What has to lie directly over the directory of `layer` in an overlay over `lower`; `None` where
/// nothing has to.
///
/// # Errors
///
/// If the store cannot be read or written.
pub fn correction(
    lease: &Lease,
    idmap: &[u8],
    (layer, lower): (&Tree, &Tree),
) -> Result<Option<PathBuf>, EnsureError> {
    let Some(tree) = corrections(layer, lower) else { return Ok(None) };
    let id = lease.put_tree(&tree)?;
    let layer = LayerId::of(id.as_bytes());
    if lease.store().layer(&layer)?.is_none() {
        let mut batch = Batch::new();
        batch.put_layer(&LayerRecord { tree: Some(id), ..LayerRecord::new(layer) });
        lease.commit(batch, Durability::Relaxed)?;
    }
    ensure(lease, &layer, idmap).map(Some)
}
