//! Whatever an answer names, no credential goes to another origin: each row is a place that a registry can lead to, and leads
//! to somebody who asks for a password.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credential, Credentials, Secret};
use wythe_registry::delivered::Delivered;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::digest::Digest;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

const PASSWORD: &str = "the-password-of-a-canary";
/// The user and the password, as they are shown.
const BASIC: &str = "Y2FuYXJ5OnRoZS1wYXNzd29yZC1vZi1hLWNhbmFyeQ==";
const IDENTITY: &str = "the-identity-token-of-a-canary";
const TOKEN: &str = "the-token-of-a-canary";
/// What is shown on the way to a service, whose password is another's matter.
const SECRETS: [&str; 5] = ["authorization", PASSWORD, BASIC, IDENTITY, TOKEN];

/// A server that writes down what it is asked.
struct Server {
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// One that answers a request, all of it as text, with these bytes.
    fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let log: Arc<Mutex<Vec<String>>> = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || {
                    // A handshake of TLS is no request: the connection ends.
                    let Some(request) = read(&stream) else { return };
                    let text = answer(&request);
                    log.lock().unwrap().push(request);
                    drop((&stream).write_all(text.as_bytes()));
                });
            }
        });
        Self { host, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A request in small letters, but for its body; `None` of what is none.
fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase();
    let length =
        length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let (line, headers) = head.split_once("\r\n")?;
    let headers = headers.replace("Authorization:", "authorization:");
    Some(format!("{line}\r\n{headers}{}", String::from_utf8_lossy(&body)))
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

/// What somebody does, and where it is led away.
struct Row {
    what: &'static str,
    /// The beginnings of the requests that are answered by leading away, and with what.
    from: (&'static [&'static str], fn(&str) -> String),
    does: fn(&Client, &Server, &str),
    /// Whether who is led to is asked at all.
    follows: bool,
}

fn redirect(to: &str) -> String {
    answer("307 Temporary Redirect", &format!("Location: http://{to}/there?x=y\r\n"), "")
}

fn upload(to: &str) -> String {
    answer("202 Accepted", &format!("Location: http://{to}/there?x=y\r\n"), "")
}

fn page(to: &str) -> String {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let kind = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
    answer("200 OK", &format!("{kind}Link: <http://{to}/there?n=1>; rel=\"next\"\r\n"), index)
}

const ROWS: &[Row] = &[
    Row {
        what: "a manifest",
        from: (&["GET /v2/app/manifests/"], redirect),
        does: manifest,
        follows: true,
    },
    Row {
        what: "what a tag stands for",
        from: (&["HEAD /v2/app/manifests/"], redirect),
        does: resolve,
        follows: true,
    },
    Row { what: "a blob", from: (&["GET /v2/app/blobs/"], redirect), does: blob, follows: true },
    Row {
        what: "whether a blob is there",
        from: (&["HEAD /v2/app/blobs/"], redirect),
        does: push,
        follows: true,
    },
    Row {
        what: "the beginning of an upload",
        from: (&["POST /v2/app/blobs/uploads/"], redirect),
        does: push,
        follows: true,
    },
    Row {
        what: "the place of an upload",
        from: (&["POST /v2/app/blobs/uploads/"], upload),
        does: push,
        follows: true,
    },
    Row {
        what: "an upload in place of a mount",
        from: (&["POST /v2/app/blobs/uploads/?mount"], upload),
        does: mount,
        follows: true,
    },
    Row {
        what: "the bytes of a blob",
        from: (&["PUT /v2/app/blobs/uploads/"], redirect),
        does: push,
        follows: true,
    },
    Row {
        what: "a manifest on its way out",
        from: (&["PUT /v2/app/manifests/"], redirect),
        does: push,
        follows: true,
    },
    Row {
        what: "a list",
        from: (&["GET /v2/app/referrers/"], redirect),
        does: referrers,
        follows: true,
    },
    Row {
        what: "the next page of a list",
        from: (&["GET /v2/app/referrers/"], page),
        does: referrers,
        follows: false,
    },
    Row {
        what: "a layer that is published elsewhere",
        from: (&[], redirect),
        does: published,
        follows: true,
    },
    Row { what: "a login", from: (&["GET /v2/ "], redirect), does: login, follows: true },
    Row {
        what: "a token by GET",
        from: (&["GET /token"], redirect),
        does: manifest,
        follows: true,
    },
    Row {
        what: "a token by POST",
        from: (&["POST /token"], redirect),
        does: manifest,
        follows: false,
    },
];

fn name(registry: &Server) -> Reference {
    format!("{}/app:1", registry.host).parse().unwrap()
}

fn layer() -> Descriptor {
    Descriptor::of(MediaType::LAYER, b"a layer")
}

// What comes of all this is an error most of the time, and nobody's matter here.

fn manifest(client: &Client, registry: &Server, _: &str) {
    drop(client.manifest(&name(registry)));
}

fn resolve(client: &Client, registry: &Server, _: &str) {
    drop(client.resolve(&name(registry)));
}

fn blob(client: &Client, registry: &Server, _: &str) {
    let blob = client.blob(&name(registry), &layer());
    drop(blob.map(|mut blob| blob.read_to_end(&mut Vec::new())));
}

fn push(client: &Client, registry: &Server, _: &str) {
    push_from(client, registry, &BTreeMap::new());
}

fn mount(client: &Client, registry: &Server, _: &str) {
    let holder = format!("{}/other", registry.host);
    push_from(client, registry, &BTreeMap::from([(layer().digest, vec![holder])]));
}

fn push_from(client: &Client, registry: &Server, origins: &BTreeMap<Digest, Vec<String>>) {
    let mut content = MemoryContent::default();
    content.insert(b"{}".to_vec());
    content.insert(b"a layer".to_vec());
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let manifest = RawDocument::new(Manifest::new(config, vec![layer()]));
    content.insert(manifest.bytes().to_vec());
    let how = Push { origins, neighbours: &[], transfers: &(), delivered: &Delivered::default() };
    drop(client.push(&content, &manifest.descriptor(), &name(registry), how));
}

fn referrers(client: &Client, registry: &Server, _: &str) {
    drop(client.referrers(&name(registry), &layer().digest));
}

fn published(client: &Client, registry: &Server, canary: &str) {
    // The registry is asked first, so that there is something to show.
    blob(client, registry, canary);
    let urls = vec![format!("http://{canary}/there")];
    drop(client.elsewhere(&name(registry), &Descriptor { urls, ..layer() }));
}

fn login(client: &Client, registry: &Server, _: &str) {
    drop(client.login(&registry.host));
}

/// A registry that wants to know who asks, and leads some requests away.
fn registry(challenge: &'static str, row: &'static Row, canary: String) -> Server {
    Server::start(move |request| {
        let (beginnings, away) = row.from;
        let is_led = beginnings.iter().any(|one| request.starts_with(one));
        let is_token = request.starts_with("GET /token") || request.starts_with("POST /token");
        let body = format!(r#"{{"token":"{TOKEN}","expires_in":300}}"#);
        if is_led && (is_token || request.contains("authorization:")) {
            away(&canary)
        } else if is_token {
            answer("200 OK", "", &body)
        } else if !request.contains("authorization:") {
            answer("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), "")
        } else if request.starts_with("POST ") {
            answer("202 Accepted", "Location: /v2/app/blobs/uploads/1\r\n", "")
        } else if request.starts_with("PUT ") {
            answer("201 Created", "", "")
        } else {
            answer("404 Not Found", "", "")
        }
    })
}

fn client(registry: &Server, credential: Credential) -> Client {
    let credentials = Credentials::default().with(&registry.host, credential);
    let timing = Arc::new(InstantTiming::default());
    Client::new(Settings { credentials, timing, ..Settings::default() })
}

/// Does what a row says, and looks for credentials at the place that it is led to.
fn check(
    row: &'static Row,
    challenge: &'static str,
    credential: Credential,
    wanted: &'static str,
) -> bool {
    let canary = Server::start(move |_| {
        answer("401 Unauthorized", &format!("WWW-Authenticate: {wanted}\r\n"), "")
    });
    let registry = registry(challenge, row, canary.host.clone());
    (row.does)(&client(&registry, credential), &registry, &canary.host);
    assert!(
        registry.seen().iter().any(|one| SECRETS.iter().any(|it| one.contains(it))),
        "{}: {:?}",
        row.what,
        registry.seen()
    );
    let told = |one: &String| SECRETS.iter().any(|secret| one.contains(secret));
    assert!(
        !canary.seen().iter().any(told),
        "{}, {challenge}, {wanted}: {:?}",
        row.what,
        canary.seen()
    );
    !canary.seen().is_empty()
}

#[test]
fn no_credential_goes_where_an_answer_leads() {
    let doors = ["Basic realm=\"r\"", "Bearer realm=\"/token\",service=\"r\""];
    for row in ROWS {
        let mut asked = false;
        for challenge in doors {
            for wanted in doors {
                let password = Credential::new("canary", PASSWORD);
                asked |= check(row, challenge, password, wanted);
                let identity = Credential::IdentityToken(Secret::new(IDENTITY));
                asked |= check(row, challenge, identity, wanted);
            }
        }
        assert_eq!(asked, row.follows, "{}", row.what);
    }
}

#[test]
fn who_is_led_back_by_somebody_else_shows_nothing() {
    let there = Arc::new(Mutex::new(String::new()));
    let back = Arc::clone(&there);
    let canary = Server::start(move |_| redirect(&back.lock().unwrap()));
    let row = &ROWS[0];
    let registry = registry("Basic realm=\"r\"", row, canary.host.clone());
    there.lock().unwrap().clone_from(&registry.host);
    let client = client(&registry, Credential::new("canary", PASSWORD));
    let error = client.manifest(&name(&registry)).unwrap_err();
    let led = registry.seen().into_iter().filter(|one| one.starts_with("GET /there"));
    let led: Vec<String> = led.collect();
    assert_eq!(led.len(), 1, "{error}");
    assert!(!led[0].contains("authorization:"), "{led:?}");
}

#[test]
fn a_layer_is_not_fetched_from_where_its_registry_cannot_reach() {
    let canary = Server::start(|_| answer("200 OK", "", "a layer"));
    let inside = [
        format!("http://{}/layer", canary.host),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.170.2]/v2/credentials".to_owned(),
        "http://100.64.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "layer".to_owned(),
    ];
    let client = Client::new(Settings::default());
    let of = |name: &str| name.parse::<Reference>().unwrap();
    for url in &inside {
        let layer = Descriptor { urls: vec![url.clone()], ..layer() };
        let told = client.elsewhere(&of("r.example/app:1"), &layer).err().unwrap().to_string();
        let named = told.contains("which the image names") || told.contains("not an address");
        assert!(named, "{url}: {told}");
    }
    assert!(canary.seen().is_empty());
    // A registry on this machine may name what is on it, but not where clouds serve credentials.
    let local = of(&format!("{}/app:1", canary.host));
    for (at, url) in inside.iter().enumerate() {
        let layer = Descriptor { urls: vec![url.clone()], ..layer() };
        assert!(at == 4 || client.elsewhere(&local, &layer).is_ok() == (at == 0), "{url}");
    }
}

#[test]
fn a_list_that_breaks_off_is_no_list() {
    let next = "Link: </v2/app/referrers/x?n=1>; rel=\"next\"\r\n";
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let rows = [
        answer("200 OK", "", "<html>"),
        answer("404 Not Found", "", ""),
        answer("200 OK", next, index),
    ];
    for second in rows {
        let first = answer("200 OK", next, index);
        let server = Server::start(move |request| {
            let is_first = !request.starts_with("GET /v2/app/referrers/x?");
            if is_first { first.clone() } else { second.clone() }
        });
        let client = client(&server, Credential::new("canary", PASSWORD));
        assert!(client.referrers(&name(&server), &layer().digest).is_err());
    }
}
