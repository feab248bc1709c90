//! What is told of a store's space, against what the disk says and what is in it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::*;
use crate::digest::{DiffId, Digest};
use crate::gc::Policy;
use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layers::LayerRecord;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::path::LayerPath;
use crate::store::OpenOptions;
use crate::tree::build::TreeBuilder;
use crate::tree::entry::{File, Metadata, Node};

/// The length of the file that all images have.
const COMMON: usize = 1 << 20;

fn open(directory: &tempfile::TempDir) -> Store {
    Store::open(directory.path(), &OpenOptions::default()).unwrap()
}

fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// An image of one layer with two files, the first of which all have.
fn image(store: &Store, name: &str, own: usize) {
    let lease = store.lease().unwrap();
    let mut builder = TreeBuilder::new();
    for (path, bytes) in [("a", noise("common", COMMON)), ("b", noise(name, own))] {
        let (body, size) = (lease.put_body(&bytes).unwrap(), bytes.len() as u64);
        let path = LayerPath::parse(path.as_bytes()).unwrap();
        let file = File { body, size, link: None };
        builder.insert(&path, Metadata::default(), Node::File(file)).unwrap();
    }
    let tar = Digest::of(name.as_bytes());
    let record = LayerRecord {
        tree: Some(lease.put_tree(&builder.finish()).unwrap()),
        diff_id: Some(DiffId(tar)),
        ..LayerRecord::new(LayerId::of(name.as_bytes()))
    };
    let manifest = format!(r#"{{"layers":[{{"digest":"{tar}"}}]}}"#);
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    let root = Descriptor::of(MediaType::MANIFEST, manifest.as_bytes());
    batch.put_layer(&record).set_ref(name, &root);
    lease.commit(batch, Durability::Relaxed).unwrap();
}

#[test]
fn the_sum_is_what_the_disk_says() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    image(&store, "one", 300_000);
    let live = directory.path().join("live/ab");
    fs::create_dir(&live).unwrap();
    fs::write(live.join("file"), noise("file", 500_000)).unwrap();
    fs::hard_link(live.join("file"), live.join("link")).unwrap();
    fs::create_dir_all(directory.path().join("caches/a/0")).unwrap();
    fs::write(directory.path().join("caches/a/0/file"), noise("cache", 100_000)).unwrap();
    let mut du = Command::new("du");
    let told = du.args(["-s", "--block-size=1"]).arg(directory.path()).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    let expected: u64 = told.split_whitespace().next().unwrap().parse().unwrap();
    let usage = store.usage().unwrap();
    assert_eq!(usage.total().bytes, expected, "{usage:?}");
    let on_disk = fs::metadata(live.join("file")).unwrap().blocks() * 512;
    let lives = usage.of(Class::Live).bytes;
    assert!((on_disk..on_disk * 3 / 2).contains(&lives), "{usage:?}");
    assert!(usage.of(Class::Bodies).bytes > 1_300_000);
    assert!(usage.of(Class::Trees).bytes > 0 && usage.of(Class::Documents).bytes > 0);
}

#[test]
fn what_no_name_needs_is_reclaimable() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    image(&store, "one", 300_000);
    let lease = store.lease().unwrap();
    lease.put_body(&noise("garbage", 2_000_000)).unwrap();
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    let bodies = store.usage().unwrap().of(Class::Bodies);
    assert!((1_900_000..2_200_000).contains(&bodies.reclaimable), "{bodies:?}");
}

#[test]
fn what_an_older_process_keeps_from_going_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = (open(&directory), open(&directory));
    image(&store, "one", 300_000);
    let lease = store.lease().unwrap();
    lease.put_body(&noise("garbage", 2_000_000)).unwrap();
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    drop(lease);
    let older = other.lease().unwrap();
    assert_eq!(store.waiting().unwrap(), 0);
    store.prune(Policy::ImagesOnly).unwrap();
    let waiting = store.waiting().unwrap();
    assert!((2_000_000..2_200_000).contains(&waiting), "{waiting}");
    drop(older);
    store.prune(Policy::ImagesOnly).unwrap();
    assert_eq!(store.waiting().unwrap(), 0);
}

#[test]
fn an_image_is_told_what_it_shares() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    image(&store, "one", 300_000);
    image(&store, "two", 600_000);
    let common = COMMON as u64;
    for (name, own) in [("one", 300_000), ("two", 600_000)] {
        let usage = store.usage_of(name).unwrap().unwrap();
        assert_eq!(usage.logical, common + own);
        assert!((own..own + 50_000).contains(&usage.unique), "{usage:?}");
        assert!((common - 50_000..common + 50_000).contains(&usage.shared), "{usage:?}");
    }
    assert_eq!(store.usage_of("three").unwrap(), None);
    let all = store.usage_of_images().unwrap();
    assert_eq!((all.names, all.logical), (2, 2 * common + 900_000));
    assert!((900_000..1_000_000).contains(&all.unique), "{all:?}");
    assert!((common - 50_000..common + 50_000).contains(&all.shared), "{all:?}");
}

#[test]
fn what_two_names_of_one_image_need_is_shared() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    image(&store, "one", 300_000);
    let alone = store.usage_of_images().unwrap();
    assert_eq!((alone.names, alone.shared), (1, 0));
    let root = store.find_ref("one").unwrap().unwrap();
    let lease = store.lease().unwrap();
    let mut batch = Batch::new();
    batch.set_ref("again", &root);
    lease.commit(batch, Durability::Relaxed).unwrap();
    let both = store.usage_of_images().unwrap();
    assert_eq!((both.names, both.unique, both.shared), (2, 0, alone.unique));
}
