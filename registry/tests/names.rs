//! One image under several names, and what is told of its blobs.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::fake::{FakeRegistry, Quirks};
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState, Transfers};

/// Longer than what is sent from memory.
const SIZE: u64 = 9 << 20;

/// An index of one image, whose layer is long.
fn image() -> (MemoryContent, Descriptor) {
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    let layer = content.insert(vec![7; 9 << 20]);
    let layer = Descriptor::new(MediaType::LAYER, layer, SIZE);
    let manifest = Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![layer]);
    let manifest = RawDocument::new(manifest);
    content.insert(manifest.bytes().to_vec());
    let index = RawDocument::new(Index::new(vec![manifest.descriptor()]));
    content.insert(index.bytes().to_vec());
    (content, index.descriptor())
}

#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Digest, TransferState, u64)>>);

impl Transfers for Recorder {
    fn transferred(&self, transfer: &Transfer<'_>) {
        assert_eq!(transfer.direction, Direction::Push);
        let name = transfer.reference.to_string();
        self.0.lock().unwrap().push((name, transfer.digest, transfer.state, transfer.bytes));
    }
}

fn push(registry: &FakeRegistry, names: &[&str], told: &Recorder) -> Vec<Reference> {
    let (content, root) = image();
    let reference = |rest: &&str| format!("{}/{rest}", registry.host()).parse().unwrap();
    let names: Vec<Reference> = names.iter().map(reference).collect();
    let client = Client::new(Settings::default());
    let (origins, transfers) = (BTreeMap::new(), told);
    client
        .outbox(
            &content,
            Push {
                origins: &origins,
                neighbours: &[],
                transfers,
                delivered: &Delivered::default(),
            },
        )
        .push_all(&root, &names)
        .unwrap();
    names
}

fn count(registry: &FakeRegistry, method: &str, part: &str) -> usize {
    let seen = registry.seen();
    seen.iter().filter(|seen| seen.method == method && seen.target.contains(part)).count()
}

#[test]
fn names_in_one_repository_share_everything_and_are_written_last() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    push(&registry, &["app:1", "app:2", "app:3"], &Recorder::default());
    let root = image().1.digest;
    for tag in ["1", "2", "3"] {
        assert_eq!(Digest::of(&registry.manifest("app", tag).unwrap()), root);
    }
    assert_eq!(count(&registry, "HEAD", "/blobs/"), 2);
    assert_eq!(count(&registry, "PUT", "/manifests/sha256:"), 1, "the image, once");
    let seen = registry.seen();
    let named = |at: &usize| {
        seen[*at].target.contains("/manifests/") && !seen[*at].target.contains("sha256:")
    };
    let first = (0..seen.len()).find(named).unwrap();
    assert!((first..seen.len()).all(|at| named(&at)), "{:?}", seen.len());
}

#[test]
fn each_blob_is_told_of_until_it_is_there_and_how_it_came() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let told = Recorder::default();
    let names = push(&registry, &["app:1", "app:2", "other:1"], &told);
    push(&registry, &["app:4"], &told);
    let layer = Digest::of(&vec![7; 9 << 20]);
    let told = told.0.into_inner().unwrap();
    let of_layer: Vec<_> = told.into_iter().filter(|(_, digest, ..)| *digest == layer).collect();
    let (moving, ends): (Vec<_>, Vec<_>) =
        of_layer.into_iter().partition(|(_, _, state, _)| *state == TransferState::Moving);
    let bytes: Vec<u64> = moving.iter().map(|(.., bytes)| *bytes).collect();
    assert!(bytes[0] == 0 && bytes.len() > 10 && bytes.is_sorted(), "{bytes:?}");
    let ends: Vec<_> =
        ends.iter().map(|(name, _, state, bytes)| (&**name, *state, *bytes)).collect();
    let (first, other) = (names[0].to_string(), names[2].to_string());
    let last = first.replace("app:1", "app:4");
    let expected = [
        (&*first, TransferState::Done, SIZE),
        (&*other, TransferState::Mounted, 0),
        (&*last, TransferState::Present, 0),
    ];
    assert_eq!(ends, expected);
}
