//! The engine against a registry in this process: jobs at once, many records, what is not ours, what was before.

use std::collections::BTreeMap;
use std::io;

use wythe_registry::fake::{FakeRegistry, Quirks};
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::cache_backend::has_other;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::document::{Document as _, RawDocument};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::source::ImageSource as _;
use wythe_store::portable_action::PortableAction;

use super::packs::MAX_PACKS;
use super::*;
use crate::contract::{check, check_loss, keep, record};
use crate::pack::{MAX_RECORDS, PACK_TYPE};

fn registry() -> FakeRegistry {
    FakeRegistry::start(Quirks::default()).unwrap()
}

fn cache(registry: &FakeRegistry) -> RegistryCache {
    let reference = format!("{}/app:cache", registry.host()).parse().unwrap();
    RegistryCache::new(Client::new(Settings::default()), reference)
}

fn keys(numbers: Range<i64>) -> Vec<CacheKey> {
    numbers.map(|number| CacheKey::of(&number.to_le_bytes())).collect()
}

fn has_all(registry: &FakeRegistry, numbers: Range<i64>) -> bool {
    cache(registry).records(&keys(numbers)).unwrap().iter().all(Option::is_some)
}

fn put(own: &RegistryCache, numbers: Range<i64>) {
    let records: Vec<_> = keys(numbers.clone())
        .into_iter()
        .zip(numbers.map(|number| record(number).encode()))
        .collect();
    own.put_records(&records).unwrap();
    own.finish().unwrap();
}

/// The requests since there were `from` of them, without their parameters.
fn requests(registry: &FakeRegistry, from: usize) -> Vec<String> {
    let seen = registry.seen();
    let line = |target: &str| target.split(['?', ':']).next().unwrap().to_owned();
    seen[from..].iter().map(|one| format!("{} {}", one.method, line(&one.target))).collect()
}

#[test]
fn it_keeps_to_the_contract() {
    let registry = registry();
    check(&|| Box::new(cache(&registry)));
}

#[test]
fn what_is_damaged_gives_way_to_what_is_made_in_its_place() {
    let registry = registry();
    keep(&cache(&registry), &[1]);
    let (builder, [key], old) = (cache(&registry), keys(1..2).try_into().unwrap(), record(1));
    assert!(builder.records(&[key]).unwrap()[0].is_some());
    builder.discredit(&old.blob.digest);
    assert_eq!(builder.records(&[key]).unwrap(), [None]);
    assert_eq!(builder.missing(&[old.blob.digest]).unwrap(), [old.blob.digest]);
    // What a step makes again is another blob.
    let made = crate::contract::blob(2);
    let blob = record(2).blob;
    let open = || Ok(Box::new(&*made) as Box<dyn Read + Send>);
    let (digest, size) = (blob.digest, blob.size);
    builder.put_blob(&CacheBlob { digest, size, media_type: "x/y", open: &open }).unwrap();
    let new = PortableAction { blob, ..old };
    builder.put_records(&[(key, new.encode())]).unwrap();
    builder.finish().unwrap();
    let next = cache(&registry);
    let found = next.records(&[key]).unwrap().remove(0).unwrap();
    assert_eq!(PortableAction::decode(&found).as_ref(), Some(&new));
    assert!(!has_other(&next, &new.blob));
}

#[test]
fn what_the_registry_has_lost_is_not_found_any_more_and_kept_again() {
    let registry = registry();
    check_loss(&|| Box::new(cache(&registry)), &|| registry.lose_blobs("app"));
}

#[test]
fn jobs_that_write_at_once_lose_nothing_also_while_packs_are_merged() {
    let registry = registry();
    for round in 0..3 {
        std::thread::scope(|scope| {
            for number in 0..4 {
                let cache = cache(&registry);
                scope.spawn(move || keep(&cache, &[round * 4 + number]));
            }
        });
    }
    assert!(has_all(&registry, 0..12));
}

#[test]
fn who_took_long_to_prepare_looks_again_before_it_writes() {
    let registry = registry();
    put(&cache(&registry), 0..1);
    let slow = cache(&registry);
    let mut new = Pack::default();
    new.add(&[(keys(1..2)[0], record(1).encode())]);
    let own = slow.packs.put(&slow.place, vec![new], None).unwrap();
    let found = slow.place.look().unwrap();
    // Whoever has written meanwhile has waited as long as it was to, and looks no more.
    put(&cache(&registry), 2..3);
    let long_ago = || Instant::now().checked_sub(PREPARED * 2).unwrap();
    assert_eq!(slow.add(&own, (found, long_ago())).unwrap(), None);
    assert!(has_all(&registry, 2..3));
    let found = slow.place.look().unwrap();
    let took = slow.add(&own, (found, long_ago())).unwrap();
    assert!(took.is_some());
    assert!(has_all(&registry, 0..3));
}

#[test]
fn more_records_than_a_pack_holds_are_written_once_and_found() {
    let registry = registry();
    let many = i64::try_from(MAX_RECORDS).unwrap() + 1;
    put(&cache(&registry), 0..many);
    let tags = requests(&registry, 0);
    let tags = tags.iter().filter(|request| *request == "PUT /v2/app/manifests/cache").count();
    assert_eq!(tags, 1);
    assert!(has_all(&registry, 0..many));
}

#[test]
fn a_look_up_is_a_request_for_the_tag_and_one_for_each_pack_that_is_not_small() {
    let registry = registry();
    put(&cache(&registry), 0..1);
    // Of so many steps records are long, however well they are packed.
    put(&cache(&registry), 1..1000);
    put(&cache(&registry), 1000..1001);
    let from = registry.seen().len();
    assert!(has_all(&registry, 0..1001));
    assert_eq!(
        requests(&registry, from),
        ["GET /v2/app/manifests/cache", "GET /v2/app/blobs/sha256"]
    );
    // What came with the index is held to its digest as well.
    let mut pointer = Pointer::parse(&registry.manifest("app", "cache").unwrap()).unwrap();
    let foreign = pointer.packs[2].records.carried.clone();
    pointer.packs[0].records.carried = foreign;
    let media_type = MediaType::INDEX.as_str().to_owned();
    registry.put_manifest("app", "cache", &media_type, &pointer.to_bytes());
    let from = registry.seen().len();
    assert!(has_all(&registry, 0..1001));
    assert_eq!(requests(&registry, from).len(), 3);
}

#[test]
fn a_look_up_of_small_packs_is_one_request_however_many_builds_there_were() {
    let registry = registry();
    for number in 0..20 {
        let from = registry.seen().len();
        put(&cache(&registry), number..number + 1);
        let written = registry.seen()[from..].iter().map(|one| one.body.len()).sum::<usize>();
        assert!(written < 16 << 10, "{written} bytes");
        let from = registry.seen().len();
        assert!(has_all(&registry, 0..number + 1));
        assert_eq!(requests(&registry, from), ["GET /v2/app/manifests/cache"]);
    }
}

#[test]
fn a_build_writes_a_pack_and_the_tag() {
    let registry = registry();
    let own = cache(&registry);
    own.records(&keys(0..1)).unwrap();
    let from = registry.seen().len();
    put(&own, 0..1);
    assert_eq!(
        requests(&registry, from),
        [
            "POST /v2/app/blobs/uploads/",
            "PUT /v2/app/blobs/uploads/upload-1",
            "PUT /v2/app/manifests/sha256",
            "GET /v2/app/manifests/cache",
            "PUT /v2/app/manifests/cache",
            "GET /v2/app/manifests/cache",
        ]
    );
}

#[test]
fn of_more_full_packs_than_a_tag_names_the_oldest_goes() {
    let registry = registry();
    let full = i64::try_from(MAX_RECORDS).unwrap();
    for number in 0..=i64::try_from(MAX_PACKS).unwrap() {
        put(&cache(&registry), number * full..(number + 1) * full);
    }
    let found = cache(&registry).records(&keys(0..2 * full)).unwrap();
    let full = usize::try_from(full).unwrap();
    assert!(found[..full].iter().all(Option::is_none) && found[full..].iter().all(Option::is_some));
}

#[test]
fn what_older_versions_have_written_is_read_and_kept() {
    let registry = registry();
    let mut pack = Pack::default();
    pack.insert(keys(1..2)[0], &record(1).encode());
    let document = pack.to_bytes();
    registry.put_blob("app", &document);
    let media_type = MediaType::MANIFEST.as_str().to_owned();
    registry.put_manifest("app", "cache", &media_type, &pack.manifest(&document));
    assert!(has_all(&registry, 1..2));
    keep(&cache(&registry), &[2]);
    assert!(has_all(&registry, 1..3));
}

#[test]
fn a_pack_that_is_damaged_is_not_there_and_the_others_are() {
    let registry = registry();
    for number in 1..3 {
        keep(&cache(&registry), &[number]);
    }
    let bytes = registry.manifest("app", "cache").unwrap();
    let mut pointer = Pointer::parse(&bytes).unwrap();
    pointer.packs[0].records.document = Descriptor::of(MediaType::new(PACK_TYPE), b"gone");
    let media_type = MediaType::INDEX.as_str().to_owned();
    registry.put_manifest("app", "cache", &media_type, &pointer.to_bytes());
    let found = cache(&registry).records(&keys(1..3)).unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    keep(&cache(&registry), &[1]);
    assert!(has_all(&registry, 1..3));
}

#[test]
fn packs_that_the_registry_has_lost_are_left_out() {
    let registry = registry();
    let own = cache(&registry);
    keep(&own, &[1]);
    let mut pointer = own.place.look().unwrap().pointer;
    let lost = PackEntry { digest: Digest::of(b"lost"), ..pointer.packs[0].clone() };
    pointer.packs.insert(0, lost);
    Packs::drop_lost(&own.place, &mut pointer).unwrap();
    assert_eq!(pointer.packs.len(), 1);
}

#[test]
fn what_was_pushed_beside_a_cache_is_known_to_whoever_reads_it() {
    let registry = registry();
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let manifest = RawDocument::new(Manifest::new(config.clone(), Vec::new()));
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    content.insert(manifest.bytes().to_vec());
    let push = |tag: &str, delivered: &Delivered| {
        let name = format!("{}/app:{tag}", registry.host()).parse().unwrap();
        let how = Push { origins: &BTreeMap::new(), neighbours: &[], transfers: &(), delivered };
        let client = Client::new(Settings::default());
        client.push(&content, &manifest.descriptor(), &name, how).unwrap();
    };
    let delivered = Arc::new(Delivered::default());
    let own = cache(&registry).sharing(delivered.clone());
    own.records(&keys(0..1)).unwrap();
    push("1", &delivered);
    put(&own, 0..1);
    // The pack names it, so that the registry keeps it.
    let pointer = Pointer::parse(&registry.manifest("app", "cache").unwrap()).unwrap();
    let pack = registry.manifest("app", &pointer.packs[0].digest.to_string()).unwrap();
    assert!(Manifest::parse(&pack).unwrap().layers.iter().any(|one| one.digest == config.digest));
    let delivered = Arc::new(Delivered::default());
    assert!(cache(&registry).sharing(delivered.clone()).records(&keys(0..1)).unwrap()[0].is_some());
    let from = registry.seen().len();
    push("2", &delivered);
    assert_eq!(requests(&registry, from), ["PUT /v2/app/manifests/2"]);
}

#[test]
fn an_image_under_the_tag_is_left_alone() {
    let registry = registry();
    let own = cache(&registry);
    let config = Descriptor::of(MediaType::new("application/vnd.buildkit.cacheconfig.v0"), b"{}");
    own.place.put_bytes(&config, b"{}").unwrap();
    let manifest = wythe_store::oci::manifest::Manifest::new(config, Vec::new());
    let bytes = wythe_store::oci::document::Document::to_bytes(&manifest);
    own.place.put_manifest(&own.place.reference, &MediaType::MANIFEST, &bytes).unwrap();
    keep(&own, &[1]);
    assert_eq!(own.place.client.manifest(&own.place.reference).unwrap().1, bytes);
    assert!(has_all(&registry, 1..2));
}

/// Puts steps with their blobs, as an upload does, which asks for none that is small.
fn put_whole(own: &RegistryCache, numbers: Range<i64>) {
    own.records(&keys(numbers.clone())).unwrap();
    for number in numbers.clone() {
        put_bytes(own, &crate::contract::blob(number)).unwrap();
    }
    put(own, numbers);
}

fn put_bytes(own: &RegistryCache, bytes: &[u8]) -> Result<(), CacheError> {
    let open = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>);
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    let media_type = MediaType::LAYER_GZIP.as_str();
    own.put_blob(&CacheBlob { digest, size, media_type, open: &open })
}

fn blob_of(cache: &RegistryCache, number: i64) -> Vec<u8> {
    let (bytes, mut read) = (crate::contract::blob(number), Vec::new());
    let mut reader = cache.blob(&Digest::of(&bytes), 0..bytes.len() as u64).unwrap();
    reader.read_to_end(&mut read).unwrap();
    read
}

/// The blobs that the packs of a tag name, which are those that the registry keeps.
fn kept(registry: &FakeRegistry) -> BTreeSet<Digest> {
    let pointer = Pointer::parse(&registry.manifest("app", "cache").unwrap()).unwrap();
    let pack = |pack: &PackEntry| registry.manifest("app", &pack.digest.to_string()).unwrap();
    let packs = pointer.packs.iter().map(|one| Manifest::parse(&pack(one)).unwrap());
    packs.flat_map(|pack| pack.layers).map(|layer| layer.digest).collect()
}

#[test]
fn small_blobs_are_sent_as_one_and_read_as_one() {
    let registry = registry();
    put_whole(&cache(&registry), 0..20);
    let mut sent = requests(&registry, 0);
    // The blob of the small ones and the records: side by side.
    sent[1..5].sort();
    assert_eq!(
        sent,
        [
            "GET /v2/app/manifests/cache",
            "POST /v2/app/blobs/uploads/",
            "POST /v2/app/blobs/uploads/",
            "PUT /v2/app/blobs/uploads/upload-1",
            "PUT /v2/app/blobs/uploads/upload-2",
            "PUT /v2/app/manifests/sha256",
            "GET /v2/app/manifests/cache",
            "PUT /v2/app/manifests/cache",
            "GET /v2/app/manifests/cache",
        ]
    );
    assert_eq!(kept(&registry).len(), 1);
    let (other, from) = (cache(&registry), registry.seen().len());
    assert!(other.records(&keys(0..20)).unwrap().iter().all(Option::is_some));
    for number in 0..20 {
        assert_eq!(blob_of(&other, number), crate::contract::blob(number));
    }
    let asked = ["GET /v2/app/manifests/cache", "GET /v2/app/blobs/sha256"];
    assert_eq!(requests(&registry, from), asked);
}

#[test]
fn bundles_are_kept_as_long_as_a_record_needs_one_of_their_blobs_whoever_merges_packs() {
    let registry = registry();
    for number in 0..20 {
        put_whole(&cache(&registry), number..number + 1);
    }
    let all = cache(&registry);
    assert!(all.records(&keys(0..20)).unwrap().iter().all(Option::is_some));
    assert_eq!(kept(&registry).len(), 20);
    for number in 0..20 {
        assert_eq!(blob_of(&all, number), crate::contract::blob(number));
    }
}

#[test]
fn a_pack_names_the_bundle_that_an_earlier_one_has_brought() {
    let registry = registry();
    put_whole(&cache(&registry), 1..5);
    let own = cache(&registry);
    own.records(&keys(50..51)).unwrap();
    put_bytes(&own, &crate::contract::blob(3)).unwrap();
    own.put_records(&[(keys(50..51)[0], record(3).encode())]).unwrap();
    let from = registry.seen().len();
    own.finish().unwrap();
    let sent = requests(&registry, from);
    assert_eq!(sent.iter().filter(|one| one.starts_with("PUT /v2/app/blobs")).count(), 1);
    let pointer = Pointer::parse(&registry.manifest("app", "cache").unwrap()).unwrap();
    let last = pointer.packs.last().unwrap().digest.to_string();
    let pack = Manifest::parse(&registry.manifest("app", &last).unwrap()).unwrap();
    assert_eq!(pack.layers.len(), 1);
    assert_eq!(pack.layers[0].media_type.as_str(), wythe_store::portable_bundle::BUNDLE_TYPE);
}

#[test]
fn a_long_blob_lies_apart_and_one_that_is_not_what_it_is_said_to_be_is_refused() {
    let registry = registry();
    let own = cache(&registry);
    let long = vec![7; usize::try_from(SMALL).unwrap() + 1];
    put_bytes(&own, &long).unwrap();
    assert_eq!(requests(&registry, 0).last().unwrap(), "PUT /v2/app/blobs/uploads/upload-1");
    let open = || Ok(Box::new(&b"lie"[..]) as Box<dyn Read + Send>);
    let digest = Digest::of(b"truth");
    let lie = CacheBlob { digest, size: 5, media_type: "x", open: &open };
    assert!(own.put_blob(&lie).is_err());
    // What nothing names is not sent.
    put_bytes(&own, b"small").unwrap();
    let from = registry.seen().len();
    own.finish().unwrap();
    assert_eq!(registry.seen().len(), from);
}

#[test]
fn what_was_pushed_to_the_registry_is_in_no_bundle() {
    let registry = registry();
    let delivered = Arc::new(Delivered::default());
    let own = cache(&registry).sharing(delivered.clone());
    own.records(&keys(1..2)).unwrap();
    let bytes = crate::contract::blob(1);
    let blob = Descriptor::of(MediaType::LAYER_GZIP, &bytes);
    let content = Sent(&|| Ok(Box::new(&*bytes)));
    let image = own.place.reference.clone();
    own.place.client.put_blob(&image, &content, &blob, &delivered).unwrap();
    put_whole(&own, 1..2);
    assert_eq!(kept(&registry), BTreeSet::from([blob.digest]));
}
