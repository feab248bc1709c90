//! Answers without an end: they fill no memory, and whoever gets them stops listening.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credential, Credentials};
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::settings::Settings;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

/// The longest document that is read, what the kernel holds of a connection at both ends, and as much again.
const MOST: u64 = 64 << 20;
/// More than that, so that a client that reads on is told from one that stops.
const ENOUGH: u64 = 256 << 20;

/// A server whose answers to requests that begin so do not end, with how much of them was taken.
struct Endless {
    host: String,
    taken: Arc<AtomicU64>,
}

impl Endless {
    fn start(wanted: &'static str, head: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                // A connection that breaks is what this is about.
                thread::spawn(move || drop(answer(&stream, (wanted, head), &count)));
            }
        });
        Self { host, taken }
    }

    fn name(&self) -> Reference {
        format!("{}/app:1", self.host).parse().unwrap()
    }

    fn client(&self) -> Client {
        let credentials = Credentials::default().with(&self.host, Credential::new("u", "p"));
        let timing = Arc::new(InstantTiming::default());
        Client::new(Settings { credentials, timing, ..Settings::default() })
    }
}

fn answer(
    mut stream: &TcpStream,
    (wanted, head): (&str, &str),
    taken: &AtomicU64,
) -> std::io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    if !request.starts_with(wanted) {
        let challenge = "WWW-Authenticate: Bearer realm=\"/token\",service=\"r\"";
        return write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\n{challenge}\r\nContent-Length: 0\r\n\r\n"
        );
    }
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(head.as_bytes())?;
    let piece =
        if head.ends_with("\r\n\r\n") { " ".repeat(1 << 16) } else { "X-A: b\r\n".repeat(1 << 13) };
    while taken.load(Ordering::Relaxed) < ENOUGH {
        stream.write_all(piece.as_bytes())?;
        taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

#[track_caller]
fn check(wanted: &'static str, head: &'static str, ask: impl Fn(&Client, &Reference) -> bool) {
    let server = Endless::start(wanted, head);
    assert!(!ask(&server.client(), &server.name()), "{wanted}: {head}");
    let taken = server.taken.load(Ordering::Relaxed);
    assert!(taken < MOST, "{wanted}: {taken} bytes of {head}");
}

fn manifest(client: &Client, name: &Reference) -> bool {
    client.manifest(name).is_ok()
}

#[test]
fn a_document_without_an_end_is_given_up() {
    let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
    for length in ["", "Content-Length: 9223372036854775807\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{kind}{length}\r\n").leak();
        check("GET /v2/app/manifests/1", head, manifest);
        check("GET /v2/app/referrers/", head, |client, name| {
            client.referrers(name, &Descriptor::of(MediaType::LAYER, b"").digest).is_ok()
        });
    }
}

#[test]
fn a_token_or_a_refusal_without_an_end_is_given_up() {
    check("GET /token", "HTTP/1.1 200 OK\r\n\r\n", manifest);
    check("GET /token", "HTTP/1.1 403 Forbidden\r\n\r\n", manifest);
    check("GET /v2/app/manifests/1", "HTTP/1.1 404 Not Found\r\n\r\n", manifest);
}

#[test]
fn a_blob_that_is_longer_than_announced_is_given_up_there() {
    check("GET /v2/app/blobs/", "HTTP/1.1 200 OK\r\n\r\n", |client, name| {
        let mut blob = client.blob(name, &Descriptor::of(MediaType::LAYER, b"short")).unwrap();
        blob.read_to_end(&mut Vec::new()).is_ok()
    });
}

#[test]
fn headers_without_an_end_are_given_up() {
    check("GET /v2/app/manifests/1", "HTTP/1.1 200 OK\r\n", manifest);
}
