//! What a build makes, to a cache, while later steps run: only what that lacks, compressed once, and within a
//! time that whoever builds will wait.
//!
//! ```text
//! add ── steps ──► prepare: asks for the records, compresses ── records ──► send: asks for the blobs, puts both
//! finish ── the rest of the steps, then waits for both ──► the last object of the cache
//! ```
//!
//! Both ends are threads of their own, which are left behind where the cache does not answer.

mod prepare;
mod queue;
mod send;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rayon::ThreadPool;
use wythe_store::cache_backend::{CacheBackend, CacheError};
use wythe_store::error::ReadError;
use wythe_store::id::{CacheKey, LayerId};
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::ExportError;
use wythe_store::lease::Lease;
use wythe_store::patience::{Late, Patience};
use wythe_store::portable_document::PortableDocument;
use wythe_store::portable_listings::ListingsError;
use wythe_store::record_origin::RecordOrigin;
use wythe_store::timestamp::Timestamp;

use self::queue::{Queue, UploadEnd};

/// How long a build waits for a cache to be written unless it is said otherwise: as long as a large image
/// takes on a slow line, and not as long as jobs may run.
pub const UPLOAD_TIME: Duration = Duration::from_mins(10);

/// How layers are compressed that are in no image, and leave for a cache alone: steps run meanwhile, and want the
/// processor. A layer of libraries takes a third of the time of gzip, and is a twentieth longer.
pub const CACHE_ONLY: Codec = Codec::Zstd { level: 1 };

/// A step whose result is to be kept.
#[derive(Clone, Debug)]
pub struct MadeStep {
    /// What it is found by.
    pub key: CacheKey,
    /// What it is called.
    pub name: String,
    /// The layer that it made, in the store.
    pub layer: LayerId,
    /// How that is compressed: as it is in an image, so that both have the same blob.
    pub codec: Codec,
    /// When it ran.
    pub created: Timestamp,
    /// How long it took; zero where that is not known.
    pub duration: Duration,
    /// What its place is known by: there the latest result is kept, to be compared with.
    pub place: CacheKey,
    /// What went into its key, and which listings the store has of that.
    pub inputs: Vec<(String, String)>,
    /// Where it was made, and from which source.
    pub origin: Option<RecordOrigin>,
}

/// Where results go, and how.
#[derive(Clone)]
pub struct UploadPlan {
    /// Keeps the layers meanwhile.
    pub lease: Arc<Lease>,
    /// The cache.
    pub backend: Arc<dyn CacheBackend>,
    /// Where layers are compressed.
    pub pool: Arc<ThreadPool>,
    /// How long the build waits for it in the end, and how long it may give no sign of life.
    pub patience: Patience,
}

/// Results on their way to a cache. Where this is dropped before it is finished, nothing more is begun.
pub struct Upload {
    plan: UploadPlan,
    queue: Arc<Queue>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Uploaded {
    /// How many results the cache lacked.
    pub records: usize,
    /// How many blobs it lacked.
    pub blobs: usize,
    /// How many bytes these have.
    pub bytes: u64,
}

/// A cache that was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// It could not do what it was asked for.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The listings of what a step has read could not be packed.
    #[error(transparent)]
    Listings(#[from] ListingsError),
    /// A layer could not be compressed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was not waited for any longer.
    #[error(transparent)]
    Late(#[from] Late),
    /// What writes it came to an unforeseen end.
    #[error("cache {backend}: what writes it has ended")]
    Ended {
        /// The name of the cache.
        backend: String,
    },
}

impl fmt::Debug for UploadPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("UploadPlan");
        out.field("backend", &self.backend.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Upload").field(&self.plan).finish()
    }
}

impl UploadPlan {
    /// Begins to wait for results. Nothing is asked before the first.
    pub fn begin(self) -> Upload {
        let queue = Arc::new(Queue::default());
        let (plan, shared) = (self.clone(), queue.clone());
        std::thread::spawn(move || shared.ending(|| prepare::run(&plan, &shared).map(|()| None)));
        let (plan, shared) = (self.clone(), queue.clone());
        std::thread::spawn(move || shared.ending(|| send::run(&plan, &shared).map(Some)));
        Upload { plan: self, queue }
    }
}

impl Upload {
    /// Adds a step whose layer is in the store. What the cache lacks of it goes there as soon as it can.
    pub fn add(&self, step: MadeStep) {
        self.queue.add([step]);
    }

    /// Adds documents that are kept beside results, where there are any that the cache lacks: for their sake alone
    /// nothing is written.
    pub fn add_documents(&self, documents: Vec<PortableDocument>) {
        self.queue.add_documents(documents);
    }

    /// Adds the steps that were not added before, and waits until the cache has all of them. Where it had
    /// them already nothing is compressed, read or sent.
    ///
    /// # Errors
    ///
    /// If the cache or the store fails, or the cache takes too long; what was written then stays.
    pub fn finish(self, steps: Vec<MadeStep>) -> Result<Uploaded, UploadError> {
        self.queue.complete(steps);
        let UploadPlan { backend, patience, .. } = &self.plan;
        match self.queue.wait(patience) {
            Ok(UploadEnd::Finished(outcome)) => outcome,
            Ok(UploadEnd::Unforeseen) => {
                Err(UploadError::Ended { backend: backend.name().to_owned() })
            }
            Err(why) => Err(patience.late(why, &**backend).into()),
        }
    }

    /// Waits until the cache has the steps that were added, of a build that comes to no end: who builds next finds them.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn salvage(self) -> Result<Uploaded, UploadError> {
        self.finish(Vec::new())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}
