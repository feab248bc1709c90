//! Damage anywhere in a store is found, and reading damaged files gives errors, not crashes.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::digest::Digest;
use wythe_store::fsck::Depth;
use wythe_store::id::BodyId;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::sim::Sim;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::vfs::Vfs as _;

fn open(sim: &Sim) -> Store {
    let path = PathBuf::from("/simulated");
    Store::open_on(Arc::new(sim.clone()), path, &OpenOptions::default()).unwrap()
}

/// A store with a pack, a blob and a journal of two groups.
fn filled() -> Sim {
    let sim = Sim::default();
    let store = open(&sim);
    let lease = store.lease().unwrap();
    lease.put_body(b"a small body").unwrap();
    lease.put_body(&[3; 400]).unwrap();
    let descriptor = Descriptor::of(MediaType::LAYER_GZIP, b"blob");
    let mut ingest = lease.ingest_blob(&descriptor).unwrap();
    ingest.write_all(b"blob").unwrap();
    ingest.commit().unwrap();
    let digest = lease.put_document(b"{}").unwrap();
    for name in ["app", "other"] {
        let mut batch = Batch::new();
        batch.set_ref(name, &Descriptor::new(MediaType::MANIFEST, digest, 2));
        lease.commit(batch, Durability::Durable).unwrap();
    }
    sim
}

#[test]
fn an_undamaged_store_verifies() {
    let damage = open(&filled()).verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{damage:?}");
}

#[test]
fn a_flipped_bit_in_any_byte_of_any_class_is_found() {
    let sim = filled();
    let classes = ["packs/", "blobs/", "journal/"];
    let of_class = |path: &String| classes.iter().any(|class| path.starts_with(class));
    for path in sim.files().into_iter().filter(of_class) {
        let size = sim.open(&path).unwrap().size().unwrap();
        for byte in 0..usize::try_from(size).unwrap() {
            let bit = byte * 8 + byte % 8;
            sim.flip(&path, bit).unwrap();
            let damage = open(&sim).verify(Depth::Full).unwrap();
            assert!(!damage.is_empty(), "{path} byte {byte}");
            sim.flip(&path, bit).unwrap();
        }
    }
}

#[test]
fn a_pack_cut_anywhere_is_an_error_to_verify_and_no_object_to_get() {
    let sim = filled();
    let pack = sim.files().into_iter().find(|path| path.starts_with("packs/")).unwrap();
    let size = usize::try_from(sim.open(&pack).unwrap().size().unwrap()).unwrap();
    for length in (0..size).rev() {
        sim.cut(&pack, length).unwrap();
        let store = open(&sim);
        assert!(store.body(&BodyId::of(b"a small body")).unwrap().is_none(), "{length} bytes");
        assert!(!store.verify(Depth::Full).unwrap().is_empty(), "{length} bytes");
    }
}

#[test]
fn a_truncated_pack_on_disk_is_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    let mut body = vec![0; 500_000];
    blake3::Hasher::new().finalize_xof().fill(&mut body);
    let id = lease.put_body(&body).unwrap();
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    let path = store.path().join(store.packs().all().unwrap()[0].name().path());
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 1, 64, 4096, bytes.len() / 2, bytes.len() - 1] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes[..length]).unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        assert!(store.body(&id).unwrap().is_none(), "{length} bytes");
        assert_eq!(store.verify(Depth::Full).unwrap().len(), 1, "{length} bytes");
    }
}

#[test]
fn what_is_made_again_takes_the_place_of_a_pack_that_cannot_be_read() {
    let sim = Sim::default();
    let put = |store: &Store| {
        let lease = store.lease().unwrap();
        lease.put_body(b"a small body").unwrap();
        lease.commit(Batch::new(), Durability::Durable).unwrap();
    };
    put(&open(&sim));
    let pack = sim.files().into_iter().find(|path| path.starts_with("packs/")).unwrap();
    sim.cut(&pack, 80).unwrap();
    let store = open(&sim);
    assert!(store.packs().unreadable().is_empty(), "nothing was looked for");
    assert!(store.body(&BodyId::of(b"a small body")).unwrap().is_none());
    let unreadable = store.packs().unreadable();
    assert_eq!(unreadable.iter().map(|error| &*error.path).collect::<Vec<_>>(), [&*pack]);
    put(&store);
    let store = open(&sim);
    assert!(store.body(&BodyId::of(b"a small body")).unwrap().is_some());
    assert!(store.verify(Depth::Full).unwrap().is_empty());
}

#[test]
fn damage_in_the_middle_of_the_journal_costs_one_group() {
    let sim = filled();
    let log = "journal/0000000000000000.log";
    sim.flip(log, (64 + 100) * 8).unwrap();
    let store = open(&sim);
    assert_eq!(store.find_ref("app").unwrap(), None);
    assert!(store.find_ref("other").unwrap().is_some());
    assert_eq!(store.verify(Depth::Full).unwrap().len(), 1);
}

#[test]
fn a_torn_tail_is_cut_off_by_the_next_of_two_writers() {
    let sim = filled();
    let (ours, theirs) = (open(&sim), open(&sim));
    let log = "journal/0000000000000000.log";
    sim.open_append(log).unwrap().append(&[0x57; 100]).unwrap();
    for (store, name) in [(&ours, "x"), (&theirs, "y"), (&ours, "z")] {
        let mut batch = Batch::new();
        batch.set_ref(name, &Descriptor::new(MediaType::MANIFEST, Digest::of(b"{}"), 2));
        store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
    }
    let names: Vec<String> =
        open(&sim).list_refs().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["app", "other", "x", "y", "z"]);
    assert!(open(&sim).verify(Depth::Full).unwrap().is_empty());
}
