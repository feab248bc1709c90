//! A cache of records and blobs over the calls of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue};
use rustls::ClientConfig;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_record::PortableRecord;
use wythe_store::side_by_side::side_by_side;

use crate::address::ReapiAddress;
use crate::channel::Channel;
use crate::grpc::{Call, CallError, Messages, unary};
use crate::message::{self, BlobName, Capabilities, Compression, Recorded, StreamEnd};

const API: &str = "build.bazel.remote.execution.v2";
/// How many bytes go in one call where the server does not say: what gRPC takes unless it is told otherwise.
const BATCH: u64 = 4 << 20;
/// What a call needs beside its blobs.
const BATCH_HEAD: u64 = 64 << 10;
/// Blobs up to this go in calls with others.
const SMALL: u64 = 1 << 20;
/// How much a piece of a stream has.
const PIECE: usize = 1 << 20;
/// Records that are asked for at once.
const THREADS: usize = 16;
/// Keeps the actions of this cache apart from all others.
const SALT: &[u8] = b"wythe cache record\0";
/// How often what only reads, or may be said twice, is tried where a server does not answer.
const ATTEMPTS: u32 = 3;

/// Where a cache is, and who asks.
#[derive(Clone)]
pub struct ReapiOptions {
    /// The server and the instance.
    pub address: ReapiAddress,
    /// Sent as `authorization: Bearer`.
    pub token: Option<String>,
    /// The part of the cache whose records are meant; blobs are those of the instance.
    pub scope: Option<String>,
    /// Whose certificates are good, for addresses that begin with `grpcs`.
    pub tls: Arc<ClientConfig>,
    /// A number that no other client has, to tell uploads apart.
    pub nonce: u64,
}

/// A cache at a server of the remote execution API.
#[derive(Debug)]
pub struct ReapiCache {
    name: String,
    channel: Channel,
    headers: HeaderMap,
    scope: String,
    capabilities: OnceLock<Capabilities>,
    uploads: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The sizes of blobs, as records say: the API names a blob by both.
    sizes: BTreeMap<Digest, u64>,
    /// Small blobs that are to be written together.
    small: Vec<(BlobName, Vec<u8>)>,
    /// Blobs that are not what they are called.
    discredited: BTreeSet<Digest>,
}

impl std::fmt::Debug for ReapiOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ReapiOptions").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ReapiCache {
    /// A cache. Nothing is connected before the first question.
    ///
    /// # Errors
    ///
    /// If this machine has no thread for it, or the token cannot be sent.
    pub fn new(options: ReapiOptions) -> io::Result<Self> {
        let ReapiOptions { address, token, scope, tls, nonce } = options;
        let instance = if address.instance.is_empty() { "" } else { "/" };
        let name = format!("reapi {}{instance}{}", address.authority(), address.instance);
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| io::Error::other("the token cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        let tls = address.is_encrypted().then_some(&tls);
        Ok(Self {
            name,
            channel: Channel::new(address, tls)?,
            headers,
            scope: scope.unwrap_or_default(),
            capabilities: OnceLock::new(),
            uploads: AtomicU64::new(nonce),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> &str {
        &self.channel.address.instance
    }

    fn fail(&self, problem: CacheProblem) -> CacheError {
        CacheError { backend: self.name.clone(), problem }
    }

    fn failed(&self, error: &CallError) -> CacheError {
        let detail = error.to_string();
        self.fail(match error {
            CallError::Status { code: 5, .. } => CacheProblem::NotFound { detail },
            CallError::Status { code: 7 | 16, .. } => CacheProblem::Unauthorized { detail },
            CallError::Status { code: 8, .. } => CacheProblem::RateLimited { detail, after: None },
            CallError::Status { code: 4 | 14, .. } | CallError::Io(_) => {
                CacheProblem::Network { detail }
            }
            CallError::Status { .. } | CallError::Protocol(_) => CacheProblem::Protocol { detail },
        })
    }

    fn odd(&self) -> CacheError {
        self.fail(CacheProblem::Protocol { detail: "an answer that is none".to_owned() })
    }

    /// A call that may be made again where the server was not reached.
    fn ask(&self, method: &str, message: &[u8]) -> Result<Bytes, CallError> {
        let method = format!("{API}.{method}");
        let mut attempt = 0;
        loop {
            attempt += 1;
            match unary(&self.channel, (&method, &self.headers), message) {
                Err(CallError::Io(_) | CallError::Status { code: 14, .. })
                    if attempt < ATTEMPTS => {}
                answer => return answer,
            }
        }
    }

    /// What the server can do. One that does not say can do what all can.
    fn capabilities(&self) -> Result<Capabilities, CacheError> {
        if let Some(known) = self.capabilities.get() {
            return Ok(*known);
        }
        let message = message::get_capabilities(self.instance());
        let found = match self.ask("Capabilities/GetCapabilities", &message) {
            Ok(answer) => message::capabilities(&answer).ok_or_else(|| self.odd())?,
            Err(CallError::Status { code: 12, .. }) => Capabilities::default(),
            Err(error) => return Err(self.failed(&error)),
        };
        Ok(*self.capabilities.get_or_init(|| found))
    }

    /// How many bytes of blobs go in one call.
    fn batch(&self) -> Result<u64, CacheError> {
        let said = self.capabilities()?.batch;
        let limit = if said == 0 { BATCH } else { said.min(BATCH) };
        Ok(limit.saturating_sub(BATCH_HEAD).max(1))
    }

    /// The action that stands for a key.
    fn action(&self, key: &CacheKey) -> BlobName {
        let scope = (self.scope.len() as u64).to_le_bytes();
        let salt = [SALT, &scope, self.scope.as_bytes(), key.as_bytes()].concat();
        let action = message::action(&salt);
        BlobName { digest: Digest::of(&action), size: action.len() as u64 }
    }

    fn record(&self, key: &CacheKey) -> Result<Option<Vec<u8>>, CacheError> {
        let message = message::get_action(self.instance(), &self.action(key));
        let result = match self.ask("ActionCache/GetActionResult", &message) {
            Ok(result) => result,
            Err(CallError::Status { code: 5, .. }) => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        match message::recorded(&result) {
            Some(Recorded::Here(record)) => Ok(Some(record)),
            Some(Recorded::In(name)) if name.size <= SMALL => {
                let data = self.small(name)?;
                Ok(Some(data).filter(|data| Digest::of(data) == name.digest))
            }
            Some(Recorded::In(_)) | None => Ok(None),
        }
    }

    /// Notes how long the blobs are that a record speaks of, unless one of them is known to be something else.
    fn learn(&self, record: Vec<u8>) -> Option<Vec<u8>> {
        if let Some(kept) = PortableRecord::decode(&record) {
            let mut state = self.state();
            if kept.blobs().iter().any(|blob| state.discredited.contains(&blob.digest)) {
                return None;
            }
            state.sizes.extend(kept.blobs().into_iter().map(|blob| (blob.digest, blob.size)));
        }
        Some(record)
    }

    fn lacks(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, CacheError> {
        let message = message::find_missing(self.instance(), blobs);
        let answer = self.ask("ContentAddressableStorage/FindMissingBlobs", &message);
        let answer = answer.map_err(|error| self.failed(&error))?;
        message::missing(&answer).ok_or_else(|| self.odd())
    }

    /// A blob that comes in one message.
    fn small(&self, name: BlobName) -> Result<Vec<u8>, CacheError> {
        let message = message::batch_read(self.instance(), &[name]);
        let answer = self.ask("ContentAddressableStorage/BatchReadBlobs", &message);
        let answer = answer.map_err(|error| self.failed(&error))?;
        let mut answers = message::read(&answer).ok_or_else(|| self.odd())?;
        let one = answers.pop().filter(|one| one.name == name).ok_or_else(|| self.odd())?;
        match one.code {
            0 => Ok(one.data),
            code => {
                let code = u32::try_from(code).unwrap_or(u32::MAX);
                Err(self.failed(&CallError::Status { code, message: one.message }))
            }
        }
    }

    /// Writes the small blobs that wait.
    fn flush(&self) -> Result<(), CacheError> {
        let blobs = std::mem::take(&mut self.state().small);
        if blobs.is_empty() {
            return Ok(());
        }
        let message = message::batch_update(self.instance(), &blobs);
        let answer = self.ask("ContentAddressableStorage/BatchUpdateBlobs", &message);
        let answer = answer.map_err(|error| self.failed(&error))?;
        let answers = message::updated(&answer).ok_or_else(|| self.odd())?;
        match answers.into_iter().find(|one| one.code != 0) {
            None => Ok(()),
            Some(one) => {
                let code = u32::try_from(one.code).unwrap_or(u32::MAX);
                Err(self.failed(&CallError::Status { code, message: one.message }))
            }
        }
    }

    /// Keeps a small blob until there are enough of them for a call.
    fn gather(&self, name: BlobName, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let mut data = Vec::new();
        let read =
            (blob.open)().and_then(|reader| reader.take(name.size + 1).read_to_end(&mut data));
        read.map_err(|error| self.fail(error.into()))?;
        if data.len() as u64 != name.size {
            return Err(self.fail(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
        }
        let limit = self.batch()?;
        let waiting: u64 = self.state().small.iter().map(|(other, _)| other.size).sum();
        if limit < waiting + name.size {
            self.flush()?;
        }
        self.state().small.push((name, data));
        Ok(())
    }

    /// Sends a blob piece by piece.
    fn stream(&self, name: BlobName, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let id = self.uploads.fetch_add(1, Ordering::Relaxed);
        let zip = if is_dense(blob.media_type) {
            Compression::None
        } else {
            self.capabilities()?.streams
        };
        let resource = name.resource(self.instance(), Some(id), zip);
        let io = |error: io::Error| self.fail(error.into());
        let source = (blob.open)().map_err(io)?;
        let mut source: Box<dyn Read + '_> = match zip {
            Compression::None => source,
            Compression::Zstd => Box::new(zstd::stream::read::Encoder::new(source, 1).map_err(io)?),
        };
        let failed = |error: CallError| self.failed(&error);
        let method = "google.bytestream.ByteStream/Write";
        let mut call = Call::begin(&self.channel, method, &self.headers).map_err(failed)?;
        let mut sent = 0_u64;
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            source.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(io)?;
            let end = if piece.len() < PIECE { StreamEnd::Last } else { StreamEnd::More };
            let message = message::write_stream(&resource, sent, &piece, end);
            // Where somebody else was faster, the server has answered and takes no more.
            if call.send(&message).is_err() || end == StreamEnd::Last {
                break;
            }
            sent += piece.len() as u64;
        }
        let mut answers = call.finish().map_err(failed)?;
        while answers.next().map_err(failed)?.is_some() {}
        Ok(())
    }

    /// A blob of which a record has spoken.
    fn open(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let size = self.state().sizes.get(blob).copied();
        let Some(size) = size else {
            let detail = format!("{blob}: no record speaks of it");
            return Err(self.fail(CacheProblem::NotFound { detail }));
        };
        let name = BlobName { digest: *blob, size };
        let range = range.start.min(size)..range.end.min(size);
        if size <= SMALL.min(self.batch()?) {
            let skipped = usize::try_from(range.start).unwrap_or(usize::MAX);
            let mut data = Bytes::from(self.small(name)?);
            data.advance(skipped.min(data.len()));
            return Ok(Box::new(data.reader().take(range.end.saturating_sub(range.start))));
        }
        let resource = name.resource(self.instance(), None, Compression::None);
        let limit = range.end.saturating_sub(range.start);
        if limit == 0 {
            return Ok(Box::new(io::empty()));
        }
        let failed = |error: CallError| self.failed(&error);
        let method = "google.bytestream.ByteStream/Read";
        let mut call = Call::begin(&self.channel, method, &self.headers).map_err(failed)?;
        call.send(&message::read_stream(&resource, range.start, limit)).map_err(failed)?;
        let mut pieces = Pieces { messages: call.finish().map_err(failed)?, piece: Bytes::new() };
        // That there is none is told before anything is read.
        pieces.advance().map_err(failed)?;
        Ok(Box::new(pieces.take(limit)))
    }
}

/// Whether bytes of a type are compressed as they are.
fn is_dense(media_type: &str) -> bool {
    media_type.ends_with("gzip") || media_type.ends_with("zstd")
}

impl CacheBackend for ReapiCache {
    fn name(&self) -> &str {
        &self.name
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let found = side_by_side(keys, THREADS, |key| self.record(key));
        let learn = |found: Result<Option<Vec<u8>>, CacheError>| {
            found.map(|record| record.and_then(|record| self.learn(record)))
        };
        found.into_iter().map(learn).collect()
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        // Of a blob that no record speaks of its size is not known: whoever puts it looks again.
        let known: Vec<BlobName> = {
            let state = self.state();
            let named = |digest: &Digest| {
                state.sizes.get(digest).map(|size| BlobName { digest: *digest, size: *size })
            };
            let sound = blobs.iter().filter(|digest| !state.discredited.contains(digest));
            sound.filter_map(named).collect()
        };
        let lacking = if known.is_empty() { Vec::new() } else { self.lacks(&known)? };
        let is_there = |digest: &Digest| {
            known.iter().any(|name| name.digest == *digest && !lacking.contains(name))
        };
        Ok(blobs.iter().filter(|digest| !is_there(digest)).copied().collect())
    }

    fn unasked(&self) -> u64 {
        0
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        self.open(blob, range).inspect_err(|error| {
            if matches!(error.problem, CacheProblem::NotFound { .. }) {
                self.discredit(blob);
            }
        })
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let name = BlobName { digest: blob.digest, size: blob.size };
        let is_bad = self.state().discredited.contains(&blob.digest);
        if is_bad || !self.lacks(&[name])?.is_empty() {
            if name.size <= SMALL.min(self.batch()?) {
                self.gather(name, blob)?;
            } else {
                self.stream(name, blob)?;
            }
        }
        let mut state = self.state();
        state.discredited.remove(&name.digest);
        state.sizes.insert(name.digest, name.size);
        Ok(())
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.flush()?;
        let put = |(key, record): &(CacheKey, Vec<u8>)| {
            let kept = PortableRecord::decode(record);
            let named = kept.iter().flat_map(PortableRecord::blobs);
            let name = |blob: &Descriptor| BlobName { digest: blob.digest, size: blob.size };
            let blobs: Vec<BlobName> = named.map(name).collect();
            let message =
                message::update_action(self.instance(), &self.action(key), record, &blobs);
            let put = self.ask("ActionCache/UpdateActionResult", &message);
            put.map(drop).map_err(|error| self.failed(&error))
        };
        side_by_side(records, THREADS, put).into_iter().collect()
    }

    /// Servers look at what they are given, and one that has lost a blob of its own accord may take it again.
    fn discredit(&self, blob: &Digest) {
        self.state().discredited.insert(*blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        self.flush()
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A blob as it comes.
struct Pieces<'a> {
    messages: Messages<'a>,
    piece: Bytes,
}

impl Pieces<'_> {
    fn advance(&mut self) -> Result<bool, CallError> {
        while self.piece.is_empty() {
            let Some(message) = self.messages.next()? else { return Ok(false) };
            let data = message::streamed(&message);
            self.piece = data.ok_or_else(|| CallError::Protocol("no piece".to_owned()))?.into();
        }
        Ok(true)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.advance().map_err(io::Error::other)? {
            return Ok(0);
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.split_to(count).copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
