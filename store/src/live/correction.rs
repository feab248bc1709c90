//! Layers that no image has: directories of directories, that lie over those of layers which do not
//! name all they lead through.

use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::ensure::{EnsureError, ensure};
use crate::live::stack::Placed;
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
) -> Result<Option<Placed>, EnsureError> {
    let Some(tree) = corrections(layer, lower) else { return Ok(None) };
    made_of(lease, idmap, &tree).map(Some)
}

/// The directory of a layer that is made of these directories.
pub(super) fn made_of(lease: &Lease, idmap: &[u8], tree: &Tree) -> Result<Placed, EnsureError> {
    let id = lease.put_tree(tree)?;
    let layer = LayerId::of(id.as_bytes());
    if lease.store().layer(&layer)?.is_none() {
        let mut batch = Batch::new();
        batch.put_layer(&LayerRecord { tree: Some(id), ..LayerRecord::new(layer) });
        lease.commit(batch, Durability::Relaxed)?;
    }
    Ok(Placed { layer, directory: ensure(lease, &layer, idmap)? })
}
