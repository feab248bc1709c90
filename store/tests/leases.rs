//! What leases and collections promise each other: a lease loses nothing it has found, however a
//! collection falls between its steps, and a collection waits for nobody.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::error::WriteError;
use wythe_store::fsck::Depth;
use wythe_store::gc::Policy;
use wythe_store::id::{BodyId, CacheKey, LayerId};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::layers::{LayerBlob, LayerRecord};
use wythe_store::lease::Lease;
use wythe_store::live_record::{FORM, LiveName, LiveRecord, Sync};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::{Compression, MediaType};
use wythe_store::sim::Sim;
use wythe_store::sim::crash::Fate;
use wythe_store::sim::faulty::{Failing, Fault, Faulty, Lasting};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::vfs::Vfs as _;

fn open_at(sim: &Sim, boot: u8) -> Store {
    let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
    Store::open_on(Arc::new(sim.clone()), PathBuf::from("/simulated"), &options).unwrap()
}

fn open(sim: &Sim) -> Store {
    open_at(sim, 1)
}

/// As another process: its own handle and no lease of its own that lives.
fn prune(sim: &Sim) {
    open(sim).prune(Policy::ImagesOnly).unwrap();
}

static BYTES: [u8; 20_000] = [7; 20_000];

fn layer() -> LayerId {
    LayerId::of(b"layer")
}

fn diff_id() -> DiffId {
    DiffId(Digest::of(b"tar"))
}

fn key() -> CacheKey {
    CacheKey::of(b"step")
}

fn tree_of(body: BodyId) -> Tree {
    let node = Node::File(File { body, size: BYTES.len() as u64, link: None });
    let entry = Entry { name: (*b"file").into(), metadata: Metadata::default(), node };
    Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) }
}

/// The result of a step, as a build leaves it that tags nothing.
fn step(sim: &Sim) -> BodyId {
    let lease = open(sim).lease().unwrap();
    let body = lease.put_body(&BYTES).unwrap();
    let tree = Some(lease.put_tree(&tree_of(body)).unwrap());
    let record = LayerRecord { tree, diff_id: Some(diff_id()), ..LayerRecord::new(layer()) };
    let action = ActionRecord {
        key: key(),
        layer: Some(layer()),
        created: Timestamp::default(),
        inputs: Vec::new(),
    };
    let mut batch = Batch::new();
    batch.put_layer(&record).put_action(&action);
    lease.commit(batch, Durability::Relaxed).unwrap();
    body
}

/// A second run of the step, at the same moment: another layer with the same tar stream, which the
/// result of the step does not name, and which was recorded last.
fn twin(sim: &Sim) -> LayerId {
    let lease = open(sim).lease().unwrap();
    let id = LayerId::of(b"twin");
    let record = LayerRecord { id, ..lease.store().layer(&layer()).unwrap().unwrap() };
    let mut batch = Batch::new();
    batch.put_layer(&record);
    lease.commit(batch, Durability::Relaxed).unwrap();
    assert_eq!(lease.store().layer_of_diff(&diff_id()).unwrap().unwrap().id, id);
    id
}

/// Tags an image of the layer.
fn tag(lease: &Lease) {
    let manifest = format!(r#"{{"layers":[{{"digest":"{}"}}]}}"#, diff_id().0);
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    batch.set_ref("app", &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
    lease.commit(batch, Durability::Durable).unwrap();
}

/// The tagged image is whole, and stays it.
#[track_caller]
fn check_image(sim: &Sim, body: BodyId) {
    for _ in 0..2 {
        let store = open(sim);
        let record = store.layer_of_diff(&diff_id()).unwrap().expect("the layer is recorded");
        assert!(store.tree(&record.tree.unwrap()).unwrap().is_some());
        let bytes = store.body(&body).unwrap().expect("its file is there");
        assert_eq!(&*bytes.load().unwrap(), BYTES);
        assert!(store.verify(Depth::Quick).unwrap().is_empty());
        store.prune(Policy::ImagesOnly).unwrap();
    }
}

#[test]
fn a_cached_build_keeps_what_it_found_although_everything_is_pruned_meanwhile() {
    let sim = Sim::default();
    let body = step(&sim);
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let found = store.action(&key()).unwrap().unwrap().layer.unwrap();
    assert!(store.layer(&found).unwrap().is_some());
    prune(&sim);
    assert!(open(&sim).layer(&layer()).unwrap().is_none(), "a collection waits for nobody");
    store.refresh().unwrap();
    assert!(store.layer(&layer()).unwrap().is_some(), "what a lease found it finds again");
    assert_eq!(&*store.body(&body).unwrap().unwrap().load().unwrap(), BYTES);
    tag(&lease);
    drop(lease);
    check_image(&sim, body);
}

#[test]
fn a_layer_is_found_by_its_tar_stream_after_another_with_the_same_has_gone() {
    let sim = Sim::default();
    step(&sim);
    let twin = twin(&sim);
    open(&sim).prune(Policy::KeepActions).unwrap();
    let store = open(&sim);
    assert!(store.layer(&twin).unwrap().is_none(), "nobody needs the twin");
    assert_eq!(store.layer_of_diff(&diff_id()).unwrap().unwrap().id, layer());
}

#[test]
fn a_layer_that_a_lease_has_found_is_found_by_its_tar_stream_whatever_becomes_of_the_way_to_it() {
    let sim = Sim::default();
    step(&sim);
    let store = open(&sim);
    let lease = store.lease().unwrap();
    assert!(store.layer(&layer()).unwrap().is_some());
    prune(&sim);
    store.refresh().unwrap();
    let found = || store.layer_of_diff(&diff_id()).unwrap().and_then(|record| record.tree);
    assert!(found().is_some(), "the way to it was collected");
    // Somebody else records where a registry has it, and nothing of what is in it.
    let record = LayerRecord {
        diff_id: Some(diff_id()),
        origins: vec!["example.org/app".to_owned()],
        ..LayerRecord::new(LayerId::of(b"elsewhere"))
    };
    let mut batch = Batch::new();
    batch.put_layer(&record);
    open(&sim).lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
    store.refresh().unwrap();
    assert!(found().is_some(), "the way to it leads to another record");
    drop(lease);
}

#[test]
fn what_no_lease_has_found_goes_while_leases_live() {
    let sim = Sim::default();
    let body = step(&sim);
    let older = open(&sim).lease().unwrap();
    prune(&sim);
    let newer = open(&sim).lease().unwrap();
    drop(older);
    prune(&sim);
    drop(newer);
    let store = open(&sim);
    assert!(store.layer(&layer()).unwrap().is_none() && store.body(&body).unwrap().is_none());
}

#[test]
fn an_object_that_was_not_stored_again_outlives_the_condemnation_of_its_pack() {
    let sim = Sim::default();
    let body = step(&sim);
    let (builder, collector) = (open(&sim), open(&sim));
    let lease = builder.lease().unwrap();
    assert_eq!(lease.put_body(&BYTES).unwrap(), body);
    let tree = Some(lease.put_tree(&tree_of(body)).unwrap());
    assert!(collector.prune(Policy::ImagesOnly).unwrap().n_waiting > 0);
    let mut batch = Batch::new();
    let id = LayerId::of(b"another");
    batch.put_layer(&LayerRecord { tree, diff_id: Some(diff_id()), ..LayerRecord::new(id) });
    lease.commit(batch, Durability::Relaxed).unwrap();
    tag(&lease);
    drop(lease);
    check_image(&sim, body);
}

#[test]
fn what_a_commit_published_stays_for_the_next_one_of_its_lease() {
    let sim = Sim::default();
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let body = lease.put_body(&BYTES).unwrap();
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    prune(&sim);
    let tree = Some(lease.put_tree(&tree_of(body)).unwrap());
    let mut batch = Batch::new();
    batch.put_layer(&LayerRecord { tree, diff_id: Some(diff_id()), ..LayerRecord::new(layer()) });
    lease.commit(batch, Durability::Relaxed).unwrap();
    prune(&sim);
    tag(&lease);
    drop(lease);
    check_image(&sim, body);
}

fn pull(lease: &Lease) -> Descriptor {
    let descriptor = Descriptor::of(MediaType::LAYER_GZIP, b"blob");
    let mut ingest = lease.ingest_blob(&descriptor).unwrap();
    ingest.write_all(b"blob").unwrap();
    ingest.commit().unwrap();
    descriptor
}

fn pulled(lease: &Lease) -> Batch {
    let (compression, codec) = (Compression::Gzip, String::new());
    let blobs = vec![LayerBlob { compression, codec, descriptor: pull(lease) }];
    let record = LayerRecord { blobs, diff_id: Some(diff_id()), ..LayerRecord::new(layer()) };
    let mut batch = Batch::new();
    batch.put_layer(&record);
    batch
}

#[test]
fn a_blob_that_is_pulled_again_is_no_longer_condemned() {
    let sim = Sim::default();
    let digest = pull(&open(&sim).lease().unwrap()).digest;
    let older = open(&sim).lease().unwrap();
    prune(&sim);
    let store = open(&sim);
    assert!(store.foreign_blob(&digest).unwrap().is_none(), "it is condemned");
    let newer = store.lease().unwrap();
    let batch = pulled(&newer);
    assert!(store.foreign_blob(&digest).unwrap().is_some());
    prune(&sim);
    drop(older);
    prune(&sim);
    assert!(store.foreign_blob(&digest).unwrap().is_some(), "its lease lives");
    newer.commit(batch, Durability::Relaxed).unwrap();
    tag(&newer);
    drop(newer);
    prune(&sim);
    assert!(open(&sim).foreign_blob(&digest).unwrap().is_some());
}

#[test]
fn a_blob_that_was_found_outlives_its_condemnation() {
    let sim = Sim::default();
    let digest = pull(&open(&sim).lease().unwrap()).digest;
    let store = open(&sim);
    let lease = store.lease().unwrap();
    assert!(store.foreign_blob(&digest).unwrap().is_some());
    prune(&sim);
    store.refresh().unwrap();
    assert!(store.foreign_blob(&digest).unwrap().is_some(), "this lease keeps it");
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    drop(lease);
    assert!(open(&sim).foreign_blob(&digest).unwrap().is_some());
}

#[test]
fn a_directory_that_was_found_is_recorded_again() {
    let sim = Sim::default();
    let name = LiveName::new("ab").unwrap();
    sim.make_dir("live").unwrap();
    let (layer, idmap, boot) = (layer(), Vec::new(), [1; 16]);
    let (sync, stamp) = (Sync::Unsynced, None);
    let record = LiveRecord { layer, idmap, form: FORM, boot, sync, stamp };
    let mut batch = Batch::new();
    batch.put_live(&name, &record);
    batch.put_layer(&LayerRecord {
        live: Some(name.clone()),
        diff_id: Some(diff_id()),
        ..LayerRecord::new(layer)
    });
    let first = open(&sim).lease().unwrap();
    sim.make_dir(&name.path()).unwrap();
    first.commit(batch, Durability::Relaxed).unwrap();
    drop(first);
    let store = open(&sim);
    let lease = store.lease().unwrap();
    assert!(store.layer(&layer).unwrap().is_some());
    assert_eq!(store.live(&name).unwrap(), Some(record));
    prune(&sim);
    tag(&lease);
    drop(lease);
    prune(&sim);
    assert!(open(&sim).live(&name).unwrap().is_some());
    assert!(sim.exists(&name.path()).unwrap());
}

#[test]
fn a_tag_keeps_the_image_that_it_names() {
    let sim = Sim::default();
    let body = step(&sim);
    tag(&open(&sim).lease().unwrap());
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let descriptor = store.find_ref("app").unwrap().unwrap();
    let mut batch = Batch::new();
    batch.set_ref("other", &descriptor);
    lease.commit(batch, Durability::Durable).unwrap();
    let mut batch = Batch::new();
    batch.remove_ref("app");
    open(&sim).lease().unwrap().commit(batch, Durability::Durable).unwrap();
    drop(lease);
    check_image(&sim, body);
}

#[test]
fn records_of_one_layer_are_put_together() {
    let sim = Sim::default();
    let body = step(&sim);
    let (ours, theirs) = (open(&sim), open(&sim));
    let (our_lease, their_lease) = (ours.lease().unwrap(), theirs.lease().unwrap());
    let mut our_record = ours.layer(&layer()).unwrap().unwrap();
    let mut their_record = our_record.clone();
    our_record.origins.push("example.org/ours".to_owned());
    their_record.origins.push("example.org/theirs".to_owned());
    their_record.tar_size = Some(5);
    for (lease, record) in [(&our_lease, &our_record), (&their_lease, &their_record)] {
        let mut batch = Batch::new();
        batch.put_layer(record);
        lease.commit(batch, Durability::Relaxed).unwrap();
    }
    let mut batch = Batch::new();
    batch.put_layer(&our_record);
    our_lease.commit(batch, Durability::Relaxed).unwrap();
    let record = open(&sim).layer(&layer()).unwrap().unwrap();
    assert_eq!(record.origins.len(), 2, "{record:?}");
    assert_eq!(record.tar_size, Some(5));
    tag(&our_lease);
    drop((our_lease, their_lease));
    check_image(&sim, body);
}

#[test]
fn a_stale_record_does_not_bring_back_a_directory_that_was_replaced() {
    let sim = Sim::default();
    step(&sim);
    let lives = ["ab", "cd"].map(|name| LiveName::new(name).unwrap());
    let lease = open(&sim).lease().unwrap();
    let with = |live: &LiveName| {
        let (idmap, boot) = (Vec::new(), [1; 16]);
        let (sync, stamp) = (Sync::Synced, None);
        let record = LiveRecord { layer: layer(), idmap, form: FORM, boot, sync, stamp };
        let mut batch = Batch::new();
        batch.put_live(live, &record);
        batch.put_layer(&LayerRecord { live: Some(live.clone()), ..LayerRecord::new(layer()) });
        lease.commit(batch, Durability::Relaxed).unwrap();
    };
    with(&lives[0]);
    let stale = open(&sim).layer(&layer()).unwrap().unwrap();
    with(&lives[1]);
    let mut batch = Batch::new();
    batch.put_layer(&stale);
    lease.commit(batch, Durability::Relaxed).unwrap();
    let record = open(&sim).layer(&layer()).unwrap().unwrap();
    assert_eq!(record.live, Some(lives[1].clone()));
    assert!(record.tree.is_some());
}

/// The store as a writer leaves it that is killed between publishing a pack and saying so.
fn killed_before_the_journal() -> (Sim, BodyId) {
    let sim = Sim::default();
    let lease = open(&sim).lease().unwrap();
    let body = lease.put_body(&BYTES).unwrap();
    let before = sim.n_operations();
    lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    let mut cuts = (before..sim.n_operations()).map(|cut| sim.crashed(cut, Fate::Kept));
    let has_pack = |sim: &Sim| sim.files().iter().any(|file| file.starts_with("packs/"));
    (cuts.find(has_pack).unwrap(), body)
}

#[test]
fn a_pack_whose_publisher_died_unheard_is_synced_before_an_image_counts_on_it() {
    let (sim, body) = killed_before_the_journal();
    let builder = open(&sim);
    assert!(builder.journal().scan(Table::Packs).is_empty());
    let lease = builder.lease().unwrap();
    assert_eq!(lease.put_body(&BYTES).unwrap(), body);
    let tree = Some(lease.put_tree(&tree_of(body)).unwrap());
    let mut batch = Batch::new();
    batch.put_layer(&LayerRecord { tree, diff_id: Some(diff_id()), ..LayerRecord::new(layer()) });
    lease.commit(batch, Durability::Relaxed).unwrap();
    tag(&lease);
    for fate in [Fate::Lost, Fate::NamesOnly, Fate::BytesOnly, Fate::Mixed(3)] {
        let left = sim.crashed(sim.n_operations(), fate);
        assert!(open_at(&left, 2).body(&body).unwrap().is_some(), "{fate:?}");
    }
}

#[test]
fn after_a_sync_that_failed_no_commit_of_the_process_counts() {
    let mut n_syncs = 0;
    for first in 0.. {
        let sim = Sim::default();
        let lease = open(&sim).lease().unwrap();
        lease.put_body(&BYTES).unwrap();
        lease.commit(Batch::new(), Durability::Relaxed).unwrap();
        drop(lease);
        let failing = Failing { first, fault: Fault::Broken, lasting: Lasting::Once };
        let disk = Faulty::new(&sim, failing);
        let options = OpenOptions { boot: [1; 16], ..OpenOptions::default() };
        let path = PathBuf::from("/simulated");
        let Ok(store) = Store::open_on(Arc::new(disk.clone()), path, &options) else { continue };
        let Ok(lease) = store.lease() else { continue };
        let commit = || lease.commit(Batch::new(), Durability::Durable);
        let failed = lease.put_document(b"{}").and_then(|_| commit());
        if disk.met().is_empty() {
            break;
        }
        if failed.is_ok() || !disk.met()[0].starts_with("sync") {
            continue;
        }
        n_syncs += 1;
        let again = commit().expect_err("the disk works again, but what it lost it has lost");
        let WriteError::Poisoned { source, .. } = &again else {
            panic!("{:?}: {again}", disk.met())
        };
        assert_eq!(source.raw_os_error(), Some(5), "it says what it was: EIO");
        drop(lease);
        tag(&open(&sim).lease().unwrap());
    }
    assert!(n_syncs >= 4, "{n_syncs}");
}

/// What a durable commit asks the disk to make sure of.
fn syncs_of_a_commit(prepared: &Sim) -> Vec<String> {
    let mut all = Vec::new();
    for first in 0.. {
        let sim = prepared.crashed(prepared.n_operations(), Fate::Kept);
        let disk =
            Faulty::new(&sim, Failing { first, fault: Fault::Broken, lasting: Lasting::Once });
        let options = OpenOptions { boot: [1; 16], ..OpenOptions::default() };
        let path = PathBuf::from("/simulated");
        if let Ok(store) = Store::open_on(Arc::new(disk.clone()), path, &options)
            && let Ok(lease) = store.lease()
        {
            let _told = lease
                .put_document(b"{}")
                .and_then(|_| lease.commit(Batch::new(), Durability::Durable));
        }
        match disk.met().into_iter().next() {
            Some(met) => all.push(met),
            None => return all,
        }
    }
    all
}

#[test]
fn a_directory_that_a_newer_version_recorded_is_synced_as_an_only_copy_is() {
    let sim = Sim::default();
    let lease = open(&sim).lease().unwrap();
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    assert!(!syncs_of_a_commit(&sim).iter().any(|met| met.starts_with("syncfs")));
    let mut batch = Batch::new();
    batch.put(Table::Live, &[b'0'; 32], vec![u8::MAX, 1, 2, 3]);
    lease.commit(batch, Durability::Relaxed).unwrap();
    drop(lease);
    let asked = syncs_of_a_commit(&sim);
    assert!(asked.iter().any(|met| met.starts_with("syncfs")), "{asked:?}");
}

/// Stores a file and is killed at some place; whether that was before all was done, with the pack published.
fn stores_until_killed(sim: &Sim, first: usize) -> Option<bool> {
    let failing = Failing { first, fault: Fault::Broken, lasting: Lasting::FromThenOn };
    let disk = Faulty::new(sim, failing);
    let options = OpenOptions { boot: [1; 16], ..OpenOptions::default() };
    let path = PathBuf::from("/simulated");
    let store = Store::open_on(Arc::new(disk.clone()), path, &options).ok();
    if let Some(lease) = store.and_then(|store| store.lease().ok()) {
        drop(lease.put_body(&BYTES).map(|_| lease.commit(Batch::new(), Durability::Relaxed)));
    }
    let is_published = sim.files().iter().any(|file| file.starts_with("packs/"));
    (!disk.met().is_empty()).then_some(is_published)
}

#[test]
fn a_step_that_counts_on_a_pack_that_came_again_after_a_repair_goes_with_it() {
    let mut n_published = 0;
    for first in 0.. {
        let sim = Sim::default();
        let lease = open(&sim).lease().unwrap();
        let body = lease.put_body(&BYTES).unwrap();
        lease.commit(Batch::new(), Durability::Durable).unwrap();
        drop(lease);
        let sim = sim.crashed(sim.n_operations(), Fate::Kept);
        let builder = open(&sim).lease().unwrap();
        builder.put_body(&BYTES).unwrap();
        builder.commit(Batch::new(), Durability::Relaxed).unwrap();
        let pack = sim.files().into_iter().find(|file| file.starts_with("packs/")).unwrap();
        sim.flip(&pack, 8 * 80).unwrap();
        let repair = open(&sim).repair(None).unwrap();
        assert_eq!(repair.done.len(), 1, "{:?}", repair.done);
        match stores_until_killed(&sim, first) {
            None => break,
            Some(false) => continue,
            Some(true) => n_published += 1,
        }
        builder.put_body(&BYTES).unwrap();
        let tree = Some(builder.put_tree(&tree_of(body)).unwrap());
        let record = LayerRecord { tree, ..LayerRecord::new(layer()) };
        let mut batch = Batch::new();
        batch.put_layer(&record);
        builder.commit(batch, Durability::Relaxed).unwrap();
        for fate in [Fate::Lost, Fate::BytesOnly, Fate::NamesOnly, Fate::Mixed(1), Fate::Mixed(2)] {
            let left = sim.crashed(sim.n_operations(), fate);
            let store = open_at(&left, 2);
            let is_there = store.body(&body).unwrap().is_some();
            let counts = store.layer(&layer()).unwrap().is_some_and(|record| record.tree.is_some());
            assert!(is_there || !counts, "operation {first}, {fate:?}");
        }
    }
    assert!(n_published > 0);
}
