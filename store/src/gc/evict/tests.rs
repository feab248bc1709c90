//! Stores of things of a known age and size, and what is left of them within a budget.

use std::fs;

use super::*;
use crate::action::ActionRecord;
use crate::blob::BlobIngest;
use crate::cache_mount::{CacheSpec, Company};
use crate::digest::DiffId;
use crate::gc::{Freed, Policy};
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::last_use::Used;
use crate::layer::codec::Codec;
use crate::layer::export::export;
use crate::layers::{LayerBlob, LayerRecord};
use crate::live_record::{FORM, LiveRecord, Sync};
use crate::object::Kind;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::{Compression, MediaType};
use crate::path::LayerPath;
use crate::store::OpenOptions;
use crate::tree::build::TreeBuilder;
use crate::tree::entry::{File, Metadata, Node, Tree};

const NOW: Timestamp = Timestamp { seconds: 1_000_000, nanos: 0 };

/// What each thing of these tests takes, about.
const SIZE: u64 = 1 << 20;

struct Trial {
    directory: tempfile::TempDir,
    store: Store,
}

fn noise(name: &str) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn before_now(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds - seconds)
}

fn key(name: &str) -> CacheKey {
    CacheKey::of(name.as_bytes())
}

impl Trial {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        Self { directory, store }
    }

    /// A layer of one file.
    fn layer(&self, name: &str) -> (Tree, LayerRecord) {
        let lease = self.store.lease().unwrap();
        let mut builder = TreeBuilder::new();
        let file = File { body: lease.put_body(&noise(name)).unwrap(), size: SIZE, link: None };
        let path = LayerPath::parse(name.as_bytes()).unwrap();
        builder.insert(&path, Metadata::default(), Node::File(file)).unwrap();
        let tree = builder.finish();
        let id = LayerId::of(name.as_bytes());
        let record =
            LayerRecord { tree: Some(lease.put_tree(&tree).unwrap()), ..LayerRecord::new(id) };
        let mut batch = Batch::new();
        batch.put_layer(&record);
        lease.commit(batch, Durability::Relaxed).unwrap();
        (tree, record)
    }

    /// The result of a step that made a layer of one file.
    fn action(&self, name: &str, created: Timestamp) -> LayerRecord {
        let (_, record) = self.layer(name);
        self.remember(name, &record, created);
        record
    }

    fn remember(&self, name: &str, record: &LayerRecord, created: Timestamp) {
        let mut batch = Batch::new();
        let (key, layer) = (key(name), Some(record.id));
        batch.put_action(&ActionRecord { key, layer, created, inputs: Vec::new() });
        batch.put_layer(record);
        self.store.lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
    }

    /// Gives a layer a compressed form.
    fn forms(&self, record: &mut LayerRecord) {
        let lease = self.store.lease().unwrap();
        export(&lease, record, Codec::GZIP).unwrap();
        let mut batch = Batch::new();
        batch.put_layer(record);
        lease.commit(batch, Durability::Relaxed).unwrap();
    }

    /// Gives a layer a directory.
    fn unpack(&self, record: &LayerRecord, name: &str, used: Timestamp) -> LiveName {
        let live = LiveName::new(name).unwrap();
        let path = self.directory.path().join(live.path());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), noise(name)).unwrap();
        let (idmap, boot) = (b"map".to_vec(), [0; 16]);
        let (layer, stamp) = (record.id, None);
        let made = LiveRecord { layer, idmap, form: FORM, boot, sync: Sync::Synced, stamp };
        let mut batch = Batch::new();
        batch.put_live(&live, &made);
        self.store.lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
        self.use_at(&Used::Live(&live), used);
        live
    }

    /// A layer as it was pulled.
    fn blob(&self, name: &str, created: Timestamp) -> Digest {
        let bytes = noise(name);
        let descriptor = Descriptor::of(MediaType::LAYER_GZIP, &bytes);
        let lease = self.store.lease().unwrap();
        let mut ingest: BlobIngest<'_> = lease.ingest_blob(&descriptor).unwrap();
        std::io::Write::write_all(&mut ingest, &bytes).unwrap();
        ingest.commit().unwrap();
        let digest = descriptor.digest;
        let (compression, codec) = (Compression::Gzip, String::new());
        let record = LayerRecord {
            diff_id: Some(DiffId(Digest::of(name.as_bytes()))),
            blobs: vec![LayerBlob { compression, codec, descriptor }],
            origins: vec!["example.org/app".to_owned()],
            ..LayerRecord::new(LayerId::of(name.as_bytes()))
        };
        self.remember(name, &record, created);
        self.use_at(&Used::Blob(&digest), created);
        digest
    }

    fn mount(&self, name: &str, used: Timestamp) -> std::path::PathBuf {
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        let (identity, company) = (name.into(), Company::Everybody);
        let spec = CacheSpec { identity, company, mode: 0o700, uid, gid, ..CacheSpec::default() };
        let held = self.store.open_cache(&spec).unwrap();
        fs::write(held.path.join("file"), noise(name)).unwrap();
        self.store.keep_uses(used);
        held.path.clone()
    }

    fn use_at(&self, thing: &Used<'_>, used: Timestamp) {
        self.store.keep_uses(NOW);
        self.store.note_use(thing);
        self.store.keep_uses(used);
    }

    fn collect(&self, budget: Budget) -> Freed {
        let pace = Pace { now: NOW, patience: &|| true };
        self.store.collect(Policy::Within(budget), &pace).unwrap()
    }

    fn at_most(&self, bytes: u64) -> Freed {
        self.collect(Budget { max_used: Some(bytes), ..Budget::default() })
    }

    fn has(&self, name: &str) -> bool {
        let known = self.store.actions().unwrap().iter().any(|action| action.key == key(name));
        let body = crate::id::BodyId::of(&noise(name));
        assert_eq!(self.store.contains(Kind::Body, body.as_bytes()).unwrap(), known, "{name}");
        known
    }

    fn used(&self) -> u64 {
        self.store.usage().unwrap().total().bytes
    }
}

#[test]
fn the_results_used_last_stay_as_far_as_they_fit() {
    let trial = Trial::new();
    for (n, name) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        trial.action(name, before_now(1000 - i64::try_from(n).unwrap()));
    }
    trial.use_at(&Used::Action(&key("a")), before_now(5));
    let before = trial.used();
    assert!(before > 5 * SIZE);
    assert_eq!(trial.at_most(before).n_actions, 0);
    let freed = trial.at_most(3 * SIZE + SIZE / 2);
    assert_eq!(freed.n_actions, 2);
    let left = ["a", "b", "c", "d", "e"].map(|name| trial.has(name));
    assert_eq!(left, [true, false, false, true, true]);
    assert!(trial.used() < 3 * SIZE + SIZE / 2);
}

#[test]
fn of_one_age_what_is_cheap_to_make_again_goes_first() {
    let trial = Trial::new();
    let old = before_now(500);
    let mut record = trial.action("a", old);
    trial.forms(&mut record);
    let live = trial.unpack(&record, "live", old);
    let blob = trial.blob("blob", old);
    let mount = trial.mount("mount", old);
    let has_forms = || {
        let packs = trial.store.packs().all().unwrap();
        packs.iter().flat_map(|pack| pack.entries()).any(|entry| entry.name.kind == Kind::Recipe)
    };
    let state = || {
        let live = trial.directory.path().join(live.path()).exists();
        let blob = trial.store.foreign_blob(&blob).unwrap().is_some();
        [has_forms(), live, blob, trial.has("a"), mount.exists()]
    };
    assert_eq!(state(), [true; 5]);
    for n_gone in 1..=5 {
        trial.at_most(trial.used() - SIZE / 2);
        let expected: [bool; 5] = std::array::from_fn(|at| at >= n_gone);
        assert_eq!(state(), expected);
    }
}

#[test]
fn what_has_a_name_or_was_used_lately_stays() {
    let trial = Trial::new();
    let (_, record) = trial.layer("named");
    trial.remember("named", &record, before_now(900));
    let layer = Digest::of(b"tar");
    let manifest = format!(r#"{{"layers":[{{"digest":"{layer}"}}]}}"#);
    let lease = trial.store.lease().unwrap();
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    batch.put_layer(&LayerRecord { diff_id: Some(DiffId(layer)), ..record });
    batch.set_ref("app", &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
    lease.commit(batch, Durability::Relaxed).unwrap();
    drop(lease);
    trial.action("young", before_now(10));
    trial.action("old", before_now(900));
    trial.collect(Budget { max_used: Some(0), keep_for: 100, ..Budget::default() });
    assert_eq!(["named", "young", "old"].map(|name| trial.has(name)), [true, true, false]);
    trial.collect(Budget { keep_for: 5, ..Budget::default() });
    assert_eq!(["named", "young"].map(|name| trial.has(name)), [true, false]);
}

#[test]
fn what_others_may_have_found_goes_when_they_are_done() {
    let trial = Trial::new();
    let record = trial.action("a", before_now(900));
    let live = trial.unpack(&record, "live", before_now(900));
    let used = trial.mount("used", before_now(900));
    let other = Store::open(trial.directory.path(), &OpenOptions::default()).unwrap();
    let lease = other.lease().unwrap();
    let freed = trial.at_most(0);
    assert_eq!((freed.n_actions, freed.n_mounts), (1, 1));
    assert!(freed.n_waiting > 0 && !used.exists());
    let body = crate::id::BodyId::of(&noise("a"));
    assert!(trial.store.contains(Kind::Body, body.as_bytes()).unwrap(), "it may be relied on");
    assert!(trial.directory.path().join(live.path()).exists(), "it may be mounted");
    drop(lease);
    assert_eq!(trial.at_most(0).n_waiting, 0);
    assert!(!trial.directory.path().join(live.path()).exists());
    assert!(!trial.has("a"));
}

#[test]
fn the_only_copy_of_a_layer_goes_with_its_result_and_not_before() {
    let trial = Trial::new();
    let adopted = LayerRecord::new(LayerId::of(b"adopted"));
    let live = trial.unpack(&adopted, "live", before_now(900));
    trial.remember("adopted", &adopted, before_now(10));
    trial.action("older", before_now(20));
    let is_there = || trial.directory.path().join(live.path()).exists();
    trial.at_most(SIZE + SIZE / 2);
    assert!(is_there() && !trial.has("older"));
    let freed = trial.at_most(SIZE / 2);
    assert!(!is_there());
    assert_eq!(freed.n_actions, 1);
}

#[test]
fn a_collection_without_time_removes_nothing() {
    let trial = Trial::new();
    trial.action("a", before_now(900));
    let budget = Budget { max_used: Some(0), ..Budget::default() };
    let pace = Pace { now: NOW, patience: &|| false };
    let told = trial.store.collect(Policy::Within(budget), &pace);
    assert!(matches!(told, Err(GcError::OutOfTime)));
    assert!(trial.has("a"));
}

/// A pack in which one body in eight is nobody's any more.
fn packed_with_garbage() -> Trial {
    let trial = Trial::new();
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let lease = trial.store.lease().unwrap();
    for name in &names {
        lease.put_body(&noise(name)).unwrap();
    }
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    for name in &names[1..] {
        trial.action(name, before_now(10));
    }
    drop(lease);
    trial
}

#[test]
fn garbage_between_what_is_used_goes_when_there_is_too_little_room() {
    let trial = packed_with_garbage();
    trial.at_most(8 * SIZE + SIZE / 2);
    assert!(trial.used() > 8 * SIZE, "it would cost more to copy than is gained");
    assert_eq!(trial.at_most(7 * SIZE + SIZE / 2).n_actions, 0);
    assert!(trial.used() < 7 * SIZE + SIZE / 2);
}

#[test]
fn a_collection_in_passing_makes_room_for_more_than_one_build() {
    let trial = packed_with_garbage();
    let most = trial.used() - 1;
    // What may stay by default is as much as may be used where somebody has bounded that.
    let budget = Budget { max_used: Some(most), reserved: most, ..Budget::default() };
    let pace = Pace { now: NOW, patience: &|| true };
    trial.store.settle(&budget, &pace).unwrap();
    assert!(trial.used() < most - SIZE * 3 / 4, "{} of {most}", trial.used());
}

#[test]
fn a_collection_that_is_stopped_leaves_nothing_twice() {
    let trial = packed_with_garbage();
    let before = trial.used();
    let budget = Budget { max_used: Some(before - 1), ..Budget::default() };
    let mut n_asked = 0_u32;
    while trial.used() > before - SIZE / 2 {
        let left = std::cell::Cell::new(n_asked);
        let patience = || left.replace(left.get().saturating_sub(1)) > 0;
        let told = trial.store.settle(&budget, &Pace { now: NOW, patience: &patience });
        assert!(matches!(told, Ok(_) | Err(GcError::OutOfTime)));
        assert!(trial.used() < before + SIZE / 2, "after {n_asked}: {}", trial.used());
        n_asked += 1;
    }
    assert!(n_asked > 10, "it was stopped at some points");
}
