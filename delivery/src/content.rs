//! What leaves, with the layers of base images that no step has needed: fetched when they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use wythe_store::digest::Digest;
use wythe_store::error::ReadError;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::StoredContent;
use wythe_store::image::save::SaveError;
use wythe_store::lease::Lease;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
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
    neighbours: Vec<String>,
}

impl<'a> OutgoingContent<'a> {
    /// What the lease's store holds, and what `images` hands over of `origins`.
    pub fn new(lease: &'a Lease, images: &'a dyn ImageSource, origins: &'a [BlobOrigin]) -> Self {
        let (stored, neighbours) = (StoredContent(lease.store()), Vec::new());
        Self { lease, images, stored, origins, neighbours }
    }

    /// The same, of which these repositories may hold everything: a registry that lacks a blob is asked to take
    /// it from there.
    #[must_use]
    pub fn beside(mut self, names: &[Reference]) -> Self {
        self.neighbours.extend(names.iter().map(Reference::name));
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
        fetch_each(&origins, |origin| origin.fetch(self.lease, self.images))
    }

    /// Gets what has to be here before it is known how it leaves; the rest may be at the registry already.
    pub(crate) fn complete_for(&self, layers: LayerOptions) -> Result<(), SaveError> {
        self.fetch_where(|layer| layers.changes_foreign(layer))
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

    /// The repositories that hold a blob, from which a registry can take it by itself.
    pub fn repositories(&self) -> BTreeMap<Digest, Vec<String>> {
        let entry = |origin: &BlobOrigin| (origin.descriptor.digest, origin.repositories());
        self.origins.iter().map(entry).collect()
    }

    /// Those that may hold any of its blobs.
    pub fn neighbours(&self) -> &[String] {
        &self.neighbours
    }
}

impl Content for OutgoingContent<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        self.fetch(descriptor)?;
        self.stored.open(descriptor)
    }

    fn copy(&self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        self.fetch(descriptor)?;
        self.stored.copy(descriptor, to)
    }
}

impl OutgoingContent<'_> {
    fn fetch(&self, descriptor: &Descriptor) -> io::Result<()> {
        let mut origins = self.origins.iter();
        match origins.find(|one| one.descriptor.digest == descriptor.digest) {
            Some(origin) => origin.fetch(self.lease, self.images).map_err(io::Error::other),
            None => Ok(()),
        }
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
