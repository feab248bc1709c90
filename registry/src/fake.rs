//! A registry in this process, with the quirks of real ones, for tests of clients.

mod blobs;
pub mod timing;
mod wire;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wythe_store::digest::Digest;

use crate::fake::wire::{Answer, read_body, read_head, write_answer};

/// What goes wrong, and what is done differently from the plain protocol.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// Whom requests are accepted from.
    pub auth: Door,
    /// How many requests are answered 429 with `Retry-After: 1` before any is served.
    pub busy: u32,
    /// How many blob downloads end after half of the blob.
    pub truncate: u32,
    /// Whether a request for a range gets the whole blob.
    pub ignores_ranges: Switch,
    /// Whether blobs and manifests have one byte changed.
    pub corrupts: Switch,
    /// Whether mounts are refused with 401.
    pub refuses_mounts: Switch,
    /// Whether a closing request with a body is answered 413.
    pub refuses_monolithic: Switch,
    /// Where downloads of blobs are redirected to.
    pub redirect: Option<String>,
    /// Whether `HEAD` is answered 501.
    pub refuses_heads: Switch,
    /// With what uploads are answered before their body was read, and the connection closed.
    pub answers_early: Option<u16>,
    /// How much of an upload that is answered early, closing or not, is read before.
    pub reads_before: u64,
    /// Whether manifests and blobs are compressed for the way, asked for or not.
    pub codes: Switch,
    /// Which other registry writes are redirected to.
    pub writes_to: Option<String>,
    /// With what they are redirected, if not with 307.
    pub writes_with: Option<u16>,
    /// How many manifests are refused with `MANIFEST_BLOB_UNKNOWN`, forgetting all blobs.
    pub forgets: u32,
    /// Whether a tag that is there is never written again, not even as it is.
    pub keeps_tags: Switch,
    /// The realm that challenges name, where it is not this registry's own.
    pub realm: Option<String>,
    /// After how many requests a token is no longer good.
    pub token_uses: Option<u32>,
    /// After how many bytes of their bodies the next requests to uploads that have more break; what came is kept.
    pub breaks_after: Vec<u64>,
    /// Whether what came of an upload that broke is forgotten with it.
    pub forgets_broken: Switch,
    /// Which length of a body of an upload is answered 413 if it is exceeded.
    pub longest: Option<usize>,
    /// Whether a body of an upload without a length is answered 411.
    pub needs_lengths: Switch,
    /// Whether `PATCH` is answered 405.
    pub refuses_patches: Switch,
    /// How many answers to closing requests and mounts are lost.
    pub loses_answers: u32,
}

/// Whether a quirk is on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    #[default]
    Off,
}

/// Whom a registry serves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Door {
    /// Anyone.
    #[default]
    Open,
    /// User `user` with password `pass`.
    Basic,
    /// Bearers of a token that `user` with `pass` gets, or who has the refresh token `refresh`.
    Bearer,
    /// As with `Bearer`; whoever shows something else gets a token that says it is nobody's.
    Guests,
    /// Nobody, and it does not say what it wants.
    Silent,
}

/// A request as it came in.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A token that says it is nobody's.
const NOBODY: &str = "e30.eyJzdWIiOiIifQ.x";

/// A running registry. It ends with the process.
#[derive(Clone, Debug)]
pub struct FakeRegistry {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    quirks: Quirks,
    blobs: BTreeMap<(String, Digest), Vec<u8>>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    valid: BTreeMap<String, u32>,
    seen: Vec<Seen>,
    counter: u32,
}

impl FakeRegistry {
    /// Starts a registry on a free loopback port.
    ///
    /// # Errors
    ///
    /// If there is no port.
    pub fn start(quirks: Quirks) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let state = Arc::new(Mutex::new(State { quirks, ..State::default() }));
        let registry = Self { address, state };
        let serving = registry.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let registry = serving.clone();
                // A connection that breaks is the client's to notice.
                thread::spawn(move || drop(registry.serve(stream)));
            }
        });
        Ok(registry)
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Behaves differently from now on.
    pub fn set(&self, quirks: Quirks) {
        self.state().quirks = quirks;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Puts a manifest into a repository, by tag and by digest.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let value = (media_type.to_owned(), bytes.to_vec());
        let mut state = self.state();
        for name in [tag.to_owned(), Digest::of(bytes).to_string()] {
            state.manifests.insert((repository.to_owned(), name), value.clone());
        }
    }

    /// A manifest by tag or digest.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        let key = (repository.to_owned(), name.to_owned());
        self.state().manifests.get(&key).map(|(_, bytes)| bytes.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut request = read_head(&mut reader)?;
        let Quirks { answers_early, reads_before, .. } = self.state().quirks.clone();
        let upload = request.method == "PUT" || (request.method == "PATCH" && 0 < reads_before);
        let early = answers_early.filter(|_| upload && request.target.contains("/uploads/"));
        if let Some(status) = early {
            self.state().seen.push(request.clone());
            let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
            let first = reads_before.min(length.unwrap_or(0));
            io::copy(&mut reader.by_ref().take(first), &mut io::sink())?;
            write_answer(stream, &request, &Answer::status(status))?;
            if 0 < first {
                thread::sleep(LINGERING);
            }
            return Ok(());
        }
        if self.breaks(&mut reader, &mut request)? {
            return Ok(());
        }
        request.body = read_body(&mut reader, &request, u64::MAX)?;
        let answer = {
            let mut state = self.state();
            state.seen.push(request.clone());
            let answer = state.answer(&request, &self.address);
            if 0 < state.quirks.loses_answers && request.is_closing() {
                state.quirks.loses_answers -= 1;
                return Ok(());
            }
            answer
        };
        let coded = self.state().quirks.codes == Switch::On && request.method == "GET";
        write_answer(stream, &request, &if coded { answer.coded() } else { answer })
    }
}

impl FakeRegistry {
    /// Whether a request to an upload is to break. It has by now.
    fn breaks(&self, reader: &mut BufReader<TcpStream>, request: &mut Seen) -> io::Result<bool> {
        let is_upload =
            matches!(request.method.as_str(), "PATCH" | "PUT") && request.upload().is_some();
        let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
        let after = {
            let mut state = self.state();
            let first = state.quirks.breaks_after.first().copied();
            let first = first.filter(|after| is_upload && *after < length.unwrap_or(u64::MAX));
            let Some(after) = first else { return Ok(false) };
            state.quirks.breaks_after.remove(0);
            after
        };
        request.body = read_body(reader, request, after)?;
        let mut state = self.state();
        state.seen.push(request.clone());
        let forgets = state.quirks.forgets_broken == Switch::On;
        if let Some(id) = request.upload().map(str::to_owned) {
            if forgets {
                state.uploads.remove(&id);
            } else if let Some(bytes) = state.uploads.get_mut(&id) {
                bytes.extend_from_slice(&request.body);
            }
        }
        Ok(true)
    }
}

impl Seen {
    /// The name of the upload that it is about.
    fn upload(&self) -> Option<&str> {
        let (path, _) = self.target.split_once('?')?;
        path.split_once("/blobs/uploads/").map(|(_, id)| id)
    }

    fn is_closing(&self) -> bool {
        self.method == "PUT" && self.upload().is_some() || self.target.contains("mount=")
    }
}

/// Closing a connection with something unread resets it, and takes the answer from whoever has not
/// read it yet: servers wait before they do.
const LINGERING: Duration = Duration::from_millis(300);

impl State {
    fn answer(&mut self, request: &Seen, address: &str) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        // Who takes this for a proxy finds here what is elsewhere.
        let proxied =
            path.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let path = proxied.unwrap_or(path);
        if path == "/token" {
            return self.token(request, query);
        }
        if 0 < self.quirks.busy {
            self.quirks.busy -= 1;
            return Answer::status(429).with("Retry-After", "1");
        }
        if let Some(refusal) = self.refusal(request, address) {
            return refusal;
        }
        if self.quirks.refuses_heads == Switch::On && request.method == "HEAD" {
            return Answer::status(501);
        }
        if let Some(host) = &self.quirks.writes_to
            && matches!(request.method.as_str(), "POST" | "PATCH" | "PUT")
        {
            let target = format!("http://{host}{}", request.target);
            let status = self.quirks.writes_with.unwrap_or(307);
            return Answer::status(status).with("Location", &target);
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Answer::status(404) };
        let parts: Vec<&str> = rest.rsplitn(3, '/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            (_, [""]) => Answer::status(200),
            ("PUT", [name, "manifests", repository]) => {
                self.take_manifest(repository, name, request)
            }
            (_, [name, "manifests", repository]) => self.give_manifest(repository, name),
            ("POST", ["", "uploads", blobs]) => self.begin(blobs.trim_end_matches("/blobs"), query),
            (_, [id, "uploads", blobs]) => {
                self.upload(blobs.trim_end_matches("/blobs"), id, query, request)
            }
            (_, [digest, "blobs", repository]) => self.give_blob(repository, digest, request),
            _ => Answer::status(404),
        }
    }

    fn refusal(&mut self, request: &Seen, address: &str) -> Option<Answer> {
        let given = request.headers.get("authorization").map_or("", String::as_str);
        match self.quirks.auth {
            Door::Open => None,
            Door::Basic if given == "Basic dXNlcjpwYXNz" => None,
            Door::Silent => Some(Answer::status(401)),
            Door::Basic => Some(Answer::status(401).with("WWW-Authenticate", "Basic realm=\"r\"")),
            Door::Bearer | Door::Guests => {
                let token = given.strip_prefix("Bearer ").unwrap_or_default();
                if let Some(left) = self.valid.get_mut(token).filter(|left| 0 < **left) {
                    *left -= 1;
                    return None;
                }
                let own = format!("http://{address}/token");
                let realm = self.quirks.realm.as_ref().unwrap_or(&own);
                let value = format!("Bearer realm=\"{realm}\",service=\"fake\"");
                Some(Answer::status(401).with("WWW-Authenticate", &value))
            }
        }
    }

    fn token(&mut self, request: &Seen, query: &str) -> Answer {
        let basic = request.headers.get("authorization").is_some_and(|v| v == "Basic dXNlcjpwYXNz");
        let body = String::from_utf8_lossy(&request.body);
        if !basic && !body.contains("refresh_token=refresh") {
            if self.quirks.auth != Door::Guests {
                return Answer::status(401);
            }
            self.valid.insert(NOBODY.to_owned(), u32::MAX);
            return Answer::json(format!("{{\"token\":\"{NOBODY}\"}}"));
        }
        self.counter += 1;
        let token = format!("token-{}-{}", self.counter, query.len());
        self.valid.insert(token.clone(), self.quirks.token_uses.unwrap_or(u32::MAX));
        Answer::json(format!("{{\"token\":\"{token}\",\"expires_in\":300}}"))
    }

    fn take_manifest(&mut self, repository: &str, name: &str, request: &Seen) -> Answer {
        if 0 < self.quirks.forgets {
            self.quirks.forgets -= 1;
            self.blobs.clear();
            let body = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
            return Answer { status: 400, ..Answer::json(body.to_owned()) };
        }
        let key = (repository.to_owned(), name.to_owned());
        let is_tag = !name.contains(':');
        if self.quirks.keeps_tags == Switch::On && is_tag && self.manifests.contains_key(&key) {
            let body = r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag already exists in the repository and cannot be overwritten because the repository is immutable."}]}"#;
            return Answer { status: 400, ..Answer::json(body.to_owned()) };
        }
        let media_type = request.headers.get("content-type").cloned().unwrap_or_default();
        let digest = Digest::of(&request.body).to_string();
        for name in [name.to_owned(), digest.clone()] {
            let value = (media_type.clone(), request.body.clone());
            self.manifests.insert((repository.to_owned(), name), value);
        }
        Answer::status(201).with("Docker-Content-Digest", &digest)
    }

    fn give_manifest(&self, repository: &str, name: &str) -> Answer {
        let found = self.manifests.get(&(repository.to_owned(), name.to_owned()));
        let Some((media_type, bytes)) = found else {
            let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#;
            return Answer { status: 404, ..Answer::json(body.to_owned()) };
        };
        let digest = Digest::of(bytes).to_string();
        Answer { body: self.damaged(bytes), ..Answer::status(200) }
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", &digest)
    }

    fn damaged(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if self.quirks.corrupts == Switch::On
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        bytes
    }

    fn give_blob(&mut self, repository: &str, digest: &str, request: &Seen) -> Answer {
        let digest = digest.parse().ok();
        let found = digest.and_then(|digest| self.blobs.get(&(repository.to_owned(), digest)));
        let Some(bytes) = found else { return Answer::status(404) };
        if request.method == "GET"
            && let Some(target) = &self.quirks.redirect
        {
            return Answer::status(307).with("Location", target);
        }
        let bytes = self.damaged(bytes);
        let range = request
            .headers
            .get("range")
            .and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let ignored = self.quirks.ignores_ranges == Switch::On;
        let mut answer = match range.filter(|_| !ignored) {
            Some(from) => {
                let value = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Answer { body: bytes[from..].to_vec(), ..Answer::status(206) }
                    .with("Content-Range", &value)
            }
            None => Answer { body: bytes, ..Answer::status(200) },
        };
        if request.method == "GET" && 0 < self.quirks.truncate {
            self.quirks.truncate -= 1;
            answer.cut = Some(answer.body.len() / 2);
        }
        answer
    }

    fn begin(&mut self, repository: &str, query: &str) -> Answer {
        let pairs: BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let (Some(digest), Some(from)) = (pairs.get("mount"), pairs.get("from")) {
            if self.quirks.refuses_mounts == Switch::On {
                return Answer::status(401);
            }
            let digest = digest.parse::<Digest>().ok();
            let key = digest.map(|digest| (from.clone(), digest));
            if let Some(bytes) = key.as_ref().and_then(|key| self.blobs.get(key)).cloned() {
                let digest = Digest::of(&bytes);
                self.blobs.insert((repository.to_owned(), digest), bytes);
                return Answer::status(201);
            }
        }
        self.counter += 1;
        let id = format!("upload-{}", self.counter);
        let location = format!("/v2/{repository}/blobs/uploads/{id}?state=a%2Fb");
        self.uploads.insert(id, Vec::new());
        Answer::status(202).with("Location", &location)
    }

    fn upload(&mut self, repository: &str, id: &str, query: &str, request: &Seen) -> Answer {
        let closing = request.method == "PUT";
        if self.quirks.refuses_patches == Switch::On && request.method == "PATCH" {
            return Answer::status(405);
        }
        let too_long = self.quirks.longest.is_some_and(|longest| longest < request.body.len());
        let monolithic = self.quirks.refuses_monolithic == Switch::On && closing;
        if too_long || (monolithic && !request.body.is_empty()) {
            return Answer::status(413);
        }
        if self.quirks.needs_lengths == Switch::On
            && request.headers.contains_key("transfer-encoding")
        {
            return Answer::status(411);
        }
        if request.method == "DELETE" {
            let known = self.uploads.remove(id).is_some();
            return Answer::status(if known { 204 } else { 404 });
        }
        let Some(bytes) = self.uploads.get_mut(id) else { return Answer::status(404) };
        let location = format!("/v2/{repository}/blobs/uploads/{id}?state=a%2Fb");
        if request.method == "GET" {
            let range = format!("0-{}", bytes.len().saturating_sub(1));
            return Answer::status(204).with("Location", &location).with("Range", &range);
        }
        let place = request.headers.get("content-range").and_then(|range| range.split('-').next());
        if place.is_some_and(|start| start.parse() != Ok(bytes.len())) {
            return Answer::status(416);
        }
        bytes.extend_from_slice(&request.body);
        if !closing {
            return Answer::status(202).with("Location", &location);
        }
        let digest = Digest::of(bytes);
        if query != format!("state=a%2Fb&digest={digest}") {
            let body = r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#;
            return Answer { status: 400, ..Answer::json(body.to_owned()) };
        }
        let bytes = self.uploads.remove(id).unwrap_or_default();
        self.blobs.insert((repository.to_owned(), digest), bytes);
        Answer::status(201)
    }
}
