//! The two interfaces of the service: entries by key, each made once.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wythe_registry::exchange::{ServiceAnswer, ServiceBody};
use wythe_store::cache_backend::{CacheError, CacheProblem};
use wythe_store::digest::Digest;

use crate::gha::mode::GhaMode;
use crate::gha::token::{Permission, permission};
use crate::ranged::value_of;
use crate::requests::{Ask, Requests, headers};

/// What keeps our entries apart from those of others: entries of another version are never found.
const VERSION: &[u8] = b"wythe cache pack 1";
/// Answers are a few hundred bytes.
const MAX_ANSWER: u64 = 64 << 10;
const TWIRP: &str = "twirp/github.actions.results.api.v1.CacheService";
const V1: &str = "_apis/artifactcache";
const ACCEPT_V1: &str = "application/json;api-version=6.0-preview.1";

/// Which interface, and its address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GhaService {
    /// github.com's: `ACTIONS_RESULTS_URL`.
    V2(String),
    /// That of GitHub Enterprise Server: `ACTIONS_CACHE_URL`.
    V1(String),
}

/// The service, as one job asks it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) requests: Requests,
    kind: GhaService,
    authorization: String,
    permission: Permission,
    mode: GhaMode,
    version: String,
}

/// An entry that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) key: String,
    /// A signed address, good for a while.
    pub(super) url: String,
}

/// An entry that is being written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// The signed address of a block blob.
    Blocks(String),
    /// The number of a reservation, whose bytes are sent by their place.
    Places(u64),
}

/// Whether a key could be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reserved {
    Target(Target),
    /// Another has it; what the service said.
    Taken(String),
}

/// A part of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// What it is called among the parts.
    pub(super) id: &'a str,
    /// Where it begins, for services that ask for that.
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "snake_case")]
struct AnswerV2 {
    ok: bool,
    message: String,
    signed_upload_url: String,
    signed_download_url: String,
    matched_key: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AnswerV1 {
    cache_id: u64,
    cache_key: String,
    archive_location: String,
}

#[derive(Serialize)]
struct Lookup<'a> {
    key: &'a str,
    restore_keys: &'a [&'a str],
    version: &'a str,
}

impl Service {
    pub(super) fn new(
        requests: Requests,
        kind: GhaService,
        (token, mode): (&str, GhaMode),
    ) -> Self {
        let (permission, version) = (permission(token), Digest::of(VERSION).hex());
        let authorization = format!("Bearer {token}");
        Self { requests, kind, authorization, permission, mode, version }
    }

    pub(super) fn check_may_read(&self) -> Result<(), CacheError> {
        if self.mode.reads() { Ok(()) } else { Err(self.forbidden()) }
    }

    pub(super) fn check_may_write(&self) -> Result<(), CacheError> {
        if !self.mode.writes() {
            return Err(self.forbidden());
        }
        if self.permission != Permission::Read {
            return Ok(());
        }
        let detail = "the token of this job may read the cache and not write it".to_owned();
        Err(self.requests.error(CacheProblem::Unauthorized { detail }))
    }

    fn forbidden(&self) -> CacheError {
        let detail = format!("the mode of the cache is {} in this job", self.mode);
        self.requests.error(CacheProblem::Unauthorized { detail })
    }

    /// Whether parts have to be sent by their place, one after another.
    pub(super) fn is_sequential(&self) -> bool {
        matches!(self.kind, GhaService::V1(_))
    }

    /// The entry of exactly this key.
    pub(super) fn exactly(&self, key: &str) -> Result<Option<Found>, CacheError> {
        Ok(self.look(key, &[])?.filter(|found| found.key == key))
    }

    /// The newest entry whose key begins so.
    pub(super) fn newest(&self, prefix: &str) -> Result<Option<Found>, CacheError> {
        Ok(self.look(prefix, &[prefix])?.filter(|found| found.key.starts_with(prefix)))
    }

    fn look(&self, key: &str, restore_keys: &[&str]) -> Result<Option<Found>, CacheError> {
        let what = "looking for a pack";
        match &self.kind {
            GhaService::V2(_) => {
                let lookup = Lookup { key, restore_keys, version: &self.version };
                let answer = self.twirp("GetCacheEntryDownloadURL", &json!(lookup))?;
                if answer.status == 404 {
                    return Ok(None);
                }
                let AnswerV2 { ok, signed_download_url: url, matched_key: key, .. } =
                    self.read(what, answer)?;
                Ok(ok.then_some(Found { key, url }))
            }
            GhaService::V1(_) => {
                let version = &self.version;
                let path = format!("cache?keys={key}&version={version}");
                let answer = self.v1("GET", &path, ServiceBody::Empty, &[])?;
                if matches!(answer.status, 204 | 404) {
                    return Ok(None);
                }
                let AnswerV1 { cache_key: key, archive_location: url, .. } =
                    self.read(what, answer)?;
                Ok(Some(Found { key, url }))
            }
        }
    }

    /// Takes a key, for an entry that is to be written.
    pub(super) fn reserve(&self, key: &str) -> Result<Reserved, CacheError> {
        let what = "beginning a pack";
        let version = &self.version;
        let body = json!({ "key": key, "version": version });
        let answer = match &self.kind {
            GhaService::V2(_) => self.twirp("CreateCacheEntry", &body)?,
            GhaService::V1(_) => self.v1_post("caches", &body)?,
        };
        if answer.status == 409 {
            let error = self.requests.refused(what, answer);
            return Ok(Reserved::Taken(error.problem.to_string()));
        }
        match &self.kind {
            GhaService::V2(_) => {
                let answer: AnswerV2 = self.read(what, answer)?;
                if !answer.ok {
                    return Ok(Reserved::Taken(answer.message));
                }
                Ok(Reserved::Target(Target::Blocks(answer.signed_upload_url)))
            }
            GhaService::V1(_) => {
                let answer: AnswerV1 = self.read(what, answer)?;
                Ok(Reserved::Target(Target::Places(answer.cache_id)))
            }
        }
    }

    /// Sends a part of an entry.
    pub(super) fn send(&self, target: &Target, part: Part<'_>) -> Result<(), CacheError> {
        let length = part.bytes.len() as u64;
        let body = ServiceBody::Bytes(part.bytes);
        let answer = match target {
            Target::Blocks(url) => {
                let url = with_query(url, &format!("comp=block&blockid={}", escaped(part.id)));
                self.azure(&url, body, length)?
            }
            Target::Places(id) => {
                let range = format!("bytes {}-{}/*", part.start, part.start + length - 1);
                let extra = headers([
                    ("content-type", "application/octet-stream"),
                    ("content-range", &range),
                ]);
                self.v1("PATCH", &format!("caches/{id}"), body, &extra)?
            }
        };
        self.done("writing a pack", answer)
    }

    /// Makes an entry of parts that were sent, in this order, `size` bytes in all.
    pub(super) fn commit(
        &self,
        key: &str,
        target: &Target,
        parts: &[&str],
        size: u64,
    ) -> Result<(), CacheError> {
        let what = "ending a pack";
        match target {
            Target::Blocks(url) => {
                let list = block_list(parts);
                let body = ServiceBody::Bytes(list.as_bytes());
                let url = with_query(url, "comp=blocklist");
                let answer = self.azure(&url, body, list.len() as u64)?;
                self.done(what, answer)?;
                let version = &self.version;
                // As protobuf has it in JSON: 64 bits are a string.
                let body =
                    json!({ "key": key, "size_bytes": size.to_string(), "version": version });
                let answer = self.twirp("FinalizeCacheEntryUpload", &body)?;
                let answer: AnswerV2 = self.read(what, answer)?;
                if answer.ok {
                    return Ok(());
                }
                Err(self.requests.protocol(format!("{what}: not taken {}", answer.message)))
            }
            Target::Places(id) => {
                let answer = self.v1_post(&format!("caches/{id}"), &json!({ "size": size }))?;
                self.done(what, answer)
            }
        }
    }

    /// Bytes of an entry, by its signed address. Whatever is answered is the answer.
    pub(super) fn range(
        &self,
        url: &str,
        range: &std::ops::Range<u64>,
    ) -> Result<ServiceAnswer, CacheError> {
        let headers = headers([("range", &value_of(range)), ("accept-encoding", "identity")]);
        let (body, bytes) = (ServiceBody::Empty, range.end - range.start);
        self.requests.send(&Ask { method: "GET", url, headers: &headers, body, bytes })
    }

    fn twirp(&self, method: &str, body: &Value) -> Result<ServiceAnswer, CacheError> {
        self.post(&format!("{TWIRP}/{method}"), body, "application/json")
    }

    fn v1_post(&self, path: &str, body: &Value) -> Result<ServiceAnswer, CacheError> {
        self.post(&format!("{V1}/{path}"), body, ACCEPT_V1)
    }

    fn post(&self, path: &str, body: &Value, accept: &str) -> Result<ServiceAnswer, CacheError> {
        let (url, body) = (self.url(path), body.to_string());
        let headers = headers([
            ("authorization", &self.authorization),
            ("accept", accept),
            ("content-type", "application/json"),
        ]);
        let bytes = body.len() as u64;
        let body = ServiceBody::Bytes(body.as_bytes());
        self.requests.send(&Ask { method: "POST", url: &url, headers: &headers, body, bytes })
    }

    fn v1(
        &self,
        method: &str,
        path: &str,
        body: ServiceBody<'_>,
        extra: &[(String, String)],
    ) -> Result<ServiceAnswer, CacheError> {
        let url = self.url(&format!("{V1}/{path}"));
        let mut headers = headers([("authorization", &self.authorization), ("accept", ACCEPT_V1)]);
        headers.extend_from_slice(extra);
        let bytes = if let ServiceBody::Bytes(bytes) = body { bytes.len() as u64 } else { 0 };
        self.requests.send(&Ask { method, url: &url, headers: &headers, body, bytes })
    }

    fn azure(
        &self,
        url: &str,
        body: ServiceBody<'_>,
        bytes: u64,
    ) -> Result<ServiceAnswer, CacheError> {
        let headers = headers([("content-type", "application/octet-stream")]);
        self.requests.send(&Ask { method: "PUT", url, headers: &headers, body, bytes })
    }

    fn url(&self, path: &str) -> String {
        let (GhaService::V2(base) | GhaService::V1(base)) = &self.kind;
        format!("{}/{path}", base.trim_end_matches('/'))
    }

    fn done(&self, what: &str, answer: ServiceAnswer) -> Result<(), CacheError> {
        match answer.status {
            200..=299 => Ok(()),
            _ => Err(self.requests.refused(what, answer)),
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        what: &str,
        answer: ServiceAnswer,
    ) -> Result<T, CacheError> {
        if !matches!(answer.status, 200..=299) {
            return Err(self.requests.refused(what, answer));
        }
        let body = self.requests.whole(answer, MAX_ANSWER)?;
        let read = serde_json::from_slice(&body);
        read.map_err(|error| self.requests.protocol(format!("{what}: {error}")))
    }
}

fn with_query(url: &str, query: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{query}")
}

/// Base64 as part of a query.
fn escaped(id: &str) -> String {
    id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

fn block_list(parts: &[&str]) -> String {
    let blocks = parts.join("</Latest><Latest>");
    let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
    format!("{head}<BlockList><Latest>{blocks}</Latest></BlockList>")
}
