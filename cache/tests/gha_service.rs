//! The engine against the service's double in another process, which npm's `@actions/cache` accepts, too. Needs Python.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use wythe_cache::gha::{GHA_BUDGET, GhaCache, GhaMode, GhaOptions, GhaService};
use wythe_registry::client::Client;
use wythe_registry::exchange::{Route, ServiceBody, ServiceRequest};
use wythe_registry::settings::{Settings, SystemTiming};
use wythe_store::cache_backend::{CacheBackend, CacheBlob};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/tests/e2e/gha_service.py");

/// Ends with what started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> (Running, String) {
    let port_file = dir.join("port");
    let child = Command::new("python3").arg(SCRIPT).arg(&port_file).spawn();
    let running = Running(child.expect("python3 is there"));
    for _ in 0..1000 {
        let port = std::fs::read_to_string(&port_file).unwrap_or_default();
        if !port.is_empty() {
            return (running, format!("http://127.0.0.1:{port}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the service does not start");
}

fn job(service: GhaService) -> GhaCache {
    let (token, scope) = ("token".to_owned(), "app".to_owned());
    let options =
        GhaOptions { service, token, mode: GhaMode::default(), scope, budget: GHA_BUDGET };
    GhaCache::new(Client::new(Settings::default()), Arc::new(SystemTiming), options)
}

/// A job that writes, and one that reads what it wrote.
fn travels(service: &GhaService) {
    let long: Vec<u8> = (0..9_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let first = job(service.clone());
    let key = CacheKey::of(b"k");
    assert_eq!(first.records(&[key]).expect("the service serves"), [None]);
    for bytes in [&b"small"[..], &long] {
        let open = || Ok(Box::new(bytes) as Box<dyn Read + Send>);
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        first
            .put_blob(&CacheBlob { digest, size, media_type: "x/y", open: &open })
            .expect("the service serves");
    }
    first.put_records(&[(key, b"record".to_vec())]).expect("the service serves");
    first.finish().expect("the service serves");
    let second = job(service.clone());
    assert_eq!(second.records(&[key]).expect("the service serves"), [Some(b"record".to_vec())]);
    for bytes in [&b"small"[..], &long] {
        let mut found = Vec::new();
        let mut reader =
            second.blob(&Digest::of(bytes), 0..bytes.len() as u64).expect("the service serves");
        reader.read_to_end(&mut found).expect("the service serves");
        assert!(found == bytes);
    }
}

#[test]
fn what_a_job_writes_travels_over_both_interfaces() {
    for service in [GhaService::V2, GhaService::V1] {
        let dir = tempfile::tempdir().unwrap();
        let (_running, url) = start(dir.path());
        travels(&service(url));
    }
}

#[test]
fn addresses_that_are_good_for_one_use_are_asked_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, url) = start(dir.path());
    let write = job(GhaService::V2(url.clone()));
    let open = || Ok(Box::new(&b"bytes"[..]) as Box<dyn Read + Send>);
    let digest = Digest::of(b"bytes");
    write.put_blob(&CacheBlob { digest, size: 5, media_type: "x/y", open: &open }).unwrap();
    write.finish().unwrap();
    let client = Client::new(Settings::default());
    let request = ServiceRequest {
        method: "POST",
        url: &format!("{url}/knobs"),
        headers: &[],
        body: ServiceBody::Bytes(b"uses=1"),
        route: Route::Direct,
        patience: None,
    };
    assert_eq!(client.exchange(&request).unwrap().status, 204);
    let mut found = Vec::new();
    job(GhaService::V2(url)).blob(&digest, 0..5).unwrap().read_to_end(&mut found).unwrap();
    assert_eq!(found, b"bytes");
}
