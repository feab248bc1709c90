//! Jobs against a double of the service.

mod double;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::settings::Settings;

use self::double::{Double, Knobs};
use super::*;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    V1,
    V2,
}

const KINDS: [Kind; 2] = [Kind::V1, Kind::V2];

/// The cache as a new job sees it, and its clock.
fn job_with(double: &Double, kind: Kind, token: &str) -> (GhaCache, Arc<InstantTiming>) {
    job_in(double, kind, (token, GhaMode::default()))
}

/// The same of one whose runner says what it may do.
fn job_in(
    double: &Double,
    kind: Kind,
    (token, mode): (&str, GhaMode),
) -> (GhaCache, Arc<InstantTiming>) {
    let timing = Arc::new(InstantTiming::default());
    let client = Client::new(Settings { timing: timing.clone(), ..Settings::default() });
    let service = match kind {
        Kind::V1 => GhaService::V1(format!("{}/", double.url)),
        Kind::V2 => GhaService::V2(double.url.clone()),
    };
    let (token, scope) = (token.to_owned(), "app".to_owned());
    let options = GhaOptions { service, token, mode, scope, budget: GHA_BUDGET };
    (GhaCache::new(client, timing.clone(), options), timing)
}

fn job(double: &Double, kind: Kind) -> GhaCache {
    job_with(double, kind, "token").0
}

fn key(text: &str) -> CacheKey {
    CacheKey::of(text.as_bytes())
}

fn put(cache: &GhaCache, bytes: &[u8]) -> Result<(), CacheError> {
    let open = || Ok(Box::new(bytes) as Box<dyn Read + Send>);
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    cache.put_blob(&CacheBlob { digest, size, media_type: "x/y", open: &open })
}

fn keep(cache: &GhaCache, name: &str) {
    cache.put_records(&[(key(name), name.as_bytes().to_vec())]).unwrap();
}

fn read(cache: &GhaCache, bytes: &[u8], range: Range<u64>) -> Vec<u8> {
    let mut found = Vec::new();
    cache.blob(&Digest::of(bytes), range).unwrap().read_to_end(&mut found).unwrap();
    found
}

fn found(cache: &GhaCache, names: &[&str]) -> Vec<String> {
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let records = cache.records(&keys).unwrap();
    records.into_iter().flatten().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

/// Bytes that are not alike, more than two parts.
fn long() -> Vec<u8> {
    (0..17_u32 << 18).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

#[test]
fn what_one_job_wrote_the_next_one_reads_by_ranges_and_one_entry_was_made() {
    for kind in KINDS {
        let (double, long) = (Double::start(), long());
        let first = job(&double, kind);
        assert_eq!(found(&first, &["a"]), [""; 0]);
        assert_eq!(first.missing(&[Digest::of(b"small")]).unwrap().len(), 1);
        for bytes in [b"small", &long[..], b"", b"more"] {
            put(&first, bytes).unwrap();
            put(&first, bytes).unwrap();
        }
        keep(&first, "a");
        keep(&first, "b");
        first.finish().unwrap();
        assert_eq!(double.state().entries.len(), 1, "{kind:?}");
        let before = double.state().seen.len();
        let second = job(&double, kind);
        assert_eq!(found(&second, &["a", "none", "b"]), ["a", "b"]);
        let blobs = [b"small", &long[..], b"", b"none"].map(Digest::of);
        assert_eq!(second.missing(&blobs).unwrap(), [blobs[3]]);
        // One look-up, and the index: at the beginning, or behind everything.
        let asked = double.state().seen.len() - before;
        assert!(asked <= if kind == Kind::V2 { 2 } else { 4 }, "{kind:?}: {asked}");
        assert_eq!(read(&second, b"small", 1..4), b"mal");
        assert_eq!(read(&second, b"", 0..0), b"");
        assert_eq!(read(&second, b"more", 0..9), b"more");
        assert!(read(&second, &long, 0..long.len() as u64) == long, "{kind:?}");
        assert!(read(&second, &long, 9_000_000..9_000_010) == long[9_000_000..9_000_010]);
    }
}

#[test]
fn a_job_that_adds_nothing_writes_nothing() {
    let double = Double::start();
    let first = job(&double, Kind::V2);
    found(&first, &["a"]);
    first.finish().unwrap();
    assert_eq!(double.count("CreateCacheEntry"), 0);
}

#[test]
fn packs_are_additive() {
    for kind in KINDS {
        let double = Double::start();
        for name in ["a", "b", "c"] {
            let next = job(&double, kind);
            put(&next, name.as_bytes()).unwrap();
            keep(&next, name);
            next.finish().unwrap();
        }
        let last = job(&double, kind);
        assert_eq!(found(&last, &["a", "b", "c"]), ["a", "b", "c"]);
        for name in [b"a", b"b", b"c"] {
            assert_eq!(read(&last, name, 0..1), name);
        }
    }
}

#[test]
fn jobs_at_the_same_time_lose_nothing_in_whichever_order_they_end() {
    for kind in KINDS {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let double = Double::start();
            let names = ["a", "b", "c"];
            let jobs = names.map(|name| {
                let job = job(&double, kind);
                put(&job, name.as_bytes()).unwrap();
                keep(&job, name);
                job
            });
            for number in order {
                jobs[number].finish().unwrap();
            }
            let last = job(&double, kind);
            assert_eq!(found(&last, &names), names);
            keep(&last, "d");
            last.finish().unwrap();
            assert_eq!(found(&job(&double, kind), &["a", "b", "c", "d"]).len(), 4);
        }
    }
}

#[test]
fn a_record_whose_pack_or_whose_blobs_pack_is_gone_is_none() {
    let double = Double::start();
    let first = job(&double, Kind::V2);
    put(&first, b"base").unwrap();
    keep(&first, "base");
    first.finish().unwrap();
    let second = job(&double, Kind::V2);
    assert_eq!(second.missing(&[Digest::of(b"base")]).unwrap(), []);
    keep(&second, "on it");
    second.finish().unwrap();
    assert_eq!(found(&job(&double, Kind::V2), &["base", "on it"]), ["base", "on it"]);
    double.state().entries[0].ended = false;
    let third = job(&double, Kind::V2);
    assert_eq!(found(&third, &["base", "on it"]), [""; 0]);
    assert_eq!(third.missing(&[Digest::of(b"base")]).unwrap().len(), 1);
}

#[test]
fn a_newest_pack_that_is_broken_hides_none_before_it() {
    let double = Double::start();
    for name in ["a", "b"] {
        let next = job(&double, Kind::V2);
        keep(&next, name);
        next.finish().unwrap();
    }
    double.state().entries[1].bytes.truncate(70);
    let third = job(&double, Kind::V2);
    assert_eq!(found(&third, &["a", "b"]), ["a"]);
    keep(&third, "c");
    third.finish().unwrap();
    assert_eq!(found(&job(&double, Kind::V2), &["a", "b", "c"]), ["a", "c"]);
}

#[test]
fn an_address_that_is_no_longer_good_is_asked_for_anew() {
    let (double, long) = (Double::start(), long());
    let first = job(&double, Kind::V2);
    put(&first, &long).unwrap();
    first.finish().unwrap();
    double.state().knobs = Knobs { uses: Some(1), ..Knobs::default() };
    let second = job(&double, Kind::V2);
    assert!(read(&second, &long, 0..long.len() as u64) == long);
    assert!(double.count("GetCacheEntryDownloadURL") > 2);
}

#[test]
fn too_many_requests_is_final() {
    for kind in KINDS {
        let double = Double::start();
        double.state().knobs = Knobs { refuses_entries: Some(429), ..Knobs::default() };
        let (cache, timing) = job_with(&double, kind, "token");
        let limited = |result: Result<(), CacheError>| {
            matches!(result.unwrap_err().problem, CacheProblem::RateLimited { .. })
        };
        assert!(limited(put(&cache, b"a")));
        let asked = double.state().seen.len();
        assert!(limited(put(&cache, b"b")));
        assert!(limited(cache.records(&[key("a")]).map(drop)));
        assert_eq!(double.state().seen.len(), asked);
        assert!(timing.slept().is_empty());
    }
}

#[test]
fn blobs_that_are_put_at_once_are_refused_once() {
    for kind in KINDS {
        let double = Double::start();
        double.state().knobs = Knobs { refuses_entries: Some(429), ..Knobs::default() };
        let cache = job(&double, kind);
        cache.records(&[key("a")]).unwrap();
        let asked = double.state().seen.len();
        std::thread::scope(|scope| {
            for bytes in [b"a", b"b", b"c", b"d"] {
                scope.spawn(|| put(&cache, bytes).unwrap_err());
            }
        });
        assert_eq!(double.state().seen.len(), asked + 1, "{kind:?}");
    }
}

#[test]
fn a_token_that_may_only_read_writes_nothing() {
    let double = Double::start();
    let claims = r#"{"ac":"[{\"Scope\":\"refs/heads/main\",\"Permission\":1}]"}"#;
    let token = format!("e30.{}.s", URL_SAFE_NO_PAD.encode(claims));
    let (cache, _) = job_with(&double, Kind::V2, &token);
    assert_eq!(found(&cache, &["a"]), [""; 0]);
    let refused = |result: Result<(), CacheError>| {
        matches!(result.unwrap_err().problem, CacheProblem::Unauthorized { .. })
    };
    assert!(refused(put(&cache, b"a")));
    assert!(refused(cache.put_records(&[(key("a"), Vec::new())])));
    cache.finish().unwrap();
    assert_eq!(double.count("CreateCacheEntry"), 0);
}

#[test]
fn a_job_does_what_the_mode_of_its_cache_allows() {
    let refused = |error: CacheError| matches!(error.problem, CacheProblem::Unauthorized { .. });
    for kind in KINDS {
        let double = Double::start();
        let first = job(&double, kind);
        put(&first, b"a").unwrap();
        keep(&first, "a");
        first.finish().unwrap();
        let reader = job_in(&double, kind, ("token", GhaMode::Read)).0;
        assert_eq!(
            (found(&reader, &["a"]), read(&reader, b"a", 0..1)),
            (vec!["a".to_owned()], b"a".to_vec())
        );
        let asked = double.state().seen.len();
        assert!(refused(put(&reader, b"b").unwrap_err()), "{kind:?}");
        assert!(refused(reader.put_records(&[(key("b"), Vec::new())]).unwrap_err()));
        reader.finish().unwrap();
        for mode in [GhaMode::Neither, GhaMode::WriteOnly] {
            let cache = job_in(&double, kind, ("token", mode)).0;
            assert!(refused(cache.records(&[key("a")]).unwrap_err()), "{mode}");
            assert!(refused(cache.missing(&[Digest::of(b"a")]).unwrap_err()), "{mode}");
            assert!(refused(put(&cache, b"b").unwrap_err()), "{mode}");
            assert!(refused(cache.put_records(&[(key("b"), Vec::new())]).unwrap_err()), "{mode}");
            cache.finish().unwrap();
        }
        assert_eq!(double.state().seen.len(), asked, "{kind:?}");
    }
}

#[test]
fn a_build_that_takes_long_makes_three_entries_at_most() {
    let double = Double::start();
    let (cache, timing) = job_with(&double, Kind::V2, "token");
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    for name in &names {
        put(&cache, name.as_bytes()).unwrap();
        keep(&cache, name);
        timing.sleep(Duration::from_mins(15));
    }
    cache.finish().unwrap();
    assert_eq!(double.state().entries.len(), 3);
    let next = job(&double, Kind::V2);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(found(&next, &names), names);
    for name in names {
        assert_eq!(read(&next, name.as_bytes(), 0..1), name.as_bytes());
    }
}

#[test]
fn a_blob_that_cannot_be_read_spoils_no_other() {
    for kind in KINDS {
        let (double, long) = (Double::start(), long());
        let cache = job(&double, kind);
        put(&cache, b"before").unwrap();
        let open = || Ok(Box::new(&long[..9_000_000]) as Box<dyn Read + Send>);
        let (digest, size) = (Digest::of(&long), long.len() as u64);
        let short = CacheBlob { digest, size, media_type: "x/y", open: &open };
        let error = cache.put_blob(&short).unwrap_err();
        assert!(matches!(error.problem, CacheProblem::Io(_)), "{error}");
        put(&cache, b"after").unwrap();
        cache.finish().unwrap();
        let next = job(&double, kind);
        assert_eq!(next.missing(&[digest]).unwrap(), [digest]);
        assert_eq!(read(&next, b"before", 0..6), b"before");
        assert_eq!(read(&next, b"after", 0..5), b"after");
    }
}

#[test]
fn an_index_that_was_changed_is_not_believed() {
    let double = Double::start();
    let first = job(&double, Kind::V2);
    keep(&first, "a");
    first.finish().unwrap();
    double.state().knobs = Knobs { corrupts: 1, ..Knobs::default() };
    assert_eq!(found(&job(&double, Kind::V2), &["a"]), [""; 0]);
}

#[test]
fn a_service_that_does_not_answer_costs_its_time_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut double = Double::start();
    double.url = url;
    let (cache, timing) = job_with(&double, Kind::V2, "token");
    assert!(cache.records(&[key("a")]).is_err());
    let slept = timing.slept().len();
    assert!(cache.records(&[key("a")]).is_err() && put(&cache, b"x").is_err());
    assert_eq!(timing.slept().len(), slept);
}

#[test]
fn the_cache_of_github_keeps_to_what_caches_promise() {
    for kind in KINDS {
        let double = Double::start();
        crate::contract::check(&|| Box::new(job(&double, kind)));
    }
}

#[test]
fn what_is_damaged_is_mended_by_who_makes_it_again() {
    for kind in KINDS {
        let double = Double::start();
        let damage = || {
            let needle = b"the layer of";
            for entry in &mut double.state().entries {
                let at = entry.bytes.windows(needle.len()).position(|part| part == needle);
                entry.bytes[at.expect("a pack has the blob as it is")] ^= 1;
            }
        };
        crate::contract::check_mending(&|| Box::new(job(&double, kind)), &damage);
    }
}
