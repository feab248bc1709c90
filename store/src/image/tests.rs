//! Images that tests start from.

use super::catalog::StoredImage;
use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::export::measure;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::MediaType;
use crate::store::{OpenOptions, Store};
use crate::tree::sketch::sketch;

/// A store with an image of one layer, made here.
pub(super) fn built() -> (tempfile::TempDir, Lease, StoredImage) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    let tree = sketch("etc/ etc/motd=hello");
    lease.put_body(b"hello").unwrap();
    let measured = measure(&tree, &store).unwrap();
    let mut record = LayerRecord::new(LayerId::from_bytes([1; 32]));
    record.tree = Some(lease.put_tree(&tree).unwrap());
    record.diff_id = Some(measured.diff_id);
    record.tar_size = Some(measured.size);
    let mut batch = Batch::default();
    batch.put_layer(&record);
    lease.commit(batch, Durability::Relaxed).unwrap();
    let mut config = ImageConfig::default();
    config.rootfs.diff_ids = vec![measured.diff_id];
    let config = RawDocument::new(config);
    lease.put_document(config.bytes()).unwrap();
    let layer = Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size);
    let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer]));
    let image = StoredImage { root: manifest.descriptor(), manifest, config };
    (folder, lease, image)
}
