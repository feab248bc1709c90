//! One file behind an address into the store; nothing is transferred that is there already.

use std::io::{self, Read};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use wythe_sandbox::Cancel;
use wythe_store::digest::Digest;
use wythe_store::error::WriteError;
use wythe_store::id::{BodyId, ContentId};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Entry, File, Metadata, Node};

use crate::environment::Environment;
use crate::options::Options;
use crate::remote::{HttpRequest, RemoteError, RemoteProblem, address};

/// Longer than any file anybody adds to an image, and shorter than the disk that a server without
/// end would fill.
const MAX_BODY: u64 = 64 << 30;

/// The mode of what was fetched: nothing says who may read it.
const MODE: u32 = 0o600;

/// A file that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    url: String,
    body: BodyId,
    size: u64,
    mtime: Timestamp,
}

/// What is known of an address from the last time.
#[derive(Debug, Deserialize, Serialize)]
struct Known {
    body: [u8; 32],
    size: u64,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl RemoteFile {
    /// Fetches what is at `url`, or finds that it has not changed.
    pub(super) fn fetch(
        env: Environment<'_>,
        options: &Options,
        url: &str,
    ) -> Result<Self, RemoteError> {
        let fail = |problem| RemoteError::new(url, problem);
        let known = recall(env, url).map_err(fail)?;
        let mut request = HttpRequest { url: url.to_owned(), ..HttpRequest::default() };
        request.authorization = authorization(options, url).map_err(fail)?;
        if let Some(known) = &known {
            request.if_none_match.clone_from(&known.etag);
            request.if_modified_since.clone_from(&known.last_modified);
        }
        let response = env.remote.get(&request)?;
        let known = match (response.status, known) {
            (304, Some(known)) => known,
            (200..300, _) => {
                let body = Limited { body: response.body, left: MAX_BODY, cancel: env.cancel };
                let (body, size) = stored(env, body).map_err(fail)?;
                let (etag, last_modified) = (response.etag, response.last_modified);
                let known = Known { body: *body.as_bytes(), size, etag, last_modified };
                remember(env, url, &known).map_err(fail)?;
                known
            }
            (status, _) => return Err(fail(RemoteProblem::Status(status))),
        };
        let mtime = known.last_modified.as_deref().and_then(seconds).unwrap_or_default();
        let (body, size) = (BodyId::from_bytes(known.body), known.size);
        Ok(Self { url: url.to_owned(), body, size, mtime: Timestamp::from_seconds(mtime) })
    }

    /// The bytes, in the store.
    pub(super) fn body(&self) -> BodyId {
        self.body
    }

    /// The time the server gives it, in seconds.
    pub(super) fn last_modified(&self) -> Option<i64> {
        Some(self.mtime.seconds).filter(|seconds| *seconds != 0)
    }

    /// The file under the name its address gives it.
    pub(crate) fn entry(&self) -> Entry {
        self.named(&self.name())
    }

    /// The name its address gives it.
    pub(crate) fn name(&self) -> String {
        address::file_name(&self.url)
    }

    /// The file under another name.
    pub(crate) fn named(&self, name: &str) -> Entry {
        let file = File { body: self.body, size: self.size, link: None };
        let metadata = Metadata { mode: MODE, mtime: self.mtime, ..Metadata::default() };
        Entry { name: name.as_bytes().into(), metadata, node: Node::File(file) }
    }

    /// What a copy of it depends on: bytes, name, mode and time.
    pub(crate) fn content_id(&self) -> ContentId {
        let mut hasher = ContentId::hasher();
        hasher.update(b"remote file").update(self.body.as_bytes());
        hasher.update(&MODE.to_le_bytes()).update(&self.mtime.seconds.to_le_bytes());
        hasher.update(self.name().as_bytes());
        ContentId::from_hasher(&hasher)
    }

    /// Holds the bytes to a digest.
    pub(crate) fn verify(&self, env: Environment<'_>, sum: &str) -> Result<(), RemoteError> {
        let fail = |problem| RemoteError::new(&self.url, problem);
        // What is no digest was refused with the Dockerfile.
        let Ok(expected) = sum.parse::<Digest>() else { return Ok(()) };
        let bytes = env.store.body(&self.body).map_err(|error| fail(error.into()))?;
        let found = bytes.map(|bytes| bytes.digest()).transpose();
        let found = found.map_err(|error| fail(error.into()))?.unwrap_or_else(|| Digest::of(b""));
        if found == expected {
            return Ok(());
        }
        Err(fail(RemoteProblem::Checksum { expected, found }))
    }
}

/// The header that the secrets of a build have for a host.
fn authorization(options: &Options, url: &str) -> Result<Option<String>, RemoteProblem> {
    let host = address::host(url);
    for (kind, scheme) in [("HEADER", ""), ("TOKEN", "Bearer ")] {
        let id = format!("HTTP_AUTH_{kind}_{host}");
        let Some(secret) = options.secrets.get(&id) else { continue };
        let text = std::str::from_utf8(secret.expose()).ok();
        let text = text.map(str::trim_end).filter(|text| !text.contains(char::is_control));
        let text = text.ok_or(RemoteProblem::Secret(id))?;
        return Ok(Some(format!("{scheme}{text}")));
    }
    Ok(None)
}

fn stored(env: Environment<'_>, mut body: Limited<'_>) -> Result<(BodyId, u64), RemoteProblem> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not the network's is the store's")]
    env.lease.body_from_reader(&mut body, 0).map_err(|error| match error {
        WriteError::Source(_) if env.cancel.is_cancelled() => RemoteProblem::Cancelled,
        WriteError::Source(_) if body.left == 0 => RemoteProblem::TooLong(MAX_BODY),
        WriteError::Source(source) => RemoteProblem::Network { detail: source.to_string() },
        other => other.into(),
    })
}

/// A body that ends when the build does, and never grows without bounds.
struct Limited<'a> {
    body: Box<dyn Read + Send>,
    left: u64,
    cancel: &'a Cancel,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || self.cancel.is_cancelled() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let count = self.body.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// Under what an address is remembered; hashed, for addresses may be signed or hold passwords.
fn slot(url: &str) -> Vec<u8> {
    [&b"remote\0"[..], ContentId::of(url.as_bytes()).as_bytes()].concat()
}

/// What the last time left, unless the store has lost the bytes since.
fn recall(env: Environment<'_>, url: &str) -> Result<Option<Known>, RemoteProblem> {
    let Some(note) = env.store.journal().get(Table::Notes, &slot(url)) else { return Ok(None) };
    let Ok(known) = serde_json::from_slice::<Known>(&note) else { return Ok(None) };
    let held = env.lease.holdings()?.contain_body(&BodyId::from_bytes(known.body));
    let askable = known.etag.is_some() || known.last_modified.is_some();
    Ok(Some(known).filter(|_| held && askable))
}

fn remember(env: Environment<'_>, url: &str, known: &Known) -> Result<(), RemoteProblem> {
    let mut batch = Batch::new();
    // Numbers and texts always have a form in JSON.
    let note = serde_json::to_vec(known).unwrap_or_default();
    batch.put(Table::Notes, &slot(url), note);
    env.lease.commit(batch, Durability::Relaxed)?;
    Ok(())
}

/// A date of HTTP in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
