//! An image with all its bytes from a source into the store.

use wythe_delivery::content::fetch_each;
use wythe_store::image::resolve::{ResolvedImage, resolve};
use wythe_store::image::save::{SaveError, fetch_blob, save_documents};
use wythe_store::lease::Lease;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::failure::Failure;

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
        let image = self.documents(lease)?;
        self.layers(lease, &image)?;
        Ok(image)
    }

    /// Fetches the documents alone.
    pub(crate) fn documents(self, lease: &Lease) -> Result<ResolvedImage, Failure> {
        let image = resolve(self.source, self.reference, self.platform)?;
        save_documents(lease, &image)?;
        Ok(image)
    }

    fn layers(self, lease: &Lease, image: &ResolvedImage) -> Result<(), SaveError> {
        fetch_each(&image.layers, |layer| {
            fetch_blob(lease, self.source, self.reference, &layer.descriptor)
        })
    }
}
