//! What every engine has to keep to, as one test that all of them run.

use std::io::{self, Read as _};
use std::time::Duration;

use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheProblem, has_other};
use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::{CacheKey, ContentId};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_action::PortableAction;
use wythe_store::portable_mount::{DOCUMENT_TYPE, PACK_TYPE, PortableMount};
use wythe_store::timestamp::Timestamp;

/// The bytes of the blob of a made-up layer.
pub fn blob(number: i64) -> Vec<u8> {
    format!("the layer of step {number}").into_bytes().repeat(1000)
}

/// The record of a step whose layer has the bytes of [`blob`].
pub fn record(number: i64) -> PortableAction {
    PortableAction {
        diff_id: DiffId(Digest::of(&number.to_le_bytes())),
        tar_size: 1024,
        blob: Descriptor::of(MediaType::LAYER_GZIP, &blob(number)),
        content: ContentId::of(&number.to_le_bytes()),
        created: Timestamp { seconds: number, nanos: 0 },
        duration: Duration::from_secs(1),
        step: format!("[{number}/9] RUN step"),
        inputs: Vec::new(),
        listings: None,
        latest: None,
        origin: None,
    }
}

/// A made-up cache mount as it was saved at some second, under the key of all of them.
pub fn mount(second: i64) -> (CacheKey, Vec<u8>) {
    let saved = blob(second);
    let mount = PortableMount {
        identity: "npm".to_owned(),
        platform: "linux/amd64".to_owned(),
        label: "npm".to_owned(),
        created: Timestamp { seconds: second, nanos: 0 },
        files: 1,
        bytes: 2,
        document: Descriptor::of(MediaType::new(DOCUMENT_TYPE), &saved),
        packs: vec![Descriptor::of(MediaType::new(PACK_TYPE), &saved)],
    };
    (mount.key(), mount.encode())
}

/// Keeps a made-up step, as an export does.
///
/// # Panics
///
/// If the engine fails.
pub fn keep(cache: &dyn CacheBackend, numbers: &[i64]) {
    let descriptors: Vec<_> =
        numbers.iter().map(|number| (*number, record(*number).blob)).collect();
    let digests: Vec<Digest> = descriptors.iter().map(|(_, blob)| blob.digest).collect();
    let missing = cache.missing(&digests).expect("it is asked what it lacks");
    for (number, descriptor) in &descriptors {
        if !missing.contains(&descriptor.digest) {
            continue;
        }
        let bytes = blob(*number);
        let open = || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn io::Read + Send>);
        let media_type = descriptor.media_type.as_str();
        let (digest, size) = (descriptor.digest, descriptor.size);
        cache
            .put_blob(&CacheBlob { digest, size, media_type, open: &open })
            .expect("it takes a blob");
    }
    let records: Vec<_> =
        numbers.iter().map(|number| (key(*number), record(*number).encode())).collect();
    cache.put_records(&records).expect("it takes records");
    cache.finish().expect("it writes what is left");
}

fn key(number: i64) -> CacheKey {
    CacheKey::of(&number.to_le_bytes())
}

/// Holds an engine to what the trait promises. `open` gives a client of one and the same place, which
/// is empty or not even there at first.
///
/// # Panics
///
/// If the engine does not keep to it.
pub fn check(open: &dyn Fn() -> Box<dyn CacheBackend>) {
    nothing_is_no_error(&*open());
    what_is_kept_is_found(open);
    ranges_are_read(&*open());
    what_another_has_written_stays(open);
    a_mount_is_found_as_it_was_saved_last(open);
}

/// Holds an engine to that what somebody has damaged is found out and written over by who makes it again. `open` gives a
/// client of an empty place, and `damage` spoils all blobs there.
///
/// # Panics
///
/// If the engine does not keep to it.
pub fn check_mending(open: &dyn Fn() -> Box<dyn CacheBackend>, damage: &dyn Fn()) {
    let blob = record(1).blob;
    let known = |cache: &dyn CacheBackend| open_records(cache, key(1)).is_some();
    keep(&*open(), &[1]);
    damage();
    let cache = open();
    assert!(known(&*cache), "records are as they were");
    assert!(has_other(&*cache, &blob), "bytes are not");
    cache.discredit(&blob.digest);
    assert!(!known(&*cache), "what needs it is not found any more");
    assert_eq!(cache.missing(&[blob.digest]).expect("presence is told"), [blob.digest]);
    keep(&*cache, &[1]);
    let next = open();
    assert!(known(&*next) && !has_other(&*next, &blob), "it is as good as new");
}

/// Holds an engine to that a blob which is gone is kept again by who makes it again. `open` gives a client of an empty place,
/// and `lose` removes all blobs there.
///
/// # Panics
///
/// If the engine does not keep to it.
pub fn check_loss(open: &dyn Fn() -> Box<dyn CacheBackend>, lose: &dyn Fn()) {
    let blob = record(1).blob;
    let known = |cache: &dyn CacheBackend| open_records(cache, key(1)).is_some();
    let read = |cache: &dyn CacheBackend| cache.blob(&blob.digest, 0..blob.size).map(drop);
    keep(&*open(), &[1]);
    lose();
    let cache = open();
    assert!(known(&*cache), "records are as they were");
    let problem = read(&*cache).expect_err("the blob is gone").problem;
    assert!(matches!(problem, CacheProblem::NotFound { .. }), "{problem:?}");
    assert!(!known(&*cache), "what needs it is not found any more");
    assert_eq!(cache.missing(&[blob.digest]).expect("presence is told"), [blob.digest]);
    keep(&*cache, &[1]);
    let next = open();
    assert!(known(&*next) && read(&*next).is_ok(), "it is there again");
}

fn nothing_is_no_error(cache: &dyn CacheBackend) {
    assert!(!cache.name().is_empty());
    assert_eq!(cache.records(&[key(1), key(2)]).expect("nothing is no error"), [None, None]);
    let digest = record(1).blob.digest;
    assert_eq!(cache.missing(&[digest]).expect("nothing is no error"), [digest]);
    let problem = cache.blob(&digest, 0..1).map(drop).expect_err("there is none").problem;
    assert!(matches!(problem, CacheProblem::NotFound { .. }), "{problem:?}");
}

fn what_is_kept_is_found(open: &dyn Fn() -> Box<dyn CacheBackend>) {
    keep(&*open(), &[1, 2]);
    // To put once more is nothing.
    keep(&*open(), &[2]);
    let cache = open();
    let found = cache.records(&[key(2), key(9), key(1)]).expect("records are found");
    let read = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(PortableAction::decode);
    assert_eq!(
        found.iter().map(read).collect::<Vec<_>>(),
        [Some(record(2)), None, Some(record(1))]
    );
    let [held, lacking] = [1, 9].map(|number| record(number).blob.digest);
    assert_eq!(cache.missing(&[held, lacking]).expect("presence is told"), [lacking]);
}

fn ranges_are_read(cache: &dyn CacheBackend) {
    let (bytes, digest) = (blob(1), record(1).blob.digest);
    // A blob is asked for by who has read of it.
    cache.records(&[key(1)]).expect("records are found");
    for range in [0..bytes.len(), 0..7, 11..bytes.len(), 500..501] {
        let mut read = Vec::new();
        let asked = range.start as u64..range.end as u64;
        let mut reader = cache.blob(&digest, asked).expect("the blob is there");
        reader.read_to_end(&mut read).expect("the blob is read");
        assert_eq!(read, bytes[range.clone()], "{range:?}");
    }
}

fn what_another_has_written_stays(open: &dyn Fn() -> Box<dyn CacheBackend>) {
    // Both have looked before either writes.
    let (one, two) = (open(), open());
    for cache in [&one, &two] {
        cache.records(&[key(5)]).expect("records are asked for");
    }
    keep(&*one, &[3]);
    keep(&*two, &[4]);
    let found = open().records(&[1, 2, 3, 4].map(key)).expect("records are found");
    assert!(found.iter().all(Option::is_some), "nothing that was written is lost");
}

fn a_mount_is_found_as_it_was_saved_last(open: &dyn Fn() -> Box<dyn CacheBackend>) {
    for second in [1, 2] {
        let (cache, (key, record)) = (open(), mount(second));
        let bytes = blob(second);
        let digest = Digest::of(&bytes);
        if !cache.missing(&[digest]).expect("presence is told").is_empty() {
            let open = || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn io::Read + Send>);
            let size = bytes.len() as u64;
            let blob = CacheBlob { digest, size, media_type: PACK_TYPE, open: &open };
            cache.put_blob(&blob).expect("it takes a blob");
        }
        cache.put_records(&[(key, record.clone())]).expect("it takes records");
        cache.finish().expect("it writes what is left");
        let found = open_records(&*open(), key);
        assert_eq!(
            found.as_deref().and_then(PortableMount::decode),
            PortableMount::decode(&record)
        );
    }
}

fn open_records(cache: &dyn CacheBackend, key: CacheKey) -> Option<Vec<u8>> {
    cache.records(&[key]).expect("records are found").remove(0)
}
