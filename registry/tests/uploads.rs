//! Long blobs on their way to a registry that breaks connections, and blobs that leave while they grow.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credential, Credentials};
use wythe_registry::delivered::Delivered;
use wythe_registry::error::PushError;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::fake::{Door, FakeRegistry, Quirks, Seen, Switch};
use wythe_registry::push::{Outbox, Push};
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::image::encode::Leaving;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::growing::GrowingContent;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;

const MIB: usize = 1 << 20;

/// Longer than what is not sent while it grows.
const LONG: usize = 40 * MIB;

fn client(registry: &FakeRegistry) -> Client {
    let credentials = Credentials::default().with(registry.host(), Credential::new("user", "pass"));
    let timing = Arc::new(InstantTiming::default());
    Client::new(Settings { credentials, timing, ..Settings::default() })
}

fn name(registry: &FakeRegistry) -> Reference {
    format!("{}/app:1", registry.host()).parse().unwrap()
}

/// Bytes of which no two pieces are the same.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![7; length];
    for (number, block) in bytes.chunks_mut(4096).enumerate() {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// An image with one layer.
fn image(length: usize) -> (MemoryContent, Descriptor, Descriptor) {
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let layer = content.insert(bytes(length));
    let layer = Descriptor::new(MediaType::LAYER, layer, length as u64);
    let manifest = RawDocument::new(Manifest::new(config, vec![layer.clone()]));
    content.insert(manifest.bytes().to_vec());
    (content, manifest.descriptor(), layer)
}

/// A blob of which nobody knows what it is before so much of it is read.
#[derive(Debug)]
struct Growing {
    bytes: Vec<u8>,
    known_at: usize,
    is_known: AtomicBool,
    /// Whether it is given up then.
    is_given_up: bool,
    descriptor: Descriptor,
}

impl Growing {
    fn new(known_at: usize) -> Self {
        let (bytes, is_known) = (bytes(LONG), AtomicBool::new(false));
        let descriptor = Descriptor::of(MediaType::LAYER, &bytes);
        Self { bytes, known_at, is_known, is_given_up: false, descriptor }
    }
}

impl GrowingContent for Growing {
    fn outgrows(&self, length: u64) -> bool {
        length < self.bytes.len() as u64 && !self.is_known.load(Ordering::SeqCst)
    }

    fn descriptor(&self) -> Option<Descriptor> {
        let is_known = self.is_known.load(Ordering::SeqCst) && !self.is_given_up;
        is_known.then(|| self.descriptor.clone())
    }

    fn read_from(&self, at: u64) -> Box<dyn Read + Send + '_> {
        Box::new(GrowingReader { blob: self, at: usize::try_from(at).unwrap() })
    }
}

struct GrowingReader<'a> {
    blob: &'a Growing,
    at: usize,
}

impl Read for GrowingReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.blob.known_at <= self.at {
            self.blob.is_known.store(true, Ordering::SeqCst);
            if self.blob.is_given_up {
                return Err(io::Error::other("given up"));
            }
        }
        let count = (&self.blob.bytes[self.at..]).read(bytes)?;
        self.at += count;
        Ok(count)
    }
}

/// Sends an image whose layer grows, and is known when so much of it has left.
fn send_growing(registry: &FakeRegistry, blob: Growing) -> Result<(), PushError> {
    let (content, root, layer) = image(LONG);
    let (origins, delivered) = (BTreeMap::new(), Delivered::default());
    let how = Push { origins: &origins, neighbours: &[], transfers: &(), delivered: &delivered };
    let client = client(registry);
    let outbox: Outbox<'_> = client.outbox(&content, how);
    let blob = Arc::new(blob);
    let names = [name(registry)];
    let made = outbox.ahead(&names, |told| {
        told(Leaving::Growing(Arc::clone(&blob) as _));
        while !blob.is_known.load(Ordering::SeqCst) && !sent_whole(registry) {
            std::thread::yield_now();
        }
        told(Leaving::Ready(&layer));
        Ok::<_, ()>(())
    });
    made.unwrap();
    outbox.push(&root, &names[0])
}

/// Whether the registry was asked for a body and has refused it.
fn sent_whole(registry: &FakeRegistry) -> bool {
    registry.seen().iter().any(|seen| seen.method == "DELETE")
}

/// Requests to uploads that have a body of the layer.
fn bodies(registry: &FakeRegistry) -> Vec<Seen> {
    let seen = registry.seen().into_iter();
    seen.filter(|seen| seen.target.contains("/uploads/") && 2 < seen.body.len()).collect()
}

fn count(registry: &FakeRegistry, method: &str, part: &str) -> usize {
    let seen = registry.seen();
    seen.iter().filter(|seen| seen.method == method && seen.target.contains(part)).count()
}

#[track_caller]
fn check_arrived(registry: &FakeRegistry) {
    let layer = Digest::of(&bytes(LONG));
    assert!(registry.blobs("app").contains(&layer));
    assert!(registry.manifest("app", "1").is_some());
}

/// That each byte of the layer has left once.
#[track_caller]
fn check_once(registry: &FakeRegistry, length: usize) {
    let sent: usize = bodies(registry).iter().map(|seen| seen.body.len()).sum();
    assert_eq!(sent, length);
}

#[test]
fn a_blob_that_grows_leaves_in_one_request_and_is_asked_for_by_nobody() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    send_growing(&registry, Growing::new(LONG)).unwrap();
    check_arrived(&registry);
    let bodies = bodies(&registry);
    assert_eq!(bodies.len(), 1);
    assert_eq!((&*bodies[0].method, bodies[0].body.len()), ("PATCH", LONG));
    let layer = Digest::of(&bytes(LONG)).to_string();
    assert_eq!(count(&registry, "HEAD", &layer), 0);
    assert_eq!(count(&registry, "PUT", "/uploads/"), 2, "the layer and the configuration");
}

#[test]
fn what_has_arrived_of_a_blob_that_grows_is_not_sent_again() {
    let breaks_after = vec![10 << 20, 5 << 20, 7];
    let registry = FakeRegistry::start(Quirks { breaks_after, ..Quirks::default() }).unwrap();
    send_growing(&registry, Growing::new(LONG)).unwrap();
    check_arrived(&registry);
    check_once(&registry, LONG);
    assert_eq!(bodies(&registry).len(), 4);
}

#[test]
fn a_registry_that_wants_lengths_gets_the_blob_when_it_is_complete() {
    let quirks = Quirks { needs_lengths: Switch::On, ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    send_growing(&registry, Growing::new(LONG)).unwrap();
    check_arrived(&registry);
    let whole = bodies(&registry);
    assert_eq!((&*whole.last().unwrap().method, whole.last().unwrap().body.len()), ("PUT", LONG));
}

#[test]
fn what_turns_out_to_be_there_is_broken_off() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    registry.put_blob("app", &bytes(LONG));
    send_growing(&registry, Growing::new(20 * MIB)).unwrap();
    check_arrived(&registry);
    let sent: usize = bodies(&registry).iter().map(|seen| seen.body.len()).sum();
    assert!(sent < 25 * MIB, "{sent}");
    assert_eq!(count(&registry, "DELETE", "/uploads/"), 1);
    assert_eq!(count(&registry, "HEAD", &Digest::of(&bytes(LONG)).to_string()), 1);
}

#[test]
fn what_nobody_makes_any_more_is_broken_off() {
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let blob = Growing { is_given_up: true, ..Growing::new(20 * MIB) };
    send_growing(&registry, blob).unwrap();
    check_arrived(&registry);
    assert_eq!(count(&registry, "DELETE", "/uploads/"), 1);
    assert_eq!(bodies(&registry).last().unwrap().method, "PUT");
}

#[test]
fn a_closing_request_whose_answer_is_lost_is_repeated_alone() {
    let registry = FakeRegistry::start(Quirks { loses_answers: 1, ..Quirks::default() }).unwrap();
    send_growing(&registry, Growing::new(LONG)).unwrap();
    check_arrived(&registry);
    check_once(&registry, LONG);
}

#[test]
fn a_new_token_sends_nothing_again() {
    let quirks = Quirks { auth: Door::Bearer, token_uses: Some(2), ..Quirks::default() };
    let registry = FakeRegistry::start(quirks).unwrap();
    send_growing(&registry, Growing::new(LONG)).unwrap();
    check_arrived(&registry);
    let arrived = bodies(&registry).into_iter().filter(|seen| seen.body.len() == LONG);
    assert_eq!(arrived.count(), 1);
}

/// Pushes an image whose layer is there as a whole.
#[track_caller]
fn push(quirks: Quirks, length: usize) -> FakeRegistry {
    push_from(&BTreeMap::new(), FakeRegistry::start(quirks).unwrap(), length)
}

/// The same to a registry that may have the layer elsewhere.
#[track_caller]
fn push_from(
    origins: &BTreeMap<Digest, Vec<String>>,
    registry: FakeRegistry,
    length: usize,
) -> FakeRegistry {
    let (content, root, layer) = image(length);
    let how = Push { origins, neighbours: &[], transfers: &(), delivered: &Delivered::default() };
    client(&registry).push(&content, &root, &name(&registry), how).unwrap();
    assert!(registry.blobs("app").contains(&layer.digest));
    registry
}

#[test]
fn what_has_arrived_of_a_blob_is_not_sent_again() {
    let breaks_after = vec![4 << 20, 1 << 20, 100, 100, 100, 100, 100, 100];
    let registry = push(Quirks { breaks_after, ..Quirks::default() }, 9 * MIB);
    check_once(&registry, 9 * MIB);
}

#[test]
fn a_blob_that_arrived_is_not_sent_again_where_the_answer_was_lost() {
    for length in [MIB, 9 * MIB] {
        // The configuration and the layer are sent side by side, and either may be first.
        let registry = push(Quirks { loses_answers: 2, ..Quirks::default() }, length);
        check_once(&registry, length);
        assert_eq!(count(&registry, "PUT", "/uploads/"), 2, "the layer and the configuration");
    }
}

#[test]
fn a_mount_that_was_done_is_one_where_the_answer_was_lost() {
    // One for the mount, one for the configuration.
    let registry = FakeRegistry::start(Quirks { loses_answers: 2, ..Quirks::default() }).unwrap();
    let layer = registry.put_blob("base", &bytes(MIB));
    let origins = BTreeMap::from([(layer, vec![format!("{}/base", registry.host())])]);
    check_once(&push_from(&origins, registry, MIB), 0);
}

#[test]
fn a_registry_that_forgets_what_broke_gets_all_of_it() {
    let quirks =
        Quirks { breaks_after: vec![4 << 20], forgets_broken: Switch::On, ..Quirks::default() };
    let registry = push(quirks, 9 * MIB);
    assert_eq!(bodies(&registry).last().unwrap().body.len(), 9 * MIB);
}

#[test]
fn what_is_too_long_for_one_request_goes_in_pieces() {
    let registry = push(Quirks { longest: Some(MIB), ..Quirks::default() }, 9 * MIB);
    let pieces = bodies(&registry).into_iter().filter(|seen| seen.body.len() <= MIB);
    let ranges: Vec<String> =
        pieces.filter_map(|seen| seen.headers.get("content-range").cloned()).collect();
    assert_eq!(ranges.len(), 9);
    assert_eq!((&*ranges[0], &*ranges[8]), ("0-1048575", "8388608-9437183"));
}
