//! Layers that are to be had elsewhere while nobody has needed their bytes.

use std::sync::Arc;

use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::image::save::{SaveError, fetch_blob, fetch_elsewhere};
use crate::layer::blob_view;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::layout::Layout;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceErrorClass};
use crate::store::Store;

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
