//! A disk that is full, or breaks, at any operation of a session: it is told, nothing that was
//! acknowledged is lost, and the next session works when the disk does.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::Damage;
use wythe_store::gc::Policy;
use wythe_store::id::{BodyId, CacheKey, LayerId};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{export, measure};
use wythe_store::layer::import::import;
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::sim::Sim;
use wythe_store::sim::crash::Fate;
use wythe_store::sim::faulty::{Failing, Fault, Faulty, Lasting};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::vfs::Vfs;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A long one is folded into the journal's base at once.
const LONG_NOTE: usize = 1_100_000;

/// More operations than a session has.
const MOST: usize = 10_000;

/// What a power cut leaves of a session that has failed, beside the least.
const FATES: [Fate; 3] = [Fate::NamesOnly, Fate::Mixed(1), Fate::BytesOnly];

fn open(vfs: Arc<dyn Vfs>, boot: u8) -> Outcome<Store> {
    let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
    Ok(Store::open_on(vfs, PathBuf::from("/simulated"), &options)?)
}

fn noise(length: u32, seed: u8) -> Vec<u8> {
    (0..length).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ seed).collect()
}

fn tree(body: BodyId, size: u64) -> Tree {
    let node = Node::File(File { body, size, link: None });
    let entry = Entry { name: (*b"file").into(), metadata: Metadata::default(), node };
    Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) }
}

/// A layer of one file as a registry has it, and the digest of its tar stream.
fn blob(seed: u8) -> (Vec<u8>, DiffId) {
    let (mut tar, content) = (tar::Builder::new(Vec::new()), noise(3000, seed));
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "pulled", content.as_slice()).unwrap();
    let tar = tar.into_inner().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar).unwrap();
    (encoder.finish().unwrap(), DiffId(Digest::of(&tar)))
}

/// What an image that was acknowledged consists of.
#[derive(Clone, Debug)]
struct Image {
    name: &'static str,
    manifest: Digest,
    layer: LayerId,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Body(BodyId),
    Blob(Digest),
}

/// A session, with what it has been told is done.
#[derive(Debug, Default)]
struct Session {
    images: Vec<Image>,
}

impl Session {
    /// Everything a build does to the store: steps, a layer that is exported, a blob that is pulled,
    /// names, a journal that is folded, a collection.
    fn run(&mut self, store: &Store, seed: u8) -> Outcome<()> {
        let lease = store.lease()?;
        let (mut record, content) = step(&lease, seed)?;
        self.tag(&lease, "built", &record, content.clone())?;
        export(&lease, &mut record, Codec::Gzip { level: 1 })?;
        let mut batch = Batch::new();
        batch.put_layer(&record).put(Table::Notes, b"long", vec![seed; LONG_NOTE]);
        lease.commit(batch, Durability::Relaxed)?;
        self.tag(&lease, "exported", &record, content)?;
        let (record, content) = pull(&lease, seed)?;
        self.tag(&lease, "pulled", &record, content)?;
        drop(lease);
        store.prune(Policy::ImagesOnly)?;
        self.tag_new(store, "after", seed.wrapping_add(1))
    }

    /// One more image.
    fn tag_new(&mut self, store: &Store, name: &'static str, seed: u8) -> Outcome<()> {
        let lease = store.lease()?;
        let (record, content) = step(&lease, seed)?;
        self.tag(&lease, name, &record, content)
    }

    fn tag(
        &mut self,
        lease: &Lease,
        name: &'static str,
        record: &LayerRecord,
        content: Content,
    ) -> Outcome<()> {
        let DiffId(digest) = record.diff_id.expect("both kinds of layers know it");
        let layer = match record.blobs.first() {
            Some(blob) => blob.descriptor.clone(),
            None => Descriptor::new(MediaType::LAYER, digest, record.tar_size.unwrap_or(0)),
        };
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#
        );
        lease.put_document(config.as_bytes())?;
        let json = |descriptor: &Descriptor| serde_json::to_string(descriptor).unwrap();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            json(&Descriptor::of(MediaType::CONFIG, config.as_bytes())),
            json(&layer)
        );
        let digest = lease.put_document(manifest.as_bytes())?;
        let mut batch = Batch::new();
        batch.set_ref(name, &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
        lease.commit(batch, Durability::Durable)?;
        self.images.retain(|image| image.name != name);
        self.images.push(Image { name, manifest: digest, layer: record.id, content });
        Ok(())
    }

    /// What was acknowledged is there and whole.
    #[track_caller]
    fn check(&self, store: &Store, what: &str) {
        for image in &self.images {
            let Image { name, manifest, layer, content } = image;
            let found = store.find_ref(name).unwrap();
            assert!(found.is_some(), "{what}: {name} is gone");
            assert!(store.document(manifest).unwrap().is_some(), "{what}: manifest of {name}");
            assert!(store.layer(layer).unwrap().is_some(), "{what}: layer of {name}");
            let is_there = match content {
                Content::Body(body) => {
                    store.body(body).unwrap().is_some_and(|bytes| bytes.load().is_ok())
                }
                Content::Blob(digest) => store
                    .foreign_blob(digest)
                    .unwrap()
                    .is_some_and(|mut blob| io::copy(&mut blob, &mut io::sink()).is_ok()),
            };
            assert!(is_there, "{what}: bytes of {name}");
        }
        let damage = store.verify(Depth::Full).unwrap();
        let torn = |damage: &&Damage| matches!(damage, Damage::Journal { .. });
        let found = damage.iter().find(|damage| !torn(damage));
        assert!(found.is_none(), "{what}: {found:?}");
    }
}

fn step(lease: &Lease, seed: u8) -> Outcome<(LayerRecord, Content)> {
    let bytes = noise(20_000, seed);
    let body = lease.put_body(&bytes)?;
    lease.put_body(&noise(200, seed))?;
    let tree = tree(body, bytes.len() as u64);
    let id = LayerId::of(&[seed]);
    let measured = measure(&tree, lease.store())?;
    let (diff_id, tar_size) = (Some(measured.diff_id), Some(measured.size));
    let tree = Some(lease.put_tree(&tree)?);
    let record = LayerRecord { tree, diff_id, tar_size, ..LayerRecord::new(id) };
    let (layer, created) = (Some(id), Timestamp::default());
    let mut batch = Batch::new();
    let key = CacheKey::of(&[seed]);
    batch.put_layer(&record);
    batch.put_action(&ActionRecord { key, layer, created, inputs: Vec::new() });
    lease.commit(batch, Durability::Relaxed)?;
    Ok((record, Content::Body(body)))
}

fn pull(lease: &Lease, seed: u8) -> Outcome<(LayerRecord, Content)> {
    let (blob, diff_id) = blob(seed);
    let descriptor = Descriptor::of(MediaType::LAYER_GZIP, &blob);
    let mut ingest = lease.ingest_blob(&descriptor)?;
    ingest.write_all(&blob)?;
    ingest.commit()?;
    let record = import(lease, &descriptor, &diff_id, &mut blob.as_slice())?;
    let mut batch = Batch::new();
    batch.put_layer(&record);
    lease.commit(batch, Durability::Relaxed)?;
    Ok((record, Content::Blob(descriptor.digest)))
}

/// Whether an error says that the disk is what it is, so that the command can say so too.
fn tells(error: &(dyn Error + 'static), fault: Fault) -> bool {
    let number = match fault {
        Fault::Broken => "(os error 5)",
        Fault::Full => "(os error 28)",
    };
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).any(|text| text.ends_with(number))
}

/// Whether an error is that of a store handle that trusts nothing since a sync has failed.
fn is_poisoned(error: &(dyn Error + 'static)) -> bool {
    error.to_string().contains("an earlier")
}

/// Runs a session on a disk that fails from one operation on; says whether there is such a one.
fn run(first: usize, fault: Fault, lasting: Lasting) -> bool {
    let sim = Sim::default();
    let mut session = Session::default();
    let before = open(Arc::new(sim.clone()), 1).unwrap();
    session.tag_new(&before, "before", 100).unwrap();
    drop(before);
    let faulty = Faulty::new(&sim, Failing { first, fault, lasting });
    let ended = open(Arc::new(faulty.clone()), 1).and_then(|store| {
        let ended = session.run(&store, 1);
        // The same process goes on as if nothing had happened: what it is told then must be true.
        faulty.repair();
        let again = session.tag_new(&store, "again", 50);
        match (ended, again) {
            (Ok(()), again) => again,
            (ended, Ok(())) => ended,
            (ended, Err(error)) => {
                let fine = is_poisoned(&*error) || tells(&*error, fault);
                assert!(fine, "{first}: again: {error:?}");
                ended
            }
        }
    });
    let met = faulty.met();
    let what = format!("{fault:?} {lasting:?} at {first}: {:?}", met.first());
    if let Err(error) = ended {
        assert!(tells(&*error, fault), "{what}: {error:?}");
    }
    faulty.repair();
    let n_operations = sim.n_operations();
    for fate in [Fate::Lost, FATES[first % FATES.len()]] {
        let left = open(Arc::new(sim.crashed(n_operations, fate)), 2).unwrap();
        session.check(&left, &format!("{what}, then {fate:?}"));
    }
    let store = open(Arc::new(sim.clone()), 1).unwrap();
    session.check(&store, &what);
    session.run(&store, 10).unwrap();
    session.check(&store, &format!("{what}, then another session"));
    let damage = store.verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{what}: {damage:?}");
    !met.is_empty()
}

#[track_caller]
fn every_operation(fault: Fault, lasting: Lasting) {
    let n_operations = (0..MOST).find(|first| !run(*first, fault, lasting)).unwrap();
    assert!(n_operations > 60, "only {n_operations}");
}

#[test]
fn a_disk_that_is_full_once_is_told_of() {
    every_operation(Fault::Full, Lasting::Once);
}

#[test]
fn a_disk_that_stays_full_is_told_of() {
    every_operation(Fault::Full, Lasting::FromThenOn);
}

#[test]
fn a_disk_that_fails_once_is_told_of_and_never_trusted_again() {
    every_operation(Fault::Broken, Lasting::Once);
}

#[test]
fn a_disk_that_fails_for_good_is_told_of() {
    every_operation(Fault::Broken, Lasting::FromThenOn);
}

#[test]
fn a_collection_works_on_a_disk_that_is_full_until_something_is_deleted() {
    let sim = Sim::default();
    let mut session = Session::default();
    let store = open(Arc::new(sim.clone()), 1).unwrap();
    session.run(&store, 1).unwrap();
    session.tag_new(&store, "kept", 7).unwrap();
    let mut batch = Batch::new();
    for image in session.images.drain(..).filter(|image| image.name != "kept") {
        batch.remove_ref(image.name);
    }
    store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
    session.tag_new(&store, "kept", 7).unwrap();
    drop(store);
    let failing = Failing { first: 0, fault: Fault::Full, lasting: Lasting::UntilRoom };
    let disk = Faulty::new(&sim, failing);
    let store = open(Arc::new(disk.clone()), 1).unwrap();
    let freed = store.prune(Policy::ImagesOnly).unwrap();
    assert!(freed.bytes > 20_000 && !disk.met().is_empty(), "{freed:?}");
    session.check(&open(Arc::new(sim.clone()), 1).unwrap(), "after the collection");
    let kept = sim.files().into_iter().filter(|path| path.starts_with("reserve/")).count();
    assert_eq!(kept, 4, "it is kept again");
}
