//! What the tests of directories share: a store of their own, and layers to pull into it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bytes::FileBytes;
use crate::digest::{DiffId, Digest};
use crate::id::BodyId;
use crate::layer::tar_write::tar_write;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::store::{OpenOptions, Store};
use crate::tree::entry::{Claim, Directory, Entry, Metadata, Node, Subdirectory, Tree};
use crate::tree::sketch::sketch;

/// So many threads unpack what is small.
pub(crate) const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// A store in a directory that vanishes.
pub(crate) struct Trial {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) lease: Lease,
}

/// A gzip blob as a registry has it.
pub(crate) struct Pulled {
    pub(crate) tree: Tree,
    pub(crate) diff_id: DiffId,
    pub(crate) descriptor: Descriptor,
    pub(crate) blob: Vec<u8>,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store"), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        Self { directory, lease }
    }

    /// A second process would open the store anew.
    pub(crate) fn another(&self) -> Store {
        Store::open(&self.directory.path().join("store"), &OpenOptions::default()).unwrap()
    }

    /// Stores the blob, and no more.
    pub(crate) fn keep_blob(&self, pulled: &Pulled) {
        let mut ingest = self.lease.ingest_blob(&pulled.descriptor).unwrap();
        ingest.write_all(&pulled.blob).unwrap();
        ingest.commit().unwrap();
    }
}

impl Pulled {
    /// A layer of sketched files, each of which holds the text after its `=`.
    pub(crate) fn new(words: &str) -> Self {
        let tree = ours(&sketch(words));
        let mut tar = Vec::new();
        tar_write(&tree, &bodies(words), None, &mut tar).unwrap();
        Self::of_tar(tree, &tar)
    }

    pub(crate) fn of_tar(tree: Tree, tar: &[u8]) -> Self {
        let mut blob = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        blob.write_all(tar).unwrap();
        let blob = blob.finish().unwrap();
        let descriptor = Descriptor::of(MediaType::LAYER_GZIP, &blob);
        Self { tree, diff_id: DiffId(Digest::of(tar)), descriptor, blob }
    }
}

/// What the store knows of a layer that was pulled.
pub(crate) fn record_of(trial: &Trial, pulled: &Pulled) -> LayerRecord {
    trial.lease.store().layer_of_diff(&pulled.diff_id).unwrap().unwrap()
}

/// The files' texts of a sketch.
pub(crate) fn bodies(words: &str) -> BTreeMap<BodyId, FileBytes> {
    let texts = words.split_whitespace().filter_map(|word| word.split_once('='));
    let texts = texts.map(|(_, text)| text.split('@').next().unwrap_or_default());
    texts.map(|text| (BodyId::of(text.as_bytes()), text.as_bytes().to_vec().into())).collect()
}

/// The same tree, owned by whoever runs the test.
pub(crate) fn ours(tree: &Tree) -> Tree {
    Tree { root: tree.root.clone(), children: Arc::new(our_directory(&tree.children)) }
}

fn our_directory(directory: &Directory) -> Directory {
    let entries = directory.entries().iter().map(|entry| {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let owned = Metadata { uid, gid, ..entry.metadata.clone() };
        let (metadata, node) = match &entry.node {
            Node::Directory(below) => {
                let children = Arc::new(our_directory(&below.children));
                let implied = below.claim == Claim::Implied;
                let metadata = if implied { entry.metadata.clone() } else { owned };
                (metadata, Node::Directory(Subdirectory { claim: below.claim, children }))
            }
            Node::Whiteout => (entry.metadata.clone(), Node::Whiteout),
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_) => (owned, entry.node.clone()),
        };
        Entry { name: entry.name.clone(), metadata, node }
    });
    Directory::from_entries(entries.collect())
}
