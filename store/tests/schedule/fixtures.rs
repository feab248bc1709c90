//! What the plays have in common: what their images are made of, and who says what has been promised.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::{BodyId, CacheKey, LayerId};
use wythe_store::layers::{LayerBlob, LayerRecord};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::{Compression, MediaType};
use wythe_store::sim::schedule::stage::Actor;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::vfs::Vfs;

/// A layer and what it is made of, all told by one number.
pub(crate) type Version = u8;

/// Something that was promised to somebody, or taken back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    /// A name stands for an image of this layer, and outlives a power cut.
    Tagged(&'static str, Version),
    /// A name is about to be taken away.
    Untagging(&'static str),
}

/// What actors have acknowledged, and how much had been done to the disk then.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<(usize, Fact)>>);

impl Ledger {
    /// The dead acknowledge nothing.
    pub(crate) fn write(&self, actor: &Actor, fact: Fact) {
        if let Some(at) = actor.n_operations() {
            self.0.lock().unwrap().push((at, fact));
        }
    }

    /// What had been said when so much had been done.
    pub(crate) fn until(&self, n_operations: usize) -> Vec<Fact> {
        let facts = self.0.lock().unwrap();
        let early = facts.iter().filter(|(at, _)| *at <= n_operations);
        early.map(|(_, fact)| fact.clone()).collect()
    }
}

pub(crate) fn open(vfs: Arc<dyn Vfs>, boot: u8) -> Result<Store, String> {
    let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
    Store::open_on(vfs, PathBuf::from("/simulated"), &options).map_err(|error| told(&error))
}

/// An error with its causes.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = causes.map(ToString::to_string);
    [error.to_string()].into_iter().chain(texts).collect::<Vec<_>>().join(": ")
}

/// Bytes that do not compress, so that packs are filled as the lengths say.
pub(crate) fn body(version: Version) -> Vec<u8> {
    let noise = |at: u32| at.wrapping_mul(2_654_435_761).to_le_bytes()[2] ^ version;
    (0..300 + u32::from(version)).map(noise).collect()
}

pub(crate) fn tree(version: Version) -> Tree {
    let bytes = body(version);
    let file = File { body: BodyId::of(&bytes), size: bytes.len() as u64, link: None };
    let (name, metadata) = ((*b"file").into(), Metadata::default());
    let entry = Entry { name, metadata, node: Node::File(file) };
    Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) }
}

pub(crate) fn layer_id(version: Version) -> LayerId {
    LayerId::of(&[version])
}

pub(crate) fn key(version: Version) -> CacheKey {
    CacheKey::of(&[version])
}

fn diff_id(version: Version) -> DiffId {
    DiffId(Digest::of(&[b't', version]))
}

/// A compressed layer as a registry has it.
pub(crate) fn blob(version: Version) -> Vec<u8> {
    [b"blob ".as_slice(), &body(version)].concat()
}

pub(crate) fn blob_descriptor(version: Version) -> Descriptor {
    Descriptor::of(MediaType::LAYER_GZIP, &blob(version))
}

/// What is said to be the length of a layer's tar stream. Nobody makes one, for its digest is made up.
const TAR_SIZE: u64 = 1024;

/// The record of a layer that was built here.
pub(crate) fn built(version: Version) -> LayerRecord {
    let diff_id = Some(diff_id(version));
    LayerRecord { diff_id, tar_size: Some(TAR_SIZE), ..LayerRecord::new(layer_id(version)) }
}

/// The record of a layer that was pulled.
pub(crate) fn pulled(version: Version) -> LayerRecord {
    let (compression, codec) = (Compression::Gzip, String::new());
    let blobs = vec![LayerBlob { compression, codec, descriptor: blob_descriptor(version) }];
    LayerRecord { blobs, ..built(version) }
}

pub(crate) fn config(version: Version) -> String {
    let DiffId(digest) = diff_id(version);
    format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#
    )
}

/// A manifest of one layer: of the blob where it was pulled, of the tar stream otherwise.
pub(crate) fn manifest(version: Version, record: &LayerRecord) -> String {
    let config = Descriptor::of(MediaType::CONFIG, config(version).as_bytes());
    let layer = match record.blobs.first() {
        Some(blob) => blob.descriptor.clone(),
        None => Descriptor::new(MediaType::LAYER, diff_id(version).0, TAR_SIZE),
    };
    let json = |descriptor: &Descriptor| serde_json::to_string(descriptor).unwrap();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::MANIFEST.as_str(),
        json(&config),
        json(&layer)
    )
}
