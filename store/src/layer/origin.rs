//! Where layers are to be had that the store does not hold: an image may have a name while its
//! layers stay at their registry until somebody needs them.

use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::id::LayerId;
use crate::journal::batch::Batch;
use crate::layer::import::layer_id;
use crate::layers::{LayerBlob, LayerRecord};
use crate::oci::descriptor::Descriptor;
use crate::portable_action::PortableAction;
use crate::store::Store;

/// The repositories (`host/name`) that are recorded to have the blob of a layer.
///
/// # Errors
///
/// If what is known of the layer cannot be read.
pub fn recorded_origins(store: &Store, blob: &Digest) -> Result<Vec<String>, ReadError> {
    let record = store.layer_of_blob(blob)?;
    let has = |record: &LayerRecord| record.blobs.iter().any(|one| one.descriptor.digest == *blob);
    Ok(record.filter(has).map(|record| record.origins).unwrap_or_default())
}

/// Records that a repository (`host/name`) has the blob of a layer.
///
/// # Errors
///
/// If what is known of the layer cannot be read.
pub fn remember_origin(
    store: &Store,
    (descriptor, diff_id): (&Descriptor, &DiffId),
    repository: &str,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    // What is no layer is fetched with the rest of what it belongs to.
    let Some(compression) = descriptor.media_type.layer_compression() else { return Ok(()) };
    let known = store.layer_of_diff(diff_id)?;
    let mut record = known.unwrap_or_else(|| LayerRecord::new(layer_id(diff_id)));
    let before = record.clone();
    record.diff_id = Some(*diff_id);
    if !record.blobs.iter().any(|blob| blob.descriptor.digest == descriptor.digest) {
        let descriptor = descriptor.clone();
        record.blobs.push(LayerBlob { compression, codec: String::new(), descriptor });
    }
    if !record.origins.iter().any(|known| known == repository) {
        record.origins.push(repository.to_owned());
    }
    if record != before {
        batch.put_layer(&record);
    }
    Ok(())
}

/// Records what is known of the layer of a step that another machine ran, whose bytes stay away.
///
/// # Errors
///
/// If what is known of the layer cannot be read.
pub fn remember_announced(
    store: &Store,
    action: &PortableAction,
    batch: &mut Batch,
) -> Result<LayerId, ReadError> {
    let id = layer_id(&action.diff_id);
    let known = match store.layer(&id)? {
        Some(own) => Some(own),
        // Made here by another step: its directory stays with what it was made over.
        None => store.layer_of_diff(&action.diff_id)?,
    };
    let known =
        known.map(|known| LayerRecord { id, live: known.live.filter(|_| known.id == id), ..known });
    let mut record = known.unwrap_or_else(|| LayerRecord::new(id));
    let compression = action.blob.media_type.layer_compression();
    if let Some(compression) = compression
        && !record.blobs.iter().any(|blob| blob.descriptor.digest == action.blob.digest)
    {
        let descriptor = action.blob.clone();
        record.blobs.push(LayerBlob { compression, codec: String::new(), descriptor });
    }
    record.diff_id = Some(action.diff_id);
    record.tar_size = Some(action.tar_size);
    batch.put_layer(&record);
    Ok(record.id)
}
