//! What leaves, with the layers of base images that no step has needed: fetched when they are read.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use wythe_registry::push::BlobHolders;
use wythe_store::digest::Digest;
use wythe_store::error::ReadError;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::StoredContent;
use wythe_store::image::save::SaveError;
use wythe_store::lease::Lease;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::interruptible::{Ending, Interruptible};
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::options::LayerOptions;

/// Layers at a time. Registries limit each connection more than each client.
const PARALLEL: usize = 4;

/// What a store holds, and what it can still get.
#[derive(Clone)]
pub struct OutgoingContent<'a> {
    pub(crate) lease: &'a Lease,
    images: &'a dyn ImageSource,
    stored: StoredContent<'a>,
    pub(crate) origins: &'a [BlobOrigin],
    /// Those that became known since.
    learned: Arc<RwLock<Vec<Arc<BlobOrigin>>>>,
    /// Whether nobody waits for those any more.
    is_abandoned: Arc<AtomicBool>,
    neighbours: Vec<String>,
    check: &'a Check<'a>,
}

/// Whether it goes on: an error is why not.
type Check<'a> = dyn Fn() -> io::Result<()> + Sync + 'a;

impl<'a> OutgoingContent<'a> {
    /// What the lease's store holds, and what `images` hands over of `origins`.
    pub fn new(lease: &'a Lease, images: &'a dyn ImageSource, origins: &'a [BlobOrigin]) -> Self {
        let (stored, neighbours) = (StoredContent(lease.store()), Vec::new());
        let (learned, is_abandoned) = Default::default();
        Self {
            lease,
            images,
            stored,
            origins,
            learned,
            is_abandoned,
            neighbours,
            check: &|| Ok(()),
        }
    }

    /// The same, of which these repositories may hold everything: a registry that lacks a blob is asked to take
    /// it from there.
    #[must_use]
    pub fn beside(mut self, names: &[Reference]) -> Self {
        self.neighbours.extend(names.iter().map(Reference::name));
        self
    }

    /// The same, for as long as `check` has no objection: what is read or fetched fails with its error, and so does a push.
    #[must_use]
    pub fn until(mut self, check: &'a (dyn Fn() -> io::Result<()> + Sync + 'a)) -> Self {
        self.check = check;
        self
    }

    /// Gets everything that is missing.
    ///
    /// # Errors
    ///
    /// If a source does not hand over what it announced, or the store fails.
    pub fn complete(&self) -> Result<(), SaveError> {
        self.fetch_where(|_| true)
    }

    fn fetch_where(&self, wanted: impl Fn(&Descriptor) -> bool) -> Result<(), SaveError> {
        let origins: Vec<&BlobOrigin> =
            self.origins.iter().filter(|origin| wanted(&origin.descriptor)).collect();
        let images = Interruptible { images: self.images, check: self.check };
        fetch_each(&origins, |origin| origin.fetch(self.lease, &images))
    }

    /// Gets what has to be here before it is known how it leaves; the rest may be at the registry already.
    pub(crate) fn complete_for(&self, layers: LayerOptions) -> Result<(), SaveError> {
        self.fetch_where(|layer| layers.reads_foreign(layer))
    }

    /// The blobs that are elsewhere, and not here.
    pub(crate) fn away(&self) -> Result<BTreeSet<Digest>, ReadError> {
        let store = self.lease.store();
        let away = self
            .origins
            .iter()
            .map(|origin| Ok(origin.is_away(store)?.then_some(origin.descriptor.digest)));
        away.filter_map(Result::transpose).collect()
    }

    /// Learns where one more blob is to be had, as the bases of a build become known. It is fetched, if it is read, until
    /// [`abandon`](Self::abandon).
    pub(crate) fn learn(&self, origin: &BlobOrigin) {
        let mut learned = self.learned.write().unwrap_or_else(PoisonError::into_inner);
        if !learned.iter().any(|known| known.descriptor.digest == origin.descriptor.digest) {
            learned.push(Arc::new(origin.clone()));
        }
    }

    /// Breaks off fetching what was learned of.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    fn learned(&self, digest: &Digest) -> Option<Arc<BlobOrigin>> {
        let learned = self.learned.read().unwrap_or_else(PoisonError::into_inner);
        learned.iter().find(|origin| origin.descriptor.digest == *digest).cloned()
    }

    /// Those that may hold any of its blobs.
    pub fn neighbours(&self) -> &[String] {
        &self.neighbours
    }
}

impl Content for OutgoingContent<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        self.fetch(descriptor)?;
        Ok(Box::new(Ending::new(self.stored.open(descriptor)?, self.check)))
    }

    fn copy(&self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        self.fetch(descriptor)?;
        self.stored.copy(descriptor, &mut Ending::new(to, self.check))
    }
}

impl OutgoingContent<'_> {
    fn fetch(&self, descriptor: &Descriptor) -> io::Result<()> {
        let is_it = |origin: &&BlobOrigin| origin.descriptor.digest == descriptor.digest;
        let mut known = self.origins.iter().filter(is_it).peekable();
        if known.peek().is_some() {
            // A cache may say of one blob that it is several layers: each has to be found true.
            let images = Interruptible { images: self.images, check: self.check };
            return known
                .try_for_each(|origin| origin.fetch(self.lease, &images))
                .map_err(io::Error::other);
        }
        let Some(origin) = self.learned(&descriptor.digest) else { return Ok(()) };
        let check = || {
            let is_over = self.is_abandoned.load(Ordering::Relaxed);
            if is_over { Err(io::Error::other("wanted no more")) } else { (self.check)() }
        };
        let images = Interruptible { images: self.images, check: &check };
        origin.fetch(self.lease, &images).map_err(io::Error::other)
    }
}

/// The repositories that hold a blob, from which a registry can take it by itself.
impl BlobHolders for OutgoingContent<'_> {
    fn repositories(&self, blob: &Digest) -> Option<Vec<String>> {
        let known = self.origins.iter().find(|origin| origin.descriptor.digest == *blob);
        known.map(BlobOrigin::repositories).or_else(|| Some(self.learned(blob)?.repositories()))
    }
}

impl fmt::Debug for OutgoingContent<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = self.origins.len();
        out.debug_struct("OutgoingContent").field("origins", &origins).finish_non_exhaustive()
    }
}

/// Fetches several blobs at once, until one fails.
///
/// # Errors
///
/// The first of `fetch`.
pub fn fetch_each<T: Sync>(
    blobs: &[T],
    fetch: impl Fn(&T) -> Result<(), SaveError> + Sync,
) -> Result<(), SaveError> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed().is_some() {
                return;
            }
            if let Err(error) = fetch(blob) {
                failed().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(blobs.len()) {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
