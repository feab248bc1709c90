//! The cache against a server in this process.

mod double;

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use rustls::RootCertStore;
use wythe_cache::contract::{blob, check, check_loss, check_mending, keep, record};
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_action::PortableAction;

use self::double::{Shelf, start};
use crate::{ReapiCache, ReapiOptions};

fn open(url: &str, scope: Option<&str>) -> ReapiCache {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let tls = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let (token, scope) = (Some("tok".to_owned()), scope.map(str::to_owned));
    let address = url.parse().unwrap();
    ReapiCache::new(ReapiOptions { address, token, scope, tls: Arc::new(tls), nonce: 7 }).unwrap()
}

fn server() -> (String, Arc<Mutex<Shelf>>) {
    let shelf = Arc::default();
    (start(&shelf), shelf)
}

#[test]
fn it_keeps_to_the_contract() {
    let (url, _) = server();
    check(&|| Box::new(open(&url, None)));
}

#[test]
fn what_is_damaged_is_mended_by_who_makes_it_again() {
    let (url, shelf) = server();
    let damage = || shelf.lock().unwrap().blobs.values_mut().for_each(|bytes| bytes[7] ^= 1);
    check_mending(&|| Box::new(open(&url, None)), &damage);
}

#[test]
fn what_the_server_has_lost_is_kept_again_by_who_makes_it_again() {
    let (url, shelf) = server();
    check_loss(&|| Box::new(open(&url, None)), &|| shelf.lock().unwrap().blobs.clear());
}

#[test]
fn scopes_have_records_of_their_own_and_blobs_in_common() {
    let (url, shelf) = server();
    keep(&open(&url, Some("main")), &[1]);
    let key = CacheKey::of(&1i64.to_le_bytes());
    let known = |scope| open(&url, scope).records(&[key]).unwrap()[0].is_some();
    assert!(known(Some("main")) && !known(Some("x")) && !known(None));
    keep(&open(&url, Some("x")), &[1]);
    assert_eq!(shelf.lock().unwrap().blobs.len(), 1);
}

#[test]
fn a_long_blob_comes_and_goes_in_pieces() {
    let (url, shelf) = server();
    let bytes: Vec<u8> = (0..800_000_u32).flat_map(u32::to_le_bytes).collect();
    // What is compressed as it is comes as it is, and else it is compressed on the way.
    for media_type in [MediaType::LAYER_GZIP, MediaType::LAYER] {
        shelf.lock().unwrap().blobs.clear();
        let (cache, blob) = (open(&url, None), Descriptor::of(media_type, &bytes));
        let open_blob = || Ok(Box::new(&*bytes) as Box<dyn std::io::Read + Send>);
        let media_type = blob.media_type.as_str();
        let (digest, size) = (blob.digest, blob.size);
        cache.put_blob(&CacheBlob { digest, size, media_type, open: &open_blob }).unwrap();
        let record = PortableAction { blob: blob.clone(), ..record(1) };
        let key = CacheKey::of(b"long");
        cache.put_records(&[(key, record.encode())]).unwrap();
        cache.finish().unwrap();
        assert!(*shelf.lock().unwrap().blobs.values().next().unwrap() == bytes);
        let next = open(&url, None);
        next.records(&[key]).unwrap();
        for range in [0..size, 1_000_000..1_000_007, 5..5] {
            let mut read = Vec::new();
            next.blob(&digest, range.clone()).unwrap().read_to_end(&mut read).unwrap();
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(read == bytes[range]);
        }
    }
    assert_eq!(shelf.lock().unwrap().calls.iter().filter(|call| *call == "Write").count(), 2);
}

#[test]
fn small_blobs_go_together() {
    let (url, shelf) = server();
    keep(&open(&url, None), &[1, 2, 3, 4]);
    let calls = shelf.lock().unwrap().calls.clone();
    assert_eq!(calls.iter().filter(|call| *call == "BatchUpdateBlobs").count(), 1);
}

#[test]
fn a_connection_that_breaks_is_made_anew_and_refusals_are_told_apart() {
    let (url, shelf) = server();
    shelf.lock().unwrap().hangs_up = 2;
    keep(&open(&url, None), &[1]);
    let problem = |status| {
        shelf.lock().unwrap().refuses = status;
        open(&url, None).records(&[CacheKey::of(b"k")]).unwrap_err().problem
    };
    assert!(matches!(problem(16), CacheProblem::Unauthorized { .. }));
    assert!(matches!(problem(8), CacheProblem::RateLimited { .. }));
    assert!(matches!(problem(14), CacheProblem::Network { .. }));
    assert!(matches!(problem(3), CacheProblem::Protocol { .. }));
}

#[test]
fn bytes_that_no_record_speaks_of_are_not_asked_for() {
    let (url, _) = server();
    let digest = Digest::of(&blob(9));
    let error = open(&url, None).blob(&digest, 0..1).map(drop).unwrap_err();
    assert!(matches!(error.problem, CacheProblem::NotFound { .. }));
    assert!(!format!("{:?}", open(&url, None)).contains("tok\""));
}
