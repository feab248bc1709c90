//! Registries of which nobody says whether they speak TLS.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_registry::traffic::Traffic;
use wythe_store::digest::Digest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

/// What a handshake begins with.
const HANDSHAKE: u8 = 0x16;
const MANIFEST: &str = "{}";

/// A server of plain HTTP that says nothing to a handshake, and counts them.
fn patient(handshakes: Arc<AtomicUsize>) -> Reference {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/app:1", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let handshakes = handshakes.clone();
            thread::spawn(move || answer(stream.unwrap(), &handshakes));
        }
    });
    name.parse().unwrap()
}

fn answer(mut stream: TcpStream, handshakes: &AtomicUsize) {
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    if first == [HANDSHAKE] {
        handshakes.fetch_add(1, Ordering::SeqCst);
        // Until the other side has had enough.
        let _ = stream.read_to_end(&mut Vec::new());
        return;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let length = MANIFEST.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{MANIFEST}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
}

#[test]
fn a_server_that_says_nothing_to_a_handshake_gets_plain_http_and_one_handshake_in_a_process() {
    let (handshakes, traffic) = (Arc::default(), Arc::<Traffic>::default());
    let name = patient(Arc::clone(&handshakes));
    for _ in 0..2 {
        let client = Client::new(Settings { traffic: traffic.clone(), ..Settings::default() });
        let (manifest, _) = client.manifest(&name).unwrap();
        assert_eq!(manifest.digest, Digest::of(MANIFEST.as_bytes()));
    }
    assert_eq!(handshakes.load(Ordering::SeqCst), 1);
}
