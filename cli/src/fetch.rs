//! An image with all its bytes from a source into the store.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use wythe_store::image::resolve::{ResolvedImage, resolve};
use wythe_store::image::save::{SaveError, fetch_blob, save_documents};
use wythe_store::lease::Lease;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::failure::Failure;

/// Layers at a time. Registries limit each connection more than each client.
const PARALLEL: usize = 4;

/// Where an image is, and which one is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) source: &'a dyn ImageSource,
    pub(crate) reference: &'a Reference,
    pub(crate) platform: &'a Platform,
}

impl Wanted<'_> {
    /// Fetches documents and layers; nothing names them yet.
    pub(crate) fn fetch(self, lease: &Lease) -> Result<ResolvedImage, Failure> {
        let image = resolve(self.source, self.reference, self.platform)?;
        save_documents(lease, &image)?;
        self.layers(lease, &image)?;
        Ok(image)
    }

    fn layers(self, lease: &Lease, image: &ResolvedImage) -> Result<(), SaveError> {
        side_by_side(&image.layers, |layer| {
            fetch_blob(lease, self.source, self.reference, &layer.descriptor)
        })
    }
}

/// Fetches several blobs at once, until one fails.
pub(crate) fn side_by_side<T: Sync>(
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
