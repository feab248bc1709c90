//! Every cut of a small build's writes leaves a store that opens, is whole, and holds what had
//! been acknowledged.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::digest::Digest;
use wythe_store::fsck::Depth;
use wythe_store::gc::Policy;
use wythe_store::id::{BodyId, CacheKey, LayerId};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::layers::LayerRecord;
use wythe_store::live_record::{FORM, LiveName, LiveRecord, Sync};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::sim::Sim;
use wythe_store::sim::crash::Fate;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::vfs::Vfs as _;

const FATES: [Fate; 10] = [
    Fate::Kept,
    Fate::Lost,
    Fate::NamesOnly,
    Fate::BytesOnly,
    Fate::Mixed(1),
    Fate::Mixed(2),
    Fate::Mixed(3),
    Fate::Mixed(4),
    Fate::Mixed(5),
    Fate::Mixed(6),
];

fn open(sim: &Sim, boot: u8) -> Store {
    let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
    Store::open_on(Arc::new(sim.clone()), PathBuf::from("/simulated"), &options).unwrap()
}

fn body(version: u8) -> Vec<u8> {
    (0..20_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ version).collect()
}

fn layer_id(version: u8) -> LayerId {
    LayerId::of(&[version])
}

fn manifest(version: u8) -> String {
    format!(r#"{{"layers":[],"annotations":{{"version":"{version}"}}}}"#)
}

fn tree(body: BodyId) -> Tree {
    let node = Node::File(File { body, size: 20_000, link: None });
    let entry = Entry { name: (*b"file").into(), metadata: Metadata::default(), node };
    Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) }
}

/// One build: a step whose result is relaxed, then an image under a durable ref.
fn build(store: &Store, version: u8) {
    let lease = store.lease().unwrap();
    let body = lease.put_body(&body(version)).unwrap();
    let tree = lease.put_tree(&tree(body)).unwrap();
    let id = layer_id(version);
    let mut batch = Batch::new();
    batch.put_layer(&LayerRecord { tree: Some(tree), ..LayerRecord::new(id) });
    let (key, created) = (CacheKey::of(&[version]), Timestamp::default());
    batch.put_action(&ActionRecord { key, layer: Some(id), created, inputs: Vec::new() });
    lease.commit(batch, Durability::Relaxed).unwrap();
    let manifest = manifest(version);
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    batch.set_ref("app", &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
    lease.commit(batch, Durability::Durable).unwrap();
}

/// What must hold after a crash that came when `acknowledged` was the last acknowledged version,
/// and `begun` the last that was begun.
#[track_caller]
fn check(sim: &Sim, acknowledged: u8, begun: u8, what: &str) {
    let store = open(sim, 3);
    let damage = store.verify(Depth::Full).unwrap();
    let torn = |damage: &&wythe_store::fsck::damage::Damage| {
        // A torn tail stays until the next writer cuts it off.
        !matches!(damage, wythe_store::fsck::damage::Damage::Journal { .. })
    };
    assert_eq!(damage.iter().filter(torn).count(), 0, "{what}: {damage:?}");
    for action in store.actions().unwrap() {
        let layer = store.layer(&action.layer.unwrap()).unwrap();
        let tree = layer.expect("an action names a layer that is there").tree.unwrap();
        let tree = store.tree(&tree).unwrap().unwrap();
        let Node::File(file) = tree.children.entries()[0].node else { panic!("{what}") };
        assert!(store.body(&file.body).unwrap().is_some(), "{what}: a body is missing");
    }
    let found = store.find_ref("app").unwrap();
    let allowed = (acknowledged..=begun).map(|version| match version {
        0 => None,
        version => Some(Digest::of(manifest(version).as_bytes())),
    });
    let found = found.map(|descriptor| descriptor.digest);
    assert!(allowed.into_iter().any(|one| one == found), "{what}: the ref is {found:?}");
    for version in 1..=acknowledged {
        let body = store.body(&BodyId::of(&body(version))).unwrap();
        assert!(body.is_some(), "{what}: acknowledged version {version} is gone");
    }
    build(&store, 9);
    let damage = open(sim, 3).verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{what}: after another build: {damage:?}");
}

#[test]
fn every_cut_of_two_builds_leaves_what_was_acknowledged() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    let mut marks = vec![sim.n_operations()];
    for version in 1..=2 {
        build(&store, version);
        marks.push(sim.n_operations());
    }
    for cut in marks[0]..=sim.n_operations() {
        let acknowledged = marks.iter().filter(|mark| **mark <= cut).count() - 1;
        let acknowledged = u8::try_from(acknowledged).unwrap();
        for fate in FATES {
            let left = sim.crashed(cut, fate);
            check(&left, acknowledged, 2.min(acknowledged + 1), &format!("{fate:?} at {cut}"));
        }
    }
}

#[test]
fn a_cut_while_the_store_is_made_leaves_one_that_opens() {
    let sim = Sim::default();
    open(&sim, 1);
    for cut in 0..=sim.n_operations() {
        for fate in FATES {
            let left = sim.crashed(cut, fate);
            check(&left, 0, 0, &format!("{fate:?} at {cut}"));
        }
    }
}

#[test]
fn a_cut_during_recovery_changes_nothing() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    build(&store, 1);
    let lease = store.lease().unwrap();
    let id = lease.put_body(&body(2)).unwrap();
    let mut batch = Batch::new();
    batch.put_layer(&LayerRecord::new(LayerId::of(id.as_bytes())));
    lease.commit(batch, Durability::Relaxed).unwrap();
    for fate in FATES {
        let crashed = sim.crashed(sim.n_operations(), fate);
        open(&crashed, 2);
        for cut in 0..=crashed.n_operations() {
            for second in FATES {
                let left = crashed.crashed(cut, second);
                check(&left, 1, 1, &format!("{fate:?}, then {second:?} at {cut}"));
            }
        }
    }
}

#[test]
fn a_cut_during_collection_keeps_every_image() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    build(&store, 1);
    let lease = store.lease().unwrap();
    lease.put_body(&vec![5; 70_000]).unwrap();
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    drop(lease);
    let before = sim.n_operations();
    store.prune(Policy::KeepActions).unwrap();
    for cut in before..=sim.n_operations() {
        for fate in FATES {
            check(&sim.crashed(cut, fate), 1, 1, &format!("{fate:?} at {cut}"));
        }
    }
}

#[test]
fn a_cut_while_packs_are_merged_keeps_every_image() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    for version in 1..=9 {
        let lease = store.lease().unwrap();
        lease.put_body(&[version; 9]).unwrap();
        build(&store, 1);
        build(&store, version);
        lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    }
    let before = store.packs().names().unwrap().len();
    let start = sim.n_operations();
    store.prune(Policy::KeepActions).unwrap();
    assert!(before > 8 && store.packs().names().unwrap().len() < 4);
    for cut in start..=sim.n_operations() {
        for fate in FATES {
            check(&sim.crashed(cut, fate), 9, 9, &format!("{fate:?} at {cut}"));
        }
    }
}

#[test]
fn an_unsynced_directory_does_not_outlive_a_reboot_and_a_synced_one_does() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    let name = LiveName::new("ab").unwrap();
    sim.make_dir(&name.path()).unwrap();
    let (layer, idmap, boot) = (layer_id(1), Vec::new(), [1; 16]);
    let record = LiveRecord { layer, idmap, form: FORM, boot, sync: Sync::Unsynced, stamp: None };
    let mut batch = Batch::new();
    batch.put_live(&name, &record);
    batch.put_layer(&LayerRecord { live: Some(name.clone()), ..LayerRecord::new(layer) });
    let lease = store.lease().unwrap();
    lease.commit(batch, Durability::Relaxed).unwrap();
    let relaxed = sim.crashed(sim.n_operations(), Fate::Kept);
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    let durable = sim.crashed(sim.n_operations(), Fate::Lost);

    assert!(open(&relaxed, 1).live(&name).unwrap().is_some(), "the same boot");
    let rebooted = open(&relaxed, 2);
    assert_eq!(rebooted.live(&name).unwrap(), None);
    assert_eq!(rebooted.layer(&layer).unwrap(), None, "its only copy is gone");
    assert!(open(&durable, 2).live(&name).unwrap().is_some());
}

#[test]
fn a_commit_of_what_is_true_already_appends_nothing_and_has_it_on_disk() {
    let sim = Sim::default();
    let store = open(&sim, 1);
    let (journal, mut batch) = (store.journal(), Batch::new());
    batch.put(Table::Notes, b"name", b"value".to_vec()).delete(Table::Notes, b"other");
    let has_it = |fate| {
        let left = open(&sim.crashed(sim.n_operations(), fate), 2);
        left.journal().contains(Table::Notes, b"name")
    };
    let first = journal.commit(&batch, Durability::Relaxed).unwrap();
    let size = journal.size();
    assert!(!has_it(Fate::Lost));
    for durability in [Durability::Relaxed, Durability::Durable] {
        assert_eq!(journal.commit(&batch, durability).unwrap(), first);
        assert_eq!(journal.size(), size);
    }
    assert!(has_it(Fate::Lost));
    batch.put(Table::Notes, b"name", b"changed".to_vec());
    assert_eq!(journal.commit(&batch, Durability::Relaxed).unwrap(), first + 1);
}
