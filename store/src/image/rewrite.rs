//! Images without times later than an epoch, so that building again gives the same layers.

use crate::digest::DiffId;
use crate::image::catalog::StoredImage;
use crate::image::recode::{RecodeCause, RecodeError, Replacement, replace_layers};
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::export::measure;
use crate::layer::import::layer_id;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::tree::times;

/// The annotation of layers whose times were changed, as `BuildKit` writes it.
pub const REWRITTEN: &str = "buildkit/rewritten-timestamp";

/// The image with every time after `epoch` set to it, but for the lowest `base_layers` layers,
/// which are somebody else's. Its documents and layers are in the store; an image with no later
/// time stays the same. Files are read on the current rayon pool.
///
/// # Errors
///
/// If the files of a layer are not in the store, or it fails.
pub fn clamp_times(
    lease: &Lease,
    image: &StoredImage,
    base_layers: usize,
    epoch: i64,
) -> Result<StoredImage, RecodeError> {
    replace_layers(lease, image, |at, _, diff_id| {
        let made = if at < base_layers { None } else { clamp(lease, &diff_id, epoch)? };
        Ok(made.map(|made| Replacement { diff_id: DiffId(made.digest), descriptor: made }))
    })
}

/// The layer with its times changed; `None` where none is late.
fn clamp(lease: &Lease, diff_id: &DiffId, epoch: i64) -> Result<Option<Descriptor>, RecodeCause> {
    let store = lease.store();
    let id = store.layer_of_diff(diff_id)?.and_then(|record| record.tree);
    let id = id.ok_or(RecodeCause::Missing)?;
    let tree = times::clamp(&store.tree(&id)?.ok_or(RecodeCause::Missing)?, epoch);
    let clamped = lease.put_tree(&tree)?;
    if clamped == id {
        return Ok(None);
    }
    let measured = measure(&tree, store)?;
    let mut record = LayerRecord::new(layer_id(&measured.diff_id));
    record.tree = Some(clamped);
    record.diff_id = Some(measured.diff_id);
    record.tar_size = Some(measured.size);
    // Of one that a registry is known to have, nothing but that may be known.
    if store.layer_of_diff(&measured.diff_id)?.is_none_or(|known| known.tree.is_none()) {
        let mut batch = Batch::new();
        batch.put_layer(&record);
        // It can be made again from the layer it was made of.
        lease.commit(batch, Durability::Relaxed)?;
    }
    let mut layer = Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size);
    layer.annotations.insert(REWRITTEN.to_owned(), epoch.to_string());
    Ok(Some(layer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LayerId;
    use crate::image::encode::{Recompress, encode};
    use crate::layer::codec::Codec;
    use crate::layer::origin::remember_origin;
    use crate::oci::config::ImageConfig;
    use crate::oci::document::RawDocument;
    use crate::oci::manifest::Manifest;
    use crate::store::{OpenOptions, Store};
    use crate::tree::sketch::sketch;

    /// An image of two layers, each with a file of the time 1.
    fn built() -> (tempfile::TempDir, Lease, StoredImage) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let (mut config, mut layers) = (ImageConfig::default(), Vec::new());
        for text in ["base", "new"] {
            lease.put_body(text.as_bytes()).unwrap();
            let tree = sketch(&format!("{text}={text}"));
            let measured = measure(&tree, &store).unwrap();
            let mut record = LayerRecord::new(LayerId::of(text.as_bytes()));
            record.tree = Some(lease.put_tree(&tree).unwrap());
            (record.diff_id, record.tar_size) = (Some(measured.diff_id), Some(measured.size));
            let mut batch = Batch::new();
            batch.put_layer(&record);
            lease.commit(batch, Durability::Relaxed).unwrap();
            config.rootfs.diff_ids.push(measured.diff_id);
            layers.push(Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size));
        }
        let config = RawDocument::new(config);
        let manifest = RawDocument::new(Manifest::new(config.descriptor(), layers));
        let image = StoredImage { root: manifest.descriptor(), manifest, config };
        (folder, lease, image)
    }

    fn encoded(lease: &Lease, image: &StoredImage, codec: Codec) -> RawDocument<Manifest> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        encode(lease, image, (codec, Recompress::Never), &pool).unwrap()
    }

    #[test]
    fn layers_above_the_base_get_other_digests_and_a_mark() {
        let (_folder, lease, image) = built();
        let clamped = clamp_times(&lease, &image, 1, 0).unwrap();
        let (old, new) = (&image.config.value().rootfs, &clamped.config.value().rootfs);
        assert_eq!(old.diff_ids[0], new.diff_ids[0]);
        assert_ne!(old.diff_ids[1], new.diff_ids[1]);
        assert_eq!(clamped.manifest.value().config, clamped.config.descriptor());
        let encoded = encoded(&lease, &clamped, Codec::GZIP);
        let marks: Vec<Option<&String>> =
            encoded.value().layers.iter().map(|layer| layer.annotations.get(REWRITTEN)).collect();
        assert_eq!(marks, [None, Some(&"0".to_owned())]);
    }

    #[test]
    fn a_layer_that_a_registry_has_too_is_compressed_from_its_files() {
        let [unknown, known] = [false, true].map(|is_known| {
            let (_folder, lease, image) = built();
            if is_known {
                let (_other, other, image) = built();
                let clamped = clamp_times(&other, &image, 0, 0).unwrap();
                let layers = encoded(&other, &clamped, Codec::ZSTD);
                let mut batch = Batch::new();
                let pairs =
                    layers.value().layers.iter().zip(&clamped.config.value().rootfs.diff_ids);
                for pair in pairs {
                    remember_origin(lease.store(), pair, "r.example/a", &mut batch).unwrap();
                }
                lease.commit(batch, Durability::Relaxed).unwrap();
            }
            let clamped = clamp_times(&lease, &image, 0, 0).unwrap();
            encoded(&lease, &clamped, Codec::GZIP).value().layers.clone()
        });
        assert_eq!(known, unknown);
    }

    #[test]
    fn an_image_with_no_later_time_stays() {
        let (_folder, lease, image) = built();
        assert_eq!(clamp_times(&lease, &image, 0, 1).unwrap(), image);
    }
}
