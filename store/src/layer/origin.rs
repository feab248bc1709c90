//! Where layers are to be had that the store does not hold: an image may have a name while its
//! layers stay at their registry until somebody needs them.

use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::journal::batch::Batch;
use crate::layer::import::layer_id;
use crate::layers::{LayerBlob, LayerRecord};
use crate::oci::descriptor::Descriptor;
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
