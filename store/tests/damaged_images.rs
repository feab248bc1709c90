//! Damage of any object is traced to the images that suffer from it.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::{Damage, ImageDamage, ImagePart, ImageProblem};
use wythe_store::id::{BodyId, LayerId};
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
use wythe_store::vfs::Vfs as _;

fn open(sim: &Sim) -> Store {
    let path = PathBuf::from("/simulated");
    Store::open_on(Arc::new(sim.clone()), path, &OpenOptions::default()).unwrap()
}

/// Stores two files, and gives the tree of them.
fn tree(lease: &Lease, texts: [&[u8]; 2]) -> Tree {
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
fn plain(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
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
fn compressed(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
    let tree = tree(lease, [b"first of the compressed one", &vec![7; 20_000]]);
    let mut record = LayerRecord::new(LayerId::of(b"compressed"));
    record.tree = Some(lease.put_tree(&tree).unwrap());
    let descriptor = export(lease, &mut record, Codec::GZIP).unwrap();
    batch.put_layer(&record);
    (record, descriptor)
}

/// A layer as a registry gave it.
fn pulled(lease: &Lease, batch: &mut Batch) -> (LayerRecord, Descriptor) {
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
struct Made {
    sim: Sim,
    layers: Vec<Descriptor>,
    manifest: Descriptor,
    config: Descriptor,
}

/// A store with one image of three layers under two names, one of them of an index, and an object
/// that nobody needs.
fn filled() -> Made {
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

fn images(store: &Store, depth: Depth) -> Vec<ImageDamage> {
    let damage = store.verify(depth).unwrap().into_iter();
    let image = |one| if let Damage::Image(image) = one { Some(image) } else { None };
    damage.filter_map(image).collect()
}

/// Flips a bit in the payload of the object.
fn flip(sim: &Sim, kind: Kind, id: &[u8; 32]) {
    for pack in open(sim).packs().all().unwrap() {
        for entry in pack.entries().filter(|entry| entry.name.kind == kind) {
            if entry.name.id == *id {
                let payload = usize::try_from(entry.offset).unwrap() + 64;
                sim.flip(&pack.name().path(), (payload + 2) * 8).unwrap();
            }
        }
    }
}

fn objects(sim: &Sim, kind: Kind) -> Vec<[u8; 32]> {
    let packs = open(sim).packs().all().unwrap();
    let entries = packs.iter().flat_map(|pack| pack.entries().collect::<Vec<_>>());
    entries.filter(|entry| entry.name.kind == kind).map(|entry| entry.name.id).collect()
}

#[test]
fn an_undamaged_image_is_whole_at_every_depth() {
    let made = filled();
    for depth in [Depth::Quick, Depth::Full] {
        let damage = open(&made.sim).verify(depth).unwrap();
        assert!(damage.is_empty(), "{depth:?}: {damage:?}");
    }
}

#[test]
fn a_damaged_document_names_the_image_and_what_it_is_of_it() {
    let made = filled();
    flip(&made.sim, Kind::Document, made.config.digest.as_bytes());
    let found = images(&open(&made.sim), Depth::Full);
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["app", "several"]);
    for one in &found {
        assert_eq!(one.part, ImagePart::Configuration(made.config.digest));
        assert!(matches!(one.problem, ImageProblem::Unreadable(_)), "{one}");
    }
    flip(&made.sim, Kind::Document, made.config.digest.as_bytes());
    flip(&made.sim, Kind::Document, made.manifest.digest.as_bytes());
    let found = images(&open(&made.sim), Depth::Quick);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|one| one.part == ImagePart::Manifest(made.manifest.digest)));
}

#[test]
fn a_damaged_file_is_named_with_its_layer_and_platform() {
    let made = filled();
    flip(&made.sim, Kind::Body, BodyId::of(b"second of the plain one").as_bytes());
    let found = images(&open(&made.sim), Depth::Full);
    assert_eq!(found.len(), 2, "{found:?}");
    let digest = made.layers[0].digest;
    assert_eq!(found[0].part, ImagePart::Layer { number: 1, of: 3, digest });
    let ImageProblem::Files { path, n_files: 1, .. } = &found[0].problem else {
        panic!("{found:?}")
    };
    assert_eq!(path.as_bytes(), b"etc/second");
    let text = found[0].to_string();
    assert!(text.starts_with("image app for "), "{text}");
    assert!(
        text.contains(&format!("layer 1 of 3, {digest}: the bytes of /etc/second: ")),
        "{text}"
    );
    assert!(text.contains("checksum mismatch"), "{text}");
}

#[test]
fn damage_of_anything_an_image_needs_names_the_image() {
    let made = filled();
    let plain: Vec<[u8; 32]> = [&b"first of the plain one"[..], b"second of the plain one"]
        .map(|text| *BodyId::of(text).as_bytes())
        .into();
    let kinds = [Kind::Document, Kind::Recipe, Kind::Run, Kind::Fragment];
    let needed = kinds
        .into_iter()
        .flat_map(|kind| objects(&made.sim, kind).into_iter().map(move |id| (kind, id)));
    let bodies = plain.into_iter().map(|id| (Kind::Body, id));
    for (kind, id) in needed.chain(bodies) {
        flip(&made.sim, kind, &id);
        let found = images(&open(&made.sim), Depth::Full);
        assert!(!found.is_empty(), "{kind:?}");
        flip(&made.sim, kind, &id);
    }
    assert!(images(&open(&made.sim), Depth::Full).is_empty());
    flip(&made.sim, Kind::Body, BodyId::of(b"nobody needs this").as_bytes());
    let damage = open(&made.sim).verify(Depth::Full).unwrap();
    assert!(matches!(&damage[..], [Damage::Unreadable(_)]), "{damage:?}");
}

#[test]
fn a_blob_that_has_changed_or_gone_names_the_image() {
    let made = filled();
    let blob = format!("blobs/sha256/{}", made.layers[2].digest.hex());
    made.sim.flip(&blob, 700).unwrap();
    let found = images(&open(&made.sim), Depth::Full);
    let digest = made.layers[2].digest;
    assert_eq!(found[0].part, ImagePart::Layer { number: 3, of: 3, digest });
    assert!(images(&open(&made.sim), Depth::Quick).is_empty(), "no look at its bytes");
    made.sim.unlink(&blob).unwrap();
    for depth in [Depth::Quick, Depth::Full] {
        let found = images(&open(&made.sim), depth);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].problem, ImageProblem::Missing);
    }
}

#[test]
fn what_a_registry_is_known_to_have_is_not_missing() {
    let made = filled();
    let store = open(&made.sim);
    let digest = made.layers[2].digest;
    let mut record = store.layer_of_blob(&digest).unwrap().unwrap();
    record.origins.push("r.example/base".to_owned());
    let mut batch = Batch::new();
    batch.put_layer(&record);
    store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
    made.sim.unlink(&format!("blobs/sha256/{}", digest.hex())).unwrap();
    let damage = open(&made.sim).verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{damage:?}");
}

#[test]
fn an_image_whose_objects_were_never_stored_is_named_whatever_is_missing() {
    let sim = Sim::default();
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let config = RawDocument::new(ImageConfig::default());
    let layer = Descriptor::of(MediaType::LAYER_GZIP, b"nowhere");
    let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer.clone()]));
    let mut batch = Batch::new();
    batch.set_ref("nothing", &manifest.descriptor());
    lease.commit(batch, Durability::Durable).unwrap();
    let part = |store: &Store| images(store, Depth::Quick).remove(0).part;
    assert_eq!(part(&store), ImagePart::Manifest(manifest.descriptor().digest));
    lease.put_document(manifest.bytes()).unwrap();
    assert_eq!(part(&store), ImagePart::Configuration(config.descriptor().digest));
    lease.put_document(config.bytes()).unwrap();
    assert_eq!(part(&store), ImagePart::Layer { number: 1, of: 1, digest: layer.digest });
}
