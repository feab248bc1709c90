//! What travels and what does not, with a server that remembers what it was asked.

use std::io::Cursor;
use std::sync::Mutex;

use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

use super::file::RemoteFile;
use crate::builder::Builder;
use crate::environment::Environment;
use crate::options::{Options, Secret};
use crate::remote::{HttpRequest, HttpResponse, NoRemote, Remote, RemoteError, RemoteProblem};

const DATE: &str = "Tue, 14 Nov 2017 22:13:20 GMT";

/// Serves one body with validators, and remembers requests.
struct Server {
    body: &'static str,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Server {
    fn of(body: &'static str) -> Self {
        Self { body, requests: Mutex::default() }
    }

    fn last(&self) -> HttpRequest {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

impl Remote for Server {
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
        self.requests.lock().unwrap().push(request.clone());
        let known = request.if_none_match.as_deref() == Some(self.body);
        Ok(HttpResponse {
            status: if known { 304 } else { 200 },
            etag: Some(self.body.to_owned()),
            last_modified: Some(DATE.to_owned()),
            body: Box::new(Cursor::new(if known { "" } else { self.body })),
        })
    }
}

struct Room {
    builder: Builder,
    images: Client,
    options: Options,
    _store: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let at = tempfile::tempdir().unwrap();
        let store = Store::open(at.path(), &OpenOptions::default()).unwrap();
        let builder = Builder::open(&store, Timestamp::from_seconds(7)).unwrap();
        let options = Options::new(Platform::linux("amd64"));
        Self { builder, images: Client::new(Settings::default()), options, _store: at }
    }

    fn environment<'a>(&'a self, remote: &'a dyn Remote) -> Environment<'a> {
        Environment { remote, ..self.builder.environment(&self.images, &()) }
    }

    fn fetch(&self, remote: &dyn Remote, url: &str) -> Result<RemoteFile, RemoteError> {
        RemoteFile::fetch(self.environment(remote), &self.options, url)
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (room, server) = (Room::new(), Server::of("one"));
    let first = room.fetch(&server, "http://h/f").unwrap();
    assert!(server.last().if_none_match.is_none());
    let second = room.fetch(&server, "http://h/f").unwrap();
    assert_eq!(server.last().if_none_match.as_deref(), Some("one"));
    assert_eq!(server.last().if_modified_since.as_deref(), Some(DATE));
    assert_eq!(first.content_id(), second.content_id());
    let changed = room.fetch(&Server::of("two"), "http://h/f").unwrap();
    assert_ne!(first.content_id(), changed.content_id());
}

#[test]
fn an_address_is_asked_with_its_own_validators_only() {
    let (room, server) = (Room::new(), Server::of("one"));
    room.fetch(&server, "http://h/f").unwrap();
    room.fetch(&server, "http://h/g").unwrap();
    assert!(server.last().if_none_match.is_none());
}

#[test]
fn a_file_has_the_time_the_server_gives_it_and_is_for_its_owner() {
    let room = Room::new();
    let entry = room.fetch(&Server::of("one"), "http://h/d/f?x").unwrap().entry();
    assert_eq!(&*entry.name, b"f");
    assert_eq!(entry.metadata.mode, 0o600);
    assert_eq!(entry.metadata.mtime, Timestamp::from_seconds(1_510_697_600));
}

#[test]
fn the_same_bytes_from_elsewhere_are_the_same_input() {
    let (room, server) = (Room::new(), Server::of("one"));
    let [one, other] =
        ["http://h/f", "http://mirror/x/f"].map(|url| room.fetch(&server, url).unwrap());
    assert_eq!(one.content_id(), other.content_id());
    let renamed = room.fetch(&server, "http://h/g").unwrap();
    assert_ne!(one.content_id(), renamed.content_id());
}

#[test]
fn a_wrong_checksum_names_both_digests() {
    let (room, server) = (Room::new(), Server::of("one"));
    let file = room.fetch(&server, "http://h/f").unwrap();
    let sum = |bytes: &[u8]| wythe_store::digest::Digest::of(bytes).to_string();
    let env = room.environment(&server);
    assert!(file.verify(env, &sum(b"one")).is_ok());
    let error = file.verify(env, &sum(b"two")).unwrap_err().to_string();
    assert!(error.contains(&sum(b"one")) && error.contains(&sum(b"two")), "{error}");
}

#[test]
fn secrets_go_to_the_host_they_are_named_after() {
    let (mut room, server) = (Room::new(), Server::of("one"));
    for (id, text) in [("HTTP_AUTH_TOKEN_h", "tok\n"), ("HTTP_AUTH_HEADER_g", "Custom abc")] {
        room.options.secrets.insert(id.to_owned(), Secret::new(text.into()));
    }
    let sent = |url: &str| {
        room.fetch(&server, url).unwrap();
        server.last().authorization
    };
    assert_eq!(sent("http://h:80/f").as_deref(), Some("Bearer tok"));
    assert_eq!(sent("http://g/f").as_deref(), Some("Custom abc"));
    assert_eq!(sent("http://h.evil/f"), None);
}

#[test]
fn a_secret_of_two_lines_is_no_header() {
    let mut room = Room::new();
    let secret = Secret::new(b"a\r\nX: y".to_vec());
    room.options.secrets.insert("HTTP_AUTH_TOKEN_h".to_owned(), secret);
    let error = room.fetch(&Server::of("one"), "http://h/f").unwrap_err();
    assert!(matches!(error.problem, RemoteProblem::Secret(_)), "{error}");
}

#[test]
fn without_a_remote_nothing_is_fetched() {
    let error = Room::new().fetch(&NoRemote, "http://u:p@h/f?token=s").unwrap_err();
    assert!(matches!(error.problem, RemoteProblem::Disabled));
    assert_eq!(error.url, "http://h/f");
}
