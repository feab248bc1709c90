//! Against servers with the manners of those that people have.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::settings::Settings;
use wythe_store::cache_backend::CacheProblem;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_action::PortableAction;

use super::*;
use crate::fake_web::{Answer, Seen, serve};

/// What a server has, and what it was asked.
#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
    /// Paths of collections, where there have to be some.
    collections: Option<Vec<String>>,
    seen: Vec<Seen>,
    ignores_ranges: bool,
    /// How many answers break off in the middle.
    cuts: u32,
    /// How many requests are answered 503 before any is served.
    busy: u32,
    manners: Manners,
    /// How often each path was written, which is what its tag says.
    states: BTreeMap<String, u32>,
    /// What somebody else writes right after the next write, over it.
    intruder: Option<(String, Vec<u8>)>,
}

/// What a server makes of a second write to the same place.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Manners {
    /// It says nothing of states, and writes.
    #[default]
    Plain,
    /// It says which state it has, and heeds conditions.
    Heeding,
    /// It says which state it has, and writes whatever the condition is.
    Ignoring,
    /// It lets nothing be written twice.
    Frozen,
}

impl Shelf {
    fn answer(&mut self, seen: &Seen) -> Answer {
        self.seen.push(seen.clone());
        if self.busy > 0 {
            self.busy -= 1;
            return Answer::status(503);
        }
        let path = seen.target.clone();
        let above = path.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
        let lies = |all: &Vec<String>| above.is_empty() || all.contains(&format!("{above}/"));
        match (&*seen.method, &mut self.collections) {
            ("MKCOL", None) => Answer::status(405),
            ("MKCOL", Some(all)) if all.contains(&path) => Answer::status(405),
            ("MKCOL" | "PUT", Some(all)) if !lies(all) => Answer::status(409),
            ("MKCOL", Some(all)) => {
                all.push(path);
                Answer::status(201)
            }
            ("PUT", _) => self.write(path, seen),
            _ => match self.files.get(&path) {
                None => Answer::status(404),
                Some(bytes) if self.ignores_ranges => Answer::bytes(bytes.clone()),
                Some(bytes) => {
                    let mut answer = Answer::part_of(bytes, seen);
                    if self.cuts > 0 && answer.body.len() > 1 {
                        self.cuts -= 1;
                        answer.cut = Some(answer.body.len() / 2);
                    }
                    let states = self.manners != Manners::Plain;
                    if states { answer.with("ETag", &self.tag(&path)) } else { answer }
                }
            },
        }
    }

    fn tag(&self, path: &str) -> String {
        format!("\"{}\"", self.states.get(path).copied().unwrap_or_default())
    }

    fn write(&mut self, path: String, seen: &Seen) -> Answer {
        let is_there = self.files.contains_key(&path);
        let is_refused = match self.manners {
            Manners::Plain | Manners::Ignoring => false,
            Manners::Frozen => is_there,
            Manners::Heeding => {
                let other = |tag: &String| !is_there || *tag != self.tag(&path);
                let exists = is_there && seen.headers.contains_key("if-none-match");
                exists || seen.headers.get("if-match").is_some_and(other)
            }
        };
        if is_refused {
            return Answer::status(412);
        }
        self.files.insert(path.clone(), seen.body.clone());
        *self.states.entry(path.clone()).or_default() += 1;
        if let Some((_, theirs)) = self.intruder.take_if(|(at, _)| *at == path) {
            *self.states.entry(path.clone()).or_default() += 1;
            self.files.insert(path, theirs);
        }
        Answer::status(201)
    }

    /// What it was asked since this was said last.
    fn asked(&mut self) -> Vec<String> {
        let seen = std::mem::take(&mut self.seen);
        seen.iter().map(|seen| format!("{} {}", seen.method, &seen.target[..4])).collect()
    }
}

fn start(shelf: Shelf) -> (String, Arc<Mutex<Shelf>>) {
    let shelf = Arc::new(Mutex::new(shelf));
    let serving = shelf.clone();
    (serve(move |seen| serving.lock().unwrap().answer(seen)), shelf)
}

fn cache(url: &str, access: HttpAccess) -> HttpCache {
    let timing = Arc::new(InstantTiming::default());
    let client = Client::new(Settings { timing: timing.clone(), ..Settings::default() });
    HttpCache::new(client, timing, HttpOptions { url: url.to_owned(), scope: None, access })
        .unwrap()
}

fn put(cache: &HttpCache, bytes: &[u8]) -> Result<(), CacheError> {
    let open = || Ok(Box::new(bytes) as Box<dyn Read + Send>);
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    cache.put_blob(&CacheBlob { digest, size, media_type: "x/y", open: &open })
}

fn read(cache: &HttpCache, bytes: &[u8], range: Range<u64>) -> Vec<u8> {
    let mut found = Vec::new();
    cache.blob(&Digest::of(bytes), range).unwrap().read_to_end(&mut found).unwrap();
    found
}

#[test]
fn what_was_put_is_there_under_the_paths_of_bazel() {
    let (url, shelf) = start(Shelf::default());
    let open = || cache(&format!("{url}/team"), HttpAccess::Anonymous);
    let long: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let (writer, blob, apart) = (open(), Digest::of(b"bytes"), Digest::of(&long));
    let key = CacheKey::of(b"k");
    assert_eq!(writer.records(&[key]).unwrap(), [None]);
    assert_eq!(writer.missing(&[blob, apart]).unwrap(), [blob, apart]);
    put(&writer, b"bytes").unwrap();
    put(&writer, &long).unwrap();
    writer.put_records(&[(key, record_of(b"bytes"))]).unwrap();
    writer.finish().unwrap();
    let reader = open();
    let found = reader.records(&[key, CacheKey::of(b"x")]).unwrap();
    let decoded = |found: &Option<Vec<u8>>| PortableAction::decode(found.as_deref()?);
    let own = PortableAction::decode(&record_of(b"bytes"));
    assert_eq!(found.iter().map(decoded).collect::<Vec<_>>(), [own, None]);
    assert_eq!(reader.missing(&[blob, apart]).unwrap(), []);
    assert_eq!(read(&reader, b"bytes", 1..3), b"yt");
    assert_eq!(read(&reader, b"bytes", 0..0), b"");
    assert!(read(&reader, &long, 0..400_000) == long);
    let shelf = shelf.lock().unwrap();
    let mut paths: Vec<_> = shelf.files.keys().cloned().collect();
    paths.retain(|path| !path.starts_with("/team/ac/"));
    // What is small lies in one with all that is.
    assert_eq!(paths.len(), 2);
    assert!(paths.contains(&format!("/team/cas/{}", apart.hex())));
    assert_eq!(shelf.files.len(), 3);
}

/// The record of a step whose layer has these bytes.
fn record_of(bytes: &[u8]) -> Vec<u8> {
    let mut record = crate::contract::record(1);
    record.blob = Descriptor::of(MediaType::LAYER_GZIP, bytes);
    record.encode()
}

#[test]
fn however_many_steps_there_are_a_cache_is_read_with_one_request_and_written_with_five() {
    for manners in [Manners::Plain, Manners::Heeding, Manners::Ignoring] {
        let (url, shelf) = start(Shelf { manners, ..Shelf::default() });
        let open = || cache(&url, HttpAccess::Anonymous);
        let steps = |of: &HttpCache, numbers: std::ops::Range<u8>| {
            for number in numbers.clone() {
                put(of, &[number; 99]).unwrap();
            }
            let records: Vec<_> =
                numbers.map(|number| (CacheKey::of(&[number]), record_of(&[number; 99]))).collect();
            of.put_records(&records).unwrap();
            of.finish().unwrap();
        };
        for numbers in [0..30, 30..60] {
            let writer = open();
            writer.records(&[CacheKey::of(b"k")]).unwrap();
            steps(&writer, numbers.clone());
            let asked = shelf.lock().unwrap().asked();
            let looked_for_loose = usize::from(numbers.start > 0);
            assert_eq!(asked.len(), 5 + looked_for_loose, "{asked:?}");
        }
        let reader = open();
        let keys: Vec<_> = (0..60_u8).map(|number| CacheKey::of(&[number])).collect();
        assert!(reader.records(&keys).unwrap().iter().all(Option::is_some));
        assert_eq!(shelf.lock().unwrap().asked(), ["GET /ac/"]);
        for number in 0..30_u8 {
            assert_eq!(read(&reader, &[number; 99], 0..99), [number; 99]);
        }
        assert_eq!(shelf.lock().unwrap().asked(), ["GET /cas"]);
    }
}

#[test]
fn who_is_written_over_notices_and_what_both_made_is_found() {
    for manners in [Manners::Plain, Manners::Ignoring, Manners::Heeding] {
        let (url, shelf) = start(Shelf { manners, ..Shelf::default() });
        let open = || cache(&url, HttpAccess::Anonymous);
        let keep = |of: &HttpCache, name: &[u8]| {
            put(of, name).unwrap();
            of.put_records(&[(CacheKey::of(name), record_of(name))]).unwrap();
            of.finish().unwrap();
        };
        keep(&open(), b"theirs");
        // Somebody who has read nothing of what comes now writes right after it.
        let (path, theirs) = {
            let shelf = shelf.lock().unwrap();
            let index = shelf.files.iter().find(|(path, _)| path.starts_with("/ac/")).unwrap();
            (index.0.clone(), index.1.clone())
        };
        if manners != Manners::Heeding {
            shelf.lock().unwrap().intruder = Some((path, theirs));
        }
        keep(&open(), b"own");
        let found = open().records(&[b"own".as_slice(), b"theirs"].map(CacheKey::of)).unwrap();
        assert!(found.iter().all(Option::is_some));
    }
}

#[test]
fn where_nothing_can_be_written_twice_records_lie_apart_from_the_index() {
    let (url, _) = start(Shelf { manners: Manners::Frozen, ..Shelf::default() });
    let open = || cache(&url, HttpAccess::Anonymous);
    for name in [b"one", b"two", b"six"] {
        let writer = open();
        put(&writer, name).unwrap();
        writer.put_records(&[(CacheKey::of(name), record_of(name))]).unwrap();
        writer.finish().unwrap();
    }
    let reader = open();
    let found = reader.records(&[b"one", b"two", b"six"].map(|name| CacheKey::of(name))).unwrap();
    assert!(found.iter().all(Option::is_some));
    assert_eq!(read(&reader, b"six", 0..3), b"six");
    assert_eq!(read(&reader, b"one", 0..3), b"one");
}

#[test]
fn what_the_server_has_lost_is_not_found_any_more_and_kept_again() {
    let (url, shelf) = start(Shelf::default());
    let open = || cache(&url, HttpAccess::Anonymous);
    let key = CacheKey::of(b"k");
    let keep = |of: &HttpCache| {
        put(of, b"bytes").unwrap();
        of.put_records(&[(key, record_of(b"bytes"))]).unwrap();
        of.finish().unwrap();
    };
    keep(&open());
    shelf.lock().unwrap().files.retain(|path, _| path.starts_with("/ac/"));
    let builder = open();
    assert!(builder.records(&[key]).unwrap()[0].is_some());
    let problem = builder.blob(&Digest::of(b"bytes"), 0..5).map(drop).unwrap_err().problem;
    assert!(matches!(problem, CacheProblem::NotFound { .. }), "{problem}");
    assert_eq!(builder.records(&[key]).unwrap(), [None]);
    keep(&builder);
    let reader = open();
    assert!(reader.records(&[key]).unwrap()[0].is_some());
    assert_eq!(read(&reader, b"bytes", 0..5), b"bytes");
}

#[test]
fn collections_that_are_missing_are_made_once() {
    let (url, shelf) = start(Shelf { collections: Some(Vec::new()), ..Shelf::default() });
    let cache = cache(&format!("{url}/a/b/"), HttpAccess::Anonymous);
    let long: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    put(&cache, &long).unwrap();
    put(&cache, b"two").unwrap();
    cache.put_records(&[(CacheKey::of(b"k"), record_of(b"two"))]).unwrap();
    cache.finish().unwrap();
    let shelf = shelf.lock().unwrap();
    assert_eq!(shelf.collections.as_deref().unwrap(), ["/a/", "/a/b/", "/a/b/cas/", "/a/b/ac/"]);
    assert_eq!(shelf.files.len(), 3);
}

#[test]
fn who_asks_is_shown_and_kept_out_of_names() {
    let (url, shelf) = start(Shelf::default());
    let address = url.replace("http://", "http://us%40r:p%3Aw@");
    for (url, access) in [
        (&*address, HttpAccess::Anonymous),
        (&url, HttpAccess::Basic { user: "us@r".to_owned(), password: "p:w".to_owned() }),
        (&url, HttpAccess::Bearer("tok".to_owned())),
    ] {
        let cache = cache(url, access);
        assert!(!cache.name().contains("p%3Aw") && !format!("{cache:?}").contains("p:w"));
        cache.missing(&[Digest::of(b"")]).unwrap();
    }
    let shelf = shelf.lock().unwrap();
    let shown = shelf.seen.iter().map(|seen| &*seen.headers["authorization"]);
    let mut shown: Vec<_> = shown.collect();
    // Each asks for the index and for the blob.
    shown = shown.chunks(2).map(|two| if two[0] == two[1] { two[0] } else { "" }).collect();
    assert_eq!(shown, ["Basic dXNAcjpwOnc=", "Basic dXNAcjpwOnc=", "Bearer tok"]);
}

#[test]
fn a_reader_goes_on_where_a_connection_broke_and_where_ranges_are_ignored() {
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    for (ignores_ranges, cuts) in [(false, 0), (true, 0), (false, 12)] {
        let (url, _) = start(Shelf { ignores_ranges, cuts, ..Shelf::default() });
        let cache = cache(&url, HttpAccess::Anonymous);
        put(&cache, &bytes).unwrap();
        assert!(read(&cache, &bytes, 0..400_000) == bytes, "{ignores_ranges} {cuts}");
        assert!(read(&cache, &bytes, 399_990..400_000) == bytes[399_990..]);
    }
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_told() {
    let (url, shelf) = start(Shelf { busy: 2, ..Shelf::default() });
    let cache = cache(&url, HttpAccess::Anonymous);
    put(&cache, b"x").unwrap();
    cache.put_records(&[(CacheKey::of(b"k"), record_of(b"x"))]).unwrap();
    cache.finish().unwrap();
    shelf.lock().unwrap().busy = 9;
    let problem = cache.missing(&[Digest::of(b"")]).unwrap_err().problem;
    assert!(matches!(problem, CacheProblem::Network { .. }), "{problem}");
}

#[test]
fn refusals_are_told_apart() {
    let kind = |status: u16| {
        let url = serve(move |_| Answer::status(status));
        put(&cache(&url, HttpAccess::Anonymous), &vec![7; 300_000]).unwrap_err().problem
    };
    assert!(matches!(kind(401), CacheProblem::Unauthorized { .. }));
    assert!(matches!(kind(403), CacheProblem::Unauthorized { .. }));
    assert!(matches!(kind(507), CacheProblem::Full { .. }));
    assert!(matches!(kind(429), CacheProblem::RateLimited { .. }));
    assert!(matches!(kind(405), CacheProblem::Protocol { .. }));
}

#[test]
fn a_redirect_is_followed_and_another_server_is_not_shown_who_asks() {
    let (end, shelf) = start(Shelf::default());
    let to = end.clone();
    let start =
        serve(move |seen| Answer::status(307).with("Location", &format!("{to}{}", seen.target)));
    let bytes = vec![7; 300_000];
    put(&cache(&end, HttpAccess::Anonymous), &bytes).unwrap();
    let cache = cache(&start, HttpAccess::Bearer("tok".to_owned()));
    assert_eq!(read(&cache, &bytes, 0..5), bytes[..5]);
    let last = shelf.lock().unwrap().seen.pop().unwrap();
    assert!(!last.headers.contains_key("authorization"));
}

#[test]
fn addresses_that_can_hold_nothing_are_refused() {
    let timing = Arc::new(InstantTiming::default());
    let refused = |url: &str| {
        let client = Client::new(Settings::default());
        let options =
            HttpOptions { url: url.to_owned(), scope: None, access: HttpAccess::Anonymous };
        HttpCache::new(client, timing.clone(), options).unwrap_err()
    };
    assert_eq!(refused("https://h/?x"), HttpAddressError::Query);
    assert!(matches!(refused("ftp://h/"), HttpAddressError::Scheme { .. }));
    assert!(matches!(refused("cache.example/x"), HttpAddressError::Url(_)));
}

#[test]
fn a_web_server_keeps_to_what_caches_promise() {
    for manners in [Manners::Plain, Manners::Heeding, Manners::Ignoring] {
        let (url, _) = start(Shelf { manners, ..Shelf::default() });
        crate::contract::check(&|| Box::new(cache(&url, HttpAccess::Anonymous)));
    }
}

#[test]
fn what_is_damaged_is_mended_by_who_makes_it_again() {
    let long = vec![b'x'; 25_000];
    for lie in [&b"lie"[..], b"", &long] {
        let (url, shelf) = start(Shelf::default());
        let damage = || {
            let mut shelf = shelf.lock().unwrap();
            let blobs = shelf.files.iter_mut().filter(|(path, _)| path.starts_with("/cas/"));
            blobs.for_each(|(_, bytes)| *bytes = lie.to_vec());
        };
        let open = || Box::new(cache(&url, HttpAccess::Anonymous)) as Box<dyn CacheBackend>;
        crate::contract::check_mending(&open, &damage);
    }
}
