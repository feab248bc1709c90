//! A cache on a web server, in the places where Bazel keeps one: `ac/<key>` for records, `cas/<sha256>` for blobs.
//!
//! The records of all builds lie together under one key, and the small blobs of a build in one, so that a build asks for
//! few things, however many steps it has.
//!
//! `bazel-remote`, Artifactory, nginx and every `WebDAV` server are such. Collections of `WebDAV` that are missing are
//! made when a `PUT` is refused for their want.

mod collections;
mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use wythe_registry::client::Client;
use wythe_registry::exchange::{ServiceAnswer, ServiceBody};
use wythe_registry::settings::Timing;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::side_by_side::side_by_side;

use self::index::{Conditions, Indexed};
use crate::bundles::{Bundles, SMALL, Sealed, within};
use crate::pack::Pack;
use crate::parallel::those;
use crate::ranged::{RangedReader, value_of};
use crate::requests::{Ask, Busy, Requests, headers};

/// How many requests are made at once: what a small server answers as fast as it would one after another.
const THREADS: usize = 16;
/// Records are some kilobytes, and all of them together some hundred; what is longer is none.
const MAX_RECORD: u64 = 16 << 20;

/// Where a cache is, and who asks.
#[derive(Clone)]
pub struct HttpOptions {
    /// The address, `http` or `https`, under which `ac/` and `cas/` lie. A user and a password in it are taken for
    /// those of [`HttpAccess::Basic`].
    pub url: String,
    /// The part of the cache whose records are meant: they lie in `<scope>/ac/`, blobs of all scopes in `cas/`.
    pub scope: Option<String>,
    /// Who asks.
    pub access: HttpAccess,
}

/// Who asks a web server.
#[derive(Clone, Default)]
pub enum HttpAccess {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has this token.
    Bearer(String),
}

/// An address at which no cache can be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpAddressError {
    /// It is none.
    #[error("not an address: {0}")]
    Url(#[from] url::ParseError),
    /// It is not one of the web.
    #[error("{scheme}: is neither http nor https")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// It has a query or a fragment, behind which nothing can lie.
    #[error("an address with ? or # has nothing below it")]
    Query,
}

/// A cache on a web server.
#[derive(Debug)]
pub struct HttpCache {
    requests: Requests,
    /// The address with a slash at its end.
    base: Url,
    /// In what records lie, with a slash at its end.
    records: String,
    authorization: Option<String>,
    /// Whether what the first blob is to lie in was seen to.
    prepared: OnceLock<()>,
    conditions: OnceLock<Conditions>,
    /// Whether there are records that lie apart from the index.
    loose: OnceLock<bool>,
    bundles: Bundles,
    state: Mutex<State>,
    /// Blobs that records speak of and the server has no more, or something else in their place.
    lost: Mutex<BTreeSet<Digest>>,
}

#[derive(Debug, Default)]
struct State {
    /// The index when it was looked at last; `None` before.
    read: Option<Indexed>,
    /// What this build adds.
    new: Pack,
}

impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HttpOptions").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HttpAccess {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

impl HttpCache {
    /// A cache that is asked with `client`. Nothing is connected before the first question.
    ///
    /// # Errors
    ///
    /// If there can be none at this address.
    pub fn new(
        client: Client,
        timing: Arc<dyn Timing>,
        options: HttpOptions,
    ) -> Result<Self, HttpAddressError> {
        let mut base: Url = options.url.parse()?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(HttpAddressError::Scheme { scheme: base.scheme().to_owned() });
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(HttpAddressError::Query);
        }
        let is_told = !matches!(options.access, HttpAccess::Anonymous);
        let access = if is_told { options.access } else { access_of(&base) };
        // Neither can fail on an address of the web.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let part = options.scope.map(|scope| format!("{scope}/")).unwrap_or_default();
        let name = format!("http {base}{part}");
        let requests = Requests::new(client, timing, name, Busy::Wait);
        Ok(Self {
            requests,
            base,
            records: format!("{part}ac/"),
            authorization: authorization(&access),
            prepared: OnceLock::new(),
            conditions: OnceLock::new(),
            loose: OnceLock::new(),
            bundles: Bundles::default(),
            state: Mutex::default(),
            lost: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn fail(&self, problem: impl Into<CacheProblem>) -> CacheError {
        self.requests.error(problem.into())
    }

    /// Reads what was there when it was looked at first.
    fn at_first<T>(&self, read: impl FnOnce(&Pack) -> T) -> Result<T, CacheError> {
        let mut state = self.state();
        let found = match &mut state.read {
            Some(found) => found,
            unread => unread.insert(self.read_index()?),
        };
        Ok(read(&found.pack))
    }

    /// In which bundle a blob lies, and where in it.
    fn bundle_of(&self, blob: &Digest) -> Result<Option<(Descriptor, Range<u64>)>, CacheError> {
        let read = self.at_first(|pack| pack.bundle_of(blob))?;
        Ok(read.or_else(|| self.state().new.bundle_of(blob)))
    }

    fn put_bundle(&self, (bundle, bytes): &Sealed) -> Result<(), CacheError> {
        let url = self.blob_url(&bundle.blob().digest);
        let answer = self.put_answer(&url, ServiceBody::Bytes(bytes), bytes.len() as u64, &[])?;
        self.is_put("writing a blob", answer)?;
        lock(&self.lost).remove(&bundle.blob().digest);
        self.state().new.insert(bundle.key(), &bundle.encode());
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn record_url(&self, key: &CacheKey) -> String {
        self.url(&format!("{}{key}", self.records))
    }

    fn blob_url(&self, blob: &Digest) -> String {
        self.url(&format!("cas/{}", blob.hex()))
    }

    /// One question, with who asks.
    fn ask(&self, ask: &Ask<'_, '_>) -> Result<ServiceAnswer, CacheError> {
        let own =
            self.authorization.iter().map(|value| ("authorization".to_owned(), value.clone()));
        let headers: Vec<_> = own.chain(ask.headers.iter().cloned()).collect();
        self.requests.send(&Ask { headers: &headers, ..*ask })
    }

    /// A question that carries nothing, and whose answer has so many bytes.
    fn ask_for(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        bytes: u64,
    ) -> Result<ServiceAnswer, CacheError> {
        self.ask(&Ask { method, url, headers, body: ServiceBody::Empty, bytes })
    }

    fn is_missing(&self, blob: &Digest) -> Result<bool, CacheError> {
        let url = self.blob_url(blob);
        let answer = self.ask_for("HEAD", &url, &[], 0)?;
        match answer.status {
            200 | 204 => Ok(false),
            404 | 410 => Ok(true),
            _ => Err(self.requests.refused("looking for a blob", answer)),
        }
    }

    /// What a server says to what is to be at an address; what it lacks on the way there is made once.
    fn put_answer(
        &self,
        url: &str,
        body: ServiceBody<'_>,
        bytes: u64,
        condition: &[(String, String)],
    ) -> Result<ServiceAnswer, CacheError> {
        let mut headers = headers([("content-type", "application/octet-stream")]);
        headers.extend_from_slice(condition);
        let ask = Ask { method: "PUT", url, headers: &headers, body, bytes };
        let answer = self.ask(&ask)?;
        if matches!(answer.status, 404 | 409) && self.make_collections_above(url)? {
            return self.ask(&ask);
        }
        Ok(answer)
    }

    /// Whether it is there now.
    fn is_put(&self, what: &str, answer: ServiceAnswer) -> Result<(), CacheError> {
        match answer.status {
            // 412 where it was there before, on a server that lets nothing be written twice.
            200..=299 | 412 => Ok(()),
            _ => Err(self.requests.refused(what, answer)),
        }
    }

    /// Puts a blob that lies by itself.
    fn put_apart(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let body = ServiceBody::Stream(blob.open, blob.size);
        let url = self.blob_url(&blob.digest);
        // A server that refuses a long body for want of a collection may hang up before it is heard.
        if self.prepared.get().is_none() {
            self.make_collections_above(&url)?;
            self.prepared.get_or_init(|| ());
        }
        let answer = self.put_answer(&url, body, blob.size, &[])?;
        self.is_put("writing a blob", answer)?;
        lock(&self.lost).remove(&blob.digest);
        Ok(())
    }

    /// Notes that what lies by itself cannot be had: what needs it is made and kept again.
    fn lose(&self, blob: &Digest) {
        lock(&self.lost).insert(*blob);
        self.state().read.iter_mut().for_each(|read| read.pack.forget(blob));
    }

    /// A reader of some bytes of what lies by itself. Where it does not any more, that is noted: what needs it is made
    /// and kept again.
    fn ranged(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let url = self.blob_url(blob);
        let fetch = move |piece: Range<u64>| {
            let extra = headers([("range", &value_of(&piece)), ("accept-encoding", "identity")]);
            // A server may send all there is, which must have its time, too.
            let bytes = piece.end;
            let answer = self.ask_for("GET", &url, &extra, bytes)?;
            match answer.status {
                200 | 206 | 416 => Ok(answer),
                _ => Err(self.requests.refused("reading a blob", answer)),
            }
        };
        let reader = RangedReader::open(range, self.requests.timing(), Box::new(fetch));
        let reader = reader.inspect_err(|error| {
            if matches!(error.problem, CacheProblem::NotFound { .. }) {
                self.lose(blob);
            }
        })?;
        Ok(Box::new(reader))
    }
}

impl CacheBackend for HttpCache {
    fn name(&self) -> &str {
        self.requests.name()
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let get = |pack: &Pack, key| pack.get(key).map(<[u8]>::to_vec);
        let found =
            self.at_first(|pack| keys.iter().map(|key| get(pack, key)).collect::<Vec<_>>())?;
        if found.iter().all(Option::is_some) || !self.has_loose()? {
            return Ok(found);
        }
        let open: Vec<_> = keys.iter().zip(found).collect();
        let ask = |(key, found): &(&CacheKey, Option<Vec<u8>>)| match found {
            Some(record) => Ok(Some(record.clone())),
            None => self.loose_record(key),
        };
        side_by_side(&open, THREADS, ask).into_iter().collect()
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        let is_missing = |blob: &Digest| {
            let is_bundled = self.bundles.has(blob) || self.bundle_of(blob)?.is_some();
            let is_lost = lock(&self.lost).contains(blob);
            Ok(is_lost || !is_bundled && self.is_missing(blob)?)
        };
        those(blobs, THREADS, is_missing)
    }

    fn unasked(&self) -> u64 {
        SMALL
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let Some((bundle, part)) = self.bundle_of(blob)? else { return self.ranged(blob, range) };
        let read = |range| self.ranged(&bundle.digest, range);
        self.bundles.open(&bundle, within(&part, &range), read, |error| self.fail(error))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        if SMALL < blob.size {
            return self.put_apart(blob);
        }
        if self.bundle_of(&blob.digest)?.is_some() {
            return Ok(());
        }
        let full = self.bundles.add(blob).map_err(|error| self.fail(error))?;
        full.map_or(Ok(()), |sealed| self.put_bundle(&sealed))
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.state().new.add(records);
        Ok(())
    }

    fn discredit(&self, blob: &Digest) {
        // Whoever has read of it has read the index.
        let bundle = self.bundle_of(blob).ok().flatten();
        let lies_in = bundle.map_or(*blob, |(bundle, _)| bundle.digest);
        self.bundles.forget(&lies_in);
        self.lose(&lies_in);
    }

    /// Writes the index once, if there is anything new.
    fn finish(&self) -> Result<(), CacheError> {
        if self.state().new.is_empty() {
            return Ok(());
        }
        self.bundles.seal().map_or(Ok(()), |sealed| self.put_bundle(&sealed))?;
        let mut new = std::mem::take(&mut self.state().new);
        self.at_first(|read| new.take_bundles_of(read))?;
        self.write_index(new)
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A panic while one is held leaves what was there.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom an address names.
fn access_of(url: &Url) -> HttpAccess {
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    match (url.username(), url.password()) {
        ("", None) => HttpAccess::Anonymous,
        (user, password) => HttpAccess::Basic {
            user: decoded(user),
            password: decoded(password.unwrap_or_default()),
        },
    }
}

fn authorization(access: &HttpAccess) -> Option<String> {
    match access {
        HttpAccess::Anonymous => None,
        HttpAccess::Basic { user, password } => {
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
        HttpAccess::Bearer(token) => Some(format!("Bearer {token}")),
    }
}
