//! Against servers with the manners of those that people have.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::settings::Settings;
use wythe_store::cache_backend::CacheProblem;

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
            ("PUT", _) => {
                self.files.insert(path, seen.body.clone());
                Answer::status(201)
            }
            _ => match self.files.get(&path) {
                None => Answer::status(404),
                Some(bytes) if self.ignores_ranges => Answer::bytes(bytes.clone()),
                Some(bytes) => {
                    let mut answer = Answer::part_of(bytes, seen);
                    if self.cuts > 0 && answer.body.len() > 1 {
                        self.cuts -= 1;
                        answer.cut = Some(answer.body.len() / 2);
                    }
                    answer
                }
            },
        }
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
    let cache = cache(&format!("{url}/team"), HttpAccess::Anonymous);
    let (key, blob) = (CacheKey::of(b"k"), Digest::of(b"bytes"));
    assert_eq!(cache.records(&[key]).unwrap(), [None]);
    assert_eq!(cache.missing(&[blob]).unwrap(), [blob]);
    put(&cache, b"bytes").unwrap();
    cache.put_records(&[(key, b"record".to_vec())]).unwrap();
    cache.finish().unwrap();
    assert_eq!(
        cache.records(&[key, CacheKey::of(b"x")]).unwrap(),
        [Some(b"record".to_vec()), None]
    );
    assert_eq!(cache.missing(&[blob]).unwrap(), []);
    assert_eq!(read(&cache, b"bytes", 1..3), b"yt");
    assert_eq!(read(&cache, b"bytes", 0..0), b"");
    let shelf = shelf.lock().unwrap();
    let paths: Vec<_> = shelf.files.keys().cloned().collect();
    assert_eq!(paths, [format!("/team/ac/{key}"), format!("/team/cas/{}", blob.hex())]);
}

#[test]
fn collections_that_are_missing_are_made_once() {
    let (url, shelf) = start(Shelf { collections: Some(Vec::new()), ..Shelf::default() });
    let cache = cache(&format!("{url}/a/b/"), HttpAccess::Anonymous);
    put(&cache, b"one").unwrap();
    put(&cache, b"two").unwrap();
    cache.put_records(&[(CacheKey::of(b"k"), Vec::new())]).unwrap();
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
    let shown: Vec<_> = shelf.seen.iter().map(|seen| &*seen.headers["authorization"]).collect();
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
    shelf.lock().unwrap().busy = 9;
    let problem = cache.missing(&[Digest::of(b"")]).unwrap_err().problem;
    assert!(matches!(problem, CacheProblem::Network { .. }), "{problem}");
}

#[test]
fn refusals_are_told_apart() {
    let kind = |status: u16| {
        let url = serve(move |_| Answer::status(status));
        put(&cache(&url, HttpAccess::Anonymous), b"x").unwrap_err().problem
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
    put(&cache(&end, HttpAccess::Anonymous), b"bytes").unwrap();
    let cache = cache(&start, HttpAccess::Bearer("tok".to_owned()));
    assert_eq!(read(&cache, b"bytes", 0..5), b"bytes");
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
    let (url, _) = start(Shelf::default());
    crate::contract::check(&|| Box::new(cache(&url, HttpAccess::Anonymous)));
}
