//! What a build starts from: its base images, and where their layers are to be had while no step
//! has needed the bytes.

use std::sync::Arc;

use wythe_store::digest::{DiffId, Digest};
use wythe_store::error::ReadError;
use wythe_store::image::save::{SaveError, fetch_blob, fetch_elsewhere};
use wythe_store::layer::blob_view;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::Layout;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceErrorClass};
use wythe_store::store::Store;

/// A base image, as it was when the build began.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Material {
    /// What the Dockerfile calls it.
    pub reference: Reference,
    /// The platform it was chosen for.
    pub platform: Platform,
    /// What the reference stood for: an index or a manifest.
    pub digest: Digest,
}

/// The blob of a layer, and where it comes from.
#[derive(Clone, Debug)]
pub struct BlobOrigin {
    /// The blob.
    pub descriptor: Descriptor,
    /// Which image to fetch it with.
    pub reference: Reference,
    /// The layout it lies in, where it does not come from a registry.
    pub layout: Option<Arc<Layout>>,
}

impl BlobOrigin {
    /// What hands the blob over; `images` where it is not a layout.
    pub fn source<'s>(&'s self, images: &'s dyn ImageSource) -> &'s dyn ImageSource {
        self.layout.as_deref().map_or(images, |layout| layout)
    }

    /// The repository of a registry that holds the blob.
    pub fn repository(&self) -> Option<String> {
        self.layout.is_none().then(|| self.reference.name())
    }

    /// Sees to it that the store can hand the blob out.
    ///
    /// # Errors
    ///
    /// If what came is not what the descriptor announced, or the source or the store fails.
    pub fn fetch(&self, lease: &Lease, images: &dyn ImageSource) -> Result<(), SaveError> {
        if is_here(lease.store(), &self.descriptor.digest)? {
            return Ok(());
        }
        let (reference, descriptor) = (&self.reference, &self.descriptor);
        match fetch_blob(lease, self.source(images), reference, descriptor) {
            // A layout looks at no other place, and may well lack what is not to be handed on.
            Err(SaveError::Source(error))
                if self.layout.is_some()
                    && error.class() == SourceErrorClass::NotFound
                    && !descriptor.urls.is_empty() =>
            {
                fetch_elsewhere(lease, images, reference, descriptor)
            }
            outcome => outcome,
        }
    }
}

/// Whether the store has a blob as it came, can put it together, or made its layer.
fn is_here(store: &Store, digest: &Digest) -> Result<bool, ReadError> {
    // First, since opening such a layer would list its files.
    let layer = store.layer_of_diff(&DiffId(*digest))?;
    Ok(layer.is_some_and(|record| record.tree.is_some())
        || blob_view::open(store, digest)?.is_some())
}
