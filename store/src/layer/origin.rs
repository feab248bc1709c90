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
    record.diff_id = Some(action.diff_id);
    record.tar_size.get_or_insert(action.tar_size);
    let compression = action.blob.media_type.layer_compression();
    // Of what is here the blob is not needed, and nobody has held it to the bytes.
    if let Some(compression) = compression.filter(|_| record.tree.is_none())
        && !record.blobs.iter().any(|blob| blob.descriptor.digest == action.blob.digest)
    {
        let descriptor = action.blob.clone();
        record.blobs.push(LayerBlob { compression, codec: String::new(), descriptor });
    }
    batch.put_layer(&record);
    Ok(record.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
    use crate::id::ContentId;
    use crate::journal::Durability;
    use crate::oci::media_type::MediaType;
    use crate::store::OpenOptions;
    use crate::timestamp::Timestamp;
    use crate::tree::entry::Tree;

    #[test]
    fn what_a_cache_says_of_a_layer_that_is_here_changes_nothing_of_it() {
        let said = PortableAction {
            diff_id: DiffId(Digest::of(b"stream")),
            tar_size: 7,
            blob: Descriptor::of(MediaType::LAYER_GZIP, b"another stream"),
            content: ContentId::of(b"files"),
            created: Timestamp::default(),
            duration: std::time::Duration::ZERO,
            step: String::new(),
            inputs: Vec::new(),
            listings: None,
            latest: None,
            origin: None,
        };
        let id = layer_id(&said.diff_id);
        for is_here in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
            let lease = store.lease().unwrap();
            let tree = is_here.then(|| lease.put_tree(&Tree::default()).unwrap());
            let (diff_id, tar_size) = (Some(said.diff_id), tree.map(|_| 1024));
            let own = LayerRecord { tree, diff_id, tar_size, ..LayerRecord::new(id) };
            let mut batch = Batch::new();
            batch.put_layer(&own);
            lease.commit(batch, Durability::Relaxed).unwrap();
            let mut batch = Batch::new();
            assert_eq!(remember_announced(&store, &said, &mut batch).unwrap(), id);
            lease.commit(batch, Durability::Relaxed).unwrap();
            assert_eq!(store.layer(&id).unwrap() == Some(own), is_here);
        }
    }
}
