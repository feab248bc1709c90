//! A store with one image of every kind of layer.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::{Damage, ImageDamage};
use wythe_store::id::LayerId;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{export, measure};
use wythe_store::layers::{LayerBlob, LayerRecord};
use wythe_store::lease::Lease;
use wythe_store::object::Kind;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::{Compression, MediaType};
use wythe_store::path::LayerPath;
use wythe_store::sim::Sim;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{File, Metadata, Node, Tree};

pub(crate) fn open(sim: &Sim) -> Store {
    let path = PathBuf::from("/simulated");
    Store::open_on(Arc::new(sim.clone()), path, &OpenOptions::default()).unwrap()
}

/// Stores two files, and gives the tree of them.
pub(crate) fn tree(lease: &Lease, texts: [&[u8]; 2]) -> Tree {
    let mut builder = TreeBuilder::new();
    for (name, text) in ["etc/first", "etc/second"].into_iter().zip(texts) {
        let file =
            File { body: lease.put_body(text).unwrap(), size: text.len() as u64, link: None };
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        let path = LayerPath::parse(name.as_bytes()).unwrap();
        builder.insert(&path, metadata, Node::File(file)).unwrap();
    }
    builder.finish()
}

/// A layer that was built here, and is handed out as the tar stream of its tree.
pub(crate) fn plain(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
    let tree = tree(lease, [b"first of the plain one", b"second of the plain one"]);
    let mut record = LayerRecord::new(LayerId::of(b"plain"));
    record.tree = Some(lease.put_tree(&tree).unwrap());
    let measured = measure(&tree, lease.store()).unwrap();
    (record.diff_id, record.tar_size) = (Some(measured.diff_id), Some(measured.size));
    batch.put_layer(&record);
    let descriptor = Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size);
    (record, descriptor)
}

/// A layer that was built here, and compressed.
pub(crate) fn compressed(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
    let tree = tree(lease, [b"first of the compressed one", &vec![7; 20_000]]);
    let mut record = LayerRecord::new(LayerId::of(b"compressed"));
    record.tree = Some(lease.put_tree(&tree).unwrap());
    let descriptor = export(lease, &mut record, Codec::GZIP).unwrap();
    batch.put_layer(&record);
    (record, descriptor)
}

/// A layer as a registry gave it.
pub(crate) fn pulled(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
    let tree = tree(lease, [b"first of the pulled one", b"second of the pulled one"]);
    let measured = measure(&tree, lease.store()).unwrap();
    let mut tar = Vec::new();
    wythe_store::layer::tar_write::tar_write(&tree, lease.store(), None, &mut tar).unwrap();
    let descriptor = Descriptor::of(MediaType::LAYER, &tar);
    let mut ingest = lease.ingest_blob(&descriptor).unwrap();
    ingest.write_all(&tar).unwrap();
    ingest.commit().unwrap();
    let mut record = LayerRecord::new(LayerId::of(b"pulled"));
    (record.diff_id, record.tar_size) = (Some(measured.diff_id), Some(measured.size));
    let blob = descriptor.clone();
    record.blobs.push(LayerBlob {
        compression: Compression::None,
        codec: String::new(),
        descriptor: blob,
    });
    batch.put_layer(&record);
    (record, descriptor)
}

/// What the image of a store consists of.
pub(crate) struct Made {
    pub(crate) sim: Sim,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) manifest: Descriptor,
    pub(crate) config: Descriptor,
}

/// A store with one image of three layers under two names, one of them of an index, and an object
/// that nobody needs.
pub(crate) fn filled() -> Made {
    let sim = Sim::default();
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let mut batch = Batch::new();
    let made = [plain, compressed, pulled].map(|make| make(&lease, &mut batch));
    let mut config = ImageConfig::default();
    config.rootfs.diff_ids = made.iter().map(|(record, _)| record.diff_id.unwrap()).collect();
    let config = RawDocument::new(config);
    let layers: Vec<Descriptor> = made.into_iter().map(|(_, descriptor)| descriptor).collect();
    let manifest = RawDocument::new(Manifest::new(config.descriptor(), layers.clone()));
    let mut absent = Descriptor::of(MediaType::MANIFEST, b"of another platform");
    absent.platform = "linux/s390x".parse().ok();
    let index = RawDocument::new(Index::new(vec![absent, manifest.descriptor()]));
    for bytes in [config.bytes(), manifest.bytes(), index.bytes()] {
        lease.put_document(bytes).unwrap();
    }
    lease.put_body(b"nobody needs this").unwrap();
    batch.set_ref("app", &manifest.descriptor()).set_ref("several", &index.descriptor());
    lease.commit(batch, Durability::Durable).unwrap();
    drop(lease);
    Made { sim, layers, manifest: manifest.descriptor(), config: config.descriptor() }
}

pub(crate) fn images(store: &Store, depth: Depth) -> Vec<ImageDamage> {
    let damage = store.verify(depth).unwrap().into_iter();
    let image = |one| if let Damage::Image(image) = one { Some(image) } else { None };
    damage.filter_map(image).collect()
}

/// Flips a bit in the payload of the object.
pub(crate) fn flip(sim: &Sim, kind: Kind, id: &[u8; 32]) {
    for pack in open(sim).packs().all().unwrap() {
        for entry in pack.entries().filter(|entry| entry.name.kind == kind) {
            if entry.name.id == *id {
                let payload = usize::try_from(entry.offset).unwrap() + 64;
                sim.flip(&pack.name().path(), (payload + 2) * 8).unwrap();
            }
        }
    }
}

pub(crate) fn objects(sim: &Sim, kind: Kind) -> Vec<[u8; 32]> {
    let packs = open(sim).packs().all().unwrap();
    let entries = packs.iter().flat_map(|pack| pack.entries().collect::<Vec<_>>());
    entries.filter(|entry| entry.name.kind == kind).map(|entry| entry.name.id).collect()
}
