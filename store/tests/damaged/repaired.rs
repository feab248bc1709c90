//! After a repair nothing is damaged, and what was lost was named.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::fsck::Depth;
use wythe_store::fsck::repair::{Repair, Repaired};
use wythe_store::id::{BodyId, CacheKey};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::object::Kind;
use wythe_store::oci::content::{Content as _, MemoryContent};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceProblem};
use wythe_store::sim::crash::Fate;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::vfs::Vfs as _;

use crate::made::{Made, filled, flip, objects, open};

/// How a registry says that it does not answer.
type Refusal = fn() -> SourceProblem;

/// Hands out what it was given, or is not to be reached.
struct Registry {
    content: MemoryContent,
    refuses: Option<Refusal>,
}

impl ImageSource for Registry {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        let digest = reference.digest().unwrap();
        let descriptor = Descriptor::new(MediaType::MANIFEST, digest, 0);
        let mut bytes = Vec::new();
        self.blob(reference, &descriptor)?.read_to_end(&mut bytes).unwrap();
        Ok((Descriptor::of(MediaType::MANIFEST, &bytes), bytes))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let fail = |problem| Err(SourceError::new(reference, problem));
        if let Some(refusal) = self.refuses {
            return fail(refusal());
        }
        let Ok(mut reader) = self.content.open(descriptor) else {
            return fail(SourceProblem::NotFound { detail: descriptor.digest.to_string() });
        };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        Ok(Box::new(std::io::Cursor::new(bytes)))
    }
}

/// How a registry keeps from saying whether it has something, and what is told of it.
const REFUSALS: [(Refusal, &str); 2] = [
    (|| SourceProblem::Network { detail: "no route".to_owned() }, "no route"),
    (|| SourceProblem::Unauthorized { detail: "401".to_owned() }, "401"),
];

/// A registry with these contents.
fn registry(contents: &[&[u8]]) -> Registry {
    let mut content = MemoryContent::default();
    for bytes in contents {
        content.insert(bytes.to_vec());
    }
    Registry { content, refuses: None }
}

fn read(store: &Store, digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    let blob = wythe_store::layer::blob_view::open(store, digest).unwrap().unwrap();
    { blob.reader }.read_to_end(&mut bytes).unwrap();
    bytes
}

fn has_dropped(repair: &Repair) -> bool {
    repair.done.iter().any(|one| matches!(one, Repaired::DroppedName { .. }))
}

/// After a repair nothing is damaged, every image that was not named as lost reads right, and
/// another repair has nothing to do.
#[track_caller]
fn healed(made: &Made, source: Option<&dyn ImageSource>, what: &str) -> Repair {
    let repair = open(&made.sim).repair(source).unwrap();
    assert!(repair.left.is_empty(), "{what}: {:?} after {:?}", repair.left, repair.done);
    let store = open(&made.sim);
    let damage = store.verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{what}: {damage:?}");
    let dropped = |name: &str| {
        let lost =
            |one: &Repaired| matches!(one, Repaired::DroppedName { name: it, .. } if it == name);
        repair.done.iter().any(lost)
    };
    for name in ["app", "several"] {
        let is_there = store.find_ref(name).unwrap().is_some();
        assert!(is_there || dropped(name), "{what}: {name} went without a word");
        if is_there {
            for layer in &made.layers {
                assert_eq!(Digest::of(&read(&store, &layer.digest)), layer.digest, "{what}");
            }
        }
    }
    let again = store.repair(source).unwrap();
    assert_eq!(again.done, [], "{what}");
    repair
}

#[test]
fn a_whole_store_needs_no_repair() {
    let repair = healed(&filled(), None, "nothing");
    assert_eq!(repair.done, []);
}

#[test]
fn a_pack_whose_table_is_lost_is_read_without_it() {
    for from_end in [60, 20, 900] {
        let made = filled();
        let pack = made.sim.files().into_iter().find(|path| path.starts_with("packs/")).unwrap();
        let size = usize::try_from(made.sim.open(&pack).unwrap().size().unwrap()).unwrap();
        // What does not prove its own id is made again.
        let unproven = [Kind::Recipe, Kind::Run, Kind::Fragment];
        let unproven: usize = unproven.iter().map(|kind| objects(&made.sim, *kind).len()).sum();
        made.sim.flip(&pack, (size - from_end) * 8).unwrap();
        let repair = healed(&made, None, "the table");
        let Repaired::Pack { n_lost, .. } = repair.done[0] else { panic!("{repair:?}") };
        assert_eq!(n_lost, unproven);
        assert!(!has_dropped(&repair), "{repair:?}");
    }
}

#[test]
fn what_can_be_made_again_is_and_no_name_goes() {
    for kind in [Kind::Recipe, Kind::Run, Kind::Fragment] {
        let made = filled();
        flip(&made.sim, kind, &objects(&made.sim, kind)[0]);
        let repair = healed(&made, None, &format!("{kind:?}"));
        assert!(!has_dropped(&repair), "{kind:?}: {repair:?}");
    }
}

#[test]
fn a_lost_file_takes_the_names_with_it_only_where_nobody_has_it() {
    let made = filled();
    let body = BodyId::of(b"second of the plain one");
    let tar = read(&open(&made.sim), &made.layers[0].digest);
    flip(&made.sim, Kind::Body, body.as_bytes());
    for (refusal, says) in REFUSALS {
        let mut down = registry(&[]);
        down.refuses = Some(refusal);
        let before = open(&made.sim).layers().unwrap();
        let kept = open(&made.sim).repair(Some(&down)).unwrap();
        assert!(!has_dropped(&kept), "the registry may have it: {:?}", kept.done);
        assert!(!kept.left.is_empty());
        assert_eq!(open(&made.sim).layers().unwrap(), before, "{:?}", kept.done);
        let [unasked] = &kept.unasked[..] else { panic!("{:?}", kept.unasked) };
        assert_eq!(unasked.digest, made.layers[0].digest);
        assert!(unasked.why.contains(says), "{unasked}");
    }
    let repair = healed(&made, Some(&registry(&[&tar])), "fetched");
    assert!(!has_dropped(&repair), "{repair:?}");
    flip(&made.sim, Kind::Body, BodyId::of(b"first of the plain one").as_bytes());
    made.sim.flip(&format!("blobs/sha256/{}", made.layers[0].digest.hex()), 9).unwrap();
    let repair = healed(&made, Some(&registry(&[])), "lost");
    let names = repair.done.iter().filter(|one| matches!(one, Repaired::DroppedName { .. }));
    assert_eq!(names.count(), 2, "{repair:?}");
}

#[test]
fn blobs_and_documents_come_again_from_where_they_were() {
    let made = filled();
    let store = open(&made.sim);
    let [blob, manifest, config] =
        [&made.layers[2], &made.manifest, &made.config].map(|one| read(&store, &one.digest));
    drop(store);
    let source = registry(&[&blob, &manifest, &config]);
    let path = format!("blobs/sha256/{}", made.layers[2].digest.hex());
    made.sim.flip(&path, 700).unwrap();
    let repair = healed(&made, Some(&source), "a blob");
    assert!(repair.done.contains(&Repaired::Blob(made.layers[2].digest)));
    made.sim.unlink(&path).unwrap();
    healed(&made, Some(&source), "a blob that is gone");
    for document in [&made.manifest, &made.config] {
        flip(&made.sim, Kind::Document, document.digest.as_bytes());
        let repair = healed(&made, Some(&source), "a document");
        assert!(!has_dropped(&repair), "{repair:?}");
    }
}

#[test]
fn after_a_flip_of_any_byte_a_repair_leaves_what_is_whole() {
    let whole = filled();
    let store = open(&whole.sim);
    let contents: Vec<Vec<u8>> = whole
        .layers
        .iter()
        .chain([&whole.manifest, &whole.config])
        .map(|one| read(&store, &one.digest))
        .collect();
    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let source = registry(&contents);
    let classes = ["packs/", "blobs/", "journal/"];
    let files = whole.sim.files();
    for path in files.iter().filter(|path| classes.iter().any(|class| path.starts_with(class))) {
        let size = usize::try_from(whole.sim.open(path).unwrap().size().unwrap()).unwrap();
        // Every byte of what is small, and an odd stride through the rest.
        for byte in (0..size).step_by(1 + size / 150) {
            let sim = whole.sim.crashed(whole.sim.n_operations(), Fate::Kept);
            sim.flip(path, byte * 8 + byte % 8).unwrap();
            let repair = open(&sim).repair(Some(&source)).unwrap();
            assert!(repair.left.is_empty(), "{path} byte {byte}: {:?}", repair.left);
            let damage = open(&sim).verify(Depth::Full).unwrap();
            assert!(damage.is_empty(), "{path} byte {byte}: {damage:?}");
        }
    }
}

#[test]
fn a_repair_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let made = filled();
    let blob = read(&open(&made.sim), &made.layers[2].digest);
    let source = registry(&[&blob]);
    flip(&made.sim, Kind::Body, BodyId::of(b"nobody needs this").as_bytes());
    flip(&made.sim, Kind::Recipe, made.layers[1].digest.as_bytes());
    made.sim.flip(&format!("blobs/sha256/{}", made.layers[2].digest.hex()), 700).unwrap();
    let before = made.sim.n_operations();
    open(&made.sim).repair(Some(&source)).unwrap();
    for operations in before..=made.sim.n_operations() {
        for fate in [Fate::Kept, Fate::Lost, Fate::Mixed(1), Fate::Mixed(2)] {
            let sim = made.sim.crashed(operations, fate);
            let what = format!("{operations} operations, {fate:?}");
            let options = OpenOptions { boot: [2; 16], ..OpenOptions::default() };
            let store =
                Store::open_on(Arc::new(sim.clone()), PathBuf::from("/s"), &options).unwrap();
            let repair = store.repair(Some(&source)).unwrap();
            assert!(repair.left.is_empty(), "{what}: {:?}", repair.left);
            assert!(!has_dropped(&repair), "{what}: {:?}", repair.done);
            assert!(store.find_ref("app").unwrap().is_some(), "{what}");
        }
    }
}

#[test]
fn the_step_of_a_layer_that_lacks_bytes_runs_again_even_where_a_registry_may_have_them() {
    let made = filled();
    let store = open(&made.sim);
    let diff_id = DiffId(made.layers[0].digest);
    let layer = store.layer_of_diff(&diff_id).unwrap().unwrap().id;
    let key = CacheKey::of(b"step");
    let (created, inputs) = (Timestamp::default(), Vec::new());
    let mut batch = Batch::new();
    batch.put_action(&ActionRecord { key, layer: Some(layer), created, inputs });
    store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
    drop(store);
    flip(&made.sim, Kind::Body, BodyId::of(b"second of the plain one").as_bytes());
    let mut down = registry(&[]);
    down.refuses = Some(REFUSALS[0].0);
    open(&made.sim).repair(Some(&down)).unwrap();
    let store = open(&made.sim);
    assert!(store.action(&key).unwrap().is_none());
    assert!(store.layer(&layer).unwrap().is_some());
}
