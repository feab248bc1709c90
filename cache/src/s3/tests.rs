//! A cache in a bucket, against a server that answers as S3 does.

use std::collections::BTreeMap;
use std::sync::Arc;

use wythe_aws::chain::{Chain, Origin};
use wythe_aws::keys::Keys;
use wythe_aws::s3::{Addressing, BucketOptions};
use wythe_aws::surroundings::{Surroundings, WallClock};
use wythe_registry::client::Client;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::settings::Settings;

use super::*;
use crate::fake_web::{Answer, Seen, serve};

#[derive(Debug)]
struct Fixed;

impl WallClock for Fixed {
    fn moment(&self) -> jiff::Timestamp {
        "2026-03-10T00:00:00Z".parse().unwrap()
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Conditions {
    Held,
    Unknown,
}

/// A bucket in this process: its objects with their ages, and what it was asked.
#[derive(Clone, Default)]
struct Store {
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The bytes of an object, and when it was written.
struct Object(Vec<u8>, &'static str);

const YOUNG: &str = "Mon, 09 Mar 2026 23:00:00 GMT";
const OLD: &str = "Sun, 01 Mar 2026 00:00:00 GMT";

impl Store {
    fn answer(&self, seen: &Seen, conditions: Conditions) -> Answer {
        let key = seen.target.replace("%3A", ":").trim_start_matches("/b/").to_owned();
        self.asked.lock().unwrap().push(format!("{} {key}", seen.method));
        let mut objects = self.objects.lock().unwrap();
        let tag = |bytes: &[u8]| format!("\"{}\"", digest_of(bytes));
        let header = |name: &str| seen.headers.get(name).map(String::as_str);
        match &*seen.method {
            "PUT" if header("x-amz-copy-source").is_some() => {
                if let Some(object) = objects.get_mut(&key) {
                    object.1 = YOUNG;
                }
                Answer::bytes(b"<R/>".to_vec())
            }
            "PUT" => {
                let known = objects.get(&key).map(|Object(bytes, _)| tag(bytes));
                let unmet = (header("if-none-match").is_some() && known.is_some())
                    || (header("if-match").is_some() && header("if-match") != known.as_deref());
                if conditions == Conditions::Held && unmet {
                    return Answer::status(412);
                }
                if conditions == Conditions::Unknown
                    && (header("if-none-match").or(header("if-match"))).is_some()
                {
                    return Answer::status(501);
                }
                objects.insert(key, Object(seen.body.clone(), YOUNG));
                Answer::status(200)
            }
            _ => match objects.get(&key) {
                Some(Object(bytes, age)) => Answer::part_of(bytes, seen)
                    .with("ETag", &tag(bytes))
                    .with("Last-Modified", age),
                None => Answer::status(404),
            },
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn cache_at(url: &str) -> S3Cache {
    let timing = Arc::new(InstantTiming::default());
    let around = Arc::new(Surroundings {
        variables: BTreeMap::new(),
        home: None,
        clock: Arc::new(Fixed),
        timing: timing.clone(),
        client: Client::new(Settings::default()),
    });
    let chain = Arc::new(Chain::new(around.clone(), Origin::Given(Keys::new("A", "hush"))));
    let bucket = BucketOptions {
        name: "b".to_owned(),
        region: "eu-west-1".parse().unwrap(),
        endpoint: Some(url.to_owned()),
        addressing: Addressing::Path,
    };
    let options = S3Options {
        prefix: "p/".to_owned(),
        blobs: "blobs/".to_owned(),
        records: "wythe/".to_owned(),
        names: vec!["main".to_owned()],
        parallel: 2,
        refresh: Duration::from_hours(24),
    };
    S3Cache::new(Bucket::new(around, chain, bucket), options, timing)
}

fn known() -> (Store, String) {
    let store = Store::default();
    let server = store.clone();
    (store, serve(move |seen| server.answer(seen, Conditions::Held)))
}

fn put(cache: &S3Cache, bytes: &[u8]) -> Digest {
    let open = || Ok(Box::new(bytes) as Box<dyn Read + Send + '_>);
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    cache.put_blob(&CacheBlob { digest, size, media_type: "text/plain", open: &open }).unwrap();
    digest
}

fn key(name: &str) -> CacheKey {
    CacheKey::of(name.as_bytes())
}

#[test]
fn what_one_machine_keeps_another_finds_with_one_request() {
    let (store, url) = known();
    let first = cache_at(&url);
    assert_eq!(first.records(&[key("a")]).unwrap(), [None]);
    let digest = put(&first, b"0123456789");
    first.put_records(&[(key("a"), b"A".to_vec()), (key("b"), b"B".to_vec())]).unwrap();
    first.finish().unwrap();
    // A bundle of one has the bytes of that.
    let blob = format!("PUT p/blobs/{digest}");
    assert_eq!(store.asked(), ["GET p/wythe/main".to_owned(), blob, "PUT p/wythe/main".to_owned()]);

    let second = cache_at(&url);
    let found = second.records(&[key("b"), key("c"), key("a")]).unwrap();
    assert_eq!(found, [Some(b"B".to_vec()), None, Some(b"A".to_vec())]);
    assert_eq!(second.missing(&[digest]).unwrap(), []);
    second.finish().unwrap();
    assert_eq!(store.asked(), ["GET p/wythe/main"]);
    let mut part = String::new();
    second.blob(&digest, 2..5).unwrap().read_to_string(&mut part).unwrap();
    assert_eq!(part, "234");
    assert_eq!(second.blob(&digest, 3..3).unwrap().read_to_string(&mut part).unwrap(), 0);
}

#[test]
fn small_blobs_of_a_build_are_one_object_and_come_with_one_request() {
    let (store, url) = known();
    crate::contract::keep(&cache_at(&url), &[1, 2, 3, 4]);
    let puts = |asked: Vec<String>| asked.iter().filter(|one| one.starts_with("PUT")).count();
    assert_eq!(puts(store.asked()), 2, "a bundle and the name");
    let next = cache_at(&url);
    next.records(&[key("a")]).unwrap();
    for number in 1..=4 {
        let blob = crate::contract::record(number).blob;
        let mut bytes = Vec::new();
        next.blob(&blob.digest, 0..blob.size).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == crate::contract::blob(number), "{number}");
    }
    let asked = store.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // What lies in one that is there is not sent again, and stays found beside what is new.
    crate::contract::keep(&next, &[4, 5]);
    assert_eq!(puts(store.asked()), 2);
    let keys: Vec<CacheKey> = (1..=5_i64).map(|one| CacheKey::of(&one.to_le_bytes())).collect();
    assert!(cache_at(&url).records(&keys).unwrap().iter().all(Option::is_some));
}

#[test]
fn the_contract_of_every_engine_is_kept() {
    let (_store, url) = known();
    crate::contract::check(&|| Box::new(cache_at(&url)));
}

#[test]
fn what_is_damaged_is_mended_by_who_makes_it_again() {
    for conditions in [Conditions::Held, Conditions::Unknown] {
        let store = Store::default();
        let serving = store.clone();
        let url = serve(move |seen| serving.answer(seen, conditions));
        let damage = || {
            let mut objects = store.objects.lock().unwrap();
            let blobs = objects.iter_mut().filter(|(key, _)| key.starts_with("p/blobs/"));
            blobs.for_each(|(_, Object(bytes, _))| *bytes = b"lie".to_vec());
        };
        crate::contract::check_mending(&|| Box::new(cache_at(&url)), &damage);
    }
}

#[test]
fn builds_at_the_same_moment_lose_nothing_of_one_another() {
    for conditions in [Conditions::Held, Conditions::Unknown] {
        let store = Store::default();
        let server = store.clone();
        let url = serve(move |seen| server.answer(seen, conditions));
        let caches: Vec<S3Cache> = (0..5).map(|_| cache_at(&url)).collect();
        for (number, cache) in caches.iter().enumerate() {
            cache.records(&[key("x")]).unwrap();
            cache.put_records(&[(key(&number.to_string()), vec![1])]).unwrap();
        }
        if conditions == Conditions::Held {
            std::thread::scope(|scope| {
                for cache in &caches {
                    scope.spawn(|| cache.finish().unwrap());
                }
            });
        } else {
            // Where nobody holds to conditions, those that write one after the other lose nothing.
            for number in 0..caches.len() {
                let cache = cache_at(&url);
                cache.put_records(&[(key(&number.to_string()), vec![1])]).unwrap();
                cache.finish().unwrap();
            }
        }
        let keys: Vec<CacheKey> = (0..5).map(|number| key(&number.to_string())).collect();
        let found = cache_at(&url).records(&keys).unwrap();
        assert!(found.iter().all(Option::is_some), "{found:?}");
    }
}

#[test]
fn blobs_of_others_are_found_and_old_ones_made_young() {
    let (store, url) = known();
    let (here, old, gone) = (Digest::of(b"here"), Digest::of(b"old"), Digest::of(b"gone"));
    for (digest, bytes, age) in [(here, b"here".to_vec(), YOUNG), (old, b"old".to_vec(), OLD)] {
        store.objects.lock().unwrap().insert(format!("p/blobs/{digest}"), Object(bytes, age));
    }
    let cache = cache_at(&url);
    assert_eq!(cache.missing(&[here, gone, old]).unwrap(), [gone]);
    let touched = format!("PUT p/blobs/{old}");
    assert_eq!(
        store.asked().iter().filter(|asked| asked.starts_with("PUT")).collect::<Vec<_>>(),
        [&touched]
    );
    assert_eq!(cache.missing(&[here, old]).unwrap(), []);
    assert_eq!(store.asked(), Vec::<String>::new());
    let error = cache.blob(&gone, 0..1).err().unwrap();
    assert!(matches!(error.problem, CacheProblem::NotFound { .. }), "{error}");
}

#[test]
fn what_the_bucket_has_lost_is_not_found_any_more_and_kept_again() {
    let (store, url) = known();
    let step = crate::contract::record(1);
    crate::contract::keep(&cache_at(&url), &[1, 2]);
    let keys = [1i64, 2].map(|number| CacheKey::of(&number.to_le_bytes()));
    let found = |cache: &S3Cache| {
        let found = cache.records(&keys).unwrap();
        [found[0].is_some(), found[1].is_some()]
    };
    // Both lie in one.
    store.objects.lock().unwrap().retain(|key, _| !key.starts_with("p/blobs/"));
    let builder = cache_at(&url);
    assert_eq!(found(&builder), [true, true]);
    let problem = builder.blob(&step.blob.digest, 0..1).map(drop).unwrap_err().problem;
    assert!(matches!(problem, CacheProblem::NotFound { .. }), "{problem}");
    assert_eq!(found(&builder), [false, false]);
    crate::contract::keep(&builder, &[1]);
    assert_eq!(found(&cache_at(&url)), [true, false]);
    assert!(cache_at(&url).blob(&step.blob.digest, 0..1).is_ok());
}

#[test]
fn an_object_of_another_form_is_as_none_and_written_over() {
    let (store, url) = known();
    let name = "p/wythe/main".to_owned();
    store.objects.lock().unwrap().insert(name, Object(b"something else".to_vec(), YOUNG));
    let cache = cache_at(&url);
    assert_eq!(cache.records(&[key("a")]).unwrap(), [None]);
    cache.put_records(&[(key("a"), b"A".to_vec())]).unwrap();
    cache.finish().unwrap();
    assert_eq!(cache_at(&url).records(&[key("a")]).unwrap(), [Some(b"A".to_vec())]);
}

#[test]
fn a_refusal_is_told_without_a_secret() {
    let url = serve(|_| {
        let text = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        Answer { status: 403, ..Answer::bytes(text.as_bytes().to_vec()) }
    });
    let error = cache_at(&url).records(&[key("a")]).unwrap_err();
    assert!(matches!(error.problem, CacheProblem::Unauthorized { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hush"));
}
