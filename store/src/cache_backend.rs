//! Caches that other machines share: the seam between what looks results up and what moves their bytes.
//!
//! A backend holds two kinds of things: records, under the key of what a step was made from, and blobs, under
//! their digest. Both are the same for all backends, both are immutable, and to put one twice is to put it once;
//! so any number of machines may write to the same place.

use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

use crate::digest::{Digest, Hasher};
use crate::id::CacheKey;
use crate::oci::descriptor::Descriptor;
use crate::oci::reference::Reference;

/// A place outside of the store where results are kept.
///
/// No method has a default: a backend that stands before another one has to hand on all of them, and one that it forgot
/// would answer for the other without a word.
///
/// No method is trusted: what a record says and what a blob contains is checked by whoever asked, and an
/// error is never more than a miss. Methods are called from several threads.
pub trait CacheBackend: Send + Sync {
    /// What it is and where, as a message names it: `registry r.example/app:cache`.
    fn name(&self) -> &str;

    /// The repository that holds the blobs, from which its registry can take them by itself; `None`
    /// where they are at no registry.
    fn repository(&self) -> Option<&Reference>;

    /// The records under `keys`, in their order; `None` where there is none. All keys that are known to be
    /// wanted are asked for at once, so that a backend needs as few round trips as it can.
    ///
    /// # Errors
    ///
    /// If the backend was not reached, refused, or answered what it must not. That there is nothing yet, not
    /// even the place itself, is no error.
    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError>;

    /// Which of `blobs` the backend does not hold, in their order.
    ///
    /// # Errors
    ///
    /// As [`records`](Self::records).
    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError>;

    /// Up to which size a blob is put as soon as it would be asked for, so that [`missing`](Self::missing) is not
    /// asked of it first; zero where many are asked for at once.
    fn unasked(&self) -> u64;

    /// A reader of the bytes `range` of a blob, which is not verified. It is one that a record speaks of which
    /// was asked for before.
    ///
    /// # Errors
    ///
    /// [`CacheProblem::NotFound`] if it is not there (any more).
    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError>;

    /// Keeps a blob. It is there when this returns, or at the latest when [`finish`](Self::finish) does.
    ///
    /// # Errors
    ///
    /// If it could not be written.
    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError>;

    /// Keeps records whose blobs were put before. They are found when this returns, or at the latest when
    /// [`finish`](Self::finish) does.
    ///
    /// # Errors
    ///
    /// If they could not be written.
    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError>;

    /// Takes note that what came under the name of a blob is something else, or that a record says of it what it is not: from
    /// now on neither it nor records that need it are there, and to put it writes over what there is, where that
    /// can be done. So whoever makes a thing again that somebody has damaged mends the cache for all.
    fn discredit(&self, blob: &Digest);

    /// Writes what is left to write. Nothing is put afterwards.
    ///
    /// # Errors
    ///
    /// If it could not be written; what other machines have written stays found.
    fn finish(&self) -> Result<(), CacheError>;

    /// What was found and is not to be used, in sentences for whoever builds, since it was last asked for.
    fn complaints(&self) -> Vec<String>;
}

/// Whether a backend has other bytes under the name of a blob, more or fewer among them. One that does not answer, or not
/// to the end, may have the right ones.
pub fn has_other(backend: &dyn CacheBackend, blob: &Descriptor) -> bool {
    let Ok(mut reader) = backend.blob(&blob.digest, 0..blob.size) else { return false };
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 128 << 10]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return hasher.finish() != blob.digest,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Opens what is to be sent, once for every attempt.
pub type OpenBlob<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync);

/// A blob to be kept.
#[derive(Clone, Copy)]
pub struct CacheBlob<'a> {
    /// What it is named by.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Its media type, for backends that note one.
    pub media_type: &'a str,
    /// Its bytes.
    pub open: OpenBlob<'a>,
}

impl std::fmt::Debug for CacheBlob<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = out.debug_struct("CacheBlob");
        out.field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A backend that could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("cache {backend}: {problem}")]
pub struct CacheError {
    /// The [name](CacheBackend::name) of the backend.
    pub backend: String,
    /// Why it could not.
    #[source]
    pub problem: CacheProblem,
}

/// Why a backend could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheProblem {
    /// It does not hold that.
    #[error("not found: {detail}")]
    NotFound {
        /// What was asked for.
        detail: String,
    },
    /// It wants credentials, or better ones.
    #[error("access denied: {detail}")]
    Unauthorized {
        /// What it said.
        detail: String,
    },
    /// It has had enough for now.
    #[error("too many requests: {detail}")]
    RateLimited {
        /// What it said.
        detail: String,
        /// When it may be asked again, where it said so.
        after: Option<Duration>,
    },
    /// It has no room, or takes nothing of this size.
    #[error("no room: {detail}")]
    Full {
        /// What it said.
        detail: String,
    },
    /// It was not reached, or gave up midway.
    #[error("{detail}")]
    Network {
        /// What failed.
        detail: String,
    },
    /// It answered what it must not, or holds what is none of ours.
    #[error("unexpected answer: {detail}")]
    Protocol {
        /// What it answered.
        detail: String,
    },
    /// A local file or the blob to be sent could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
