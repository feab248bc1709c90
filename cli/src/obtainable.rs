//! Layers of base images that no step has needed: fetched when an image leaves with them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{StoredContent, StoredImage};
use wythe_store::image::save::SaveError;
use wythe_store::lease::Lease;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::failure::Failure;
use crate::fetch::side_by_side;
use crate::session::Session;
use crate::stored_image;

/// The image of a name with all its layers: those that a build or a push could leave at a registry
/// are recorded to be there, or are there under the same name.
pub(crate) fn whole(lease: &Lease, name: &str, session: &Session) -> Result<StoredImage, Failure> {
    let image = stored_image::find(lease.store(), name)?;
    let reference: Reference = name.parse()?;
    let layers = image.manifest.value().layers.iter();
    let origin =
        |layer: &Descriptor| BlobOrigin::of_store(lease.store(), layer.clone(), reference.clone());
    let origins: Vec<BlobOrigin> = layers.map(origin).collect::<Result<_, _>>()?;
    Obtainable::new(lease, &session.registry()?, &origins).complete()?;
    Ok(image)
}

/// What the store holds, and what it can still get.
#[derive(Clone)]
pub(crate) struct Obtainable<'a> {
    lease: &'a Lease,
    images: &'a dyn ImageSource,
    stored: StoredContent<'a>,
    origins: &'a [BlobOrigin],
}

impl<'a> Obtainable<'a> {
    pub(crate) fn new(
        lease: &'a Lease,
        images: &'a dyn ImageSource,
        origins: &'a [BlobOrigin],
    ) -> Self {
        Self { lease, images, stored: StoredContent(lease.store()), origins }
    }

    /// Gets everything that is missing.
    pub(crate) fn complete(&self) -> Result<(), SaveError> {
        side_by_side(self.origins, |origin| origin.fetch(self.lease, self.images))
    }

    /// The repositories that hold a blob, from which a registry can take it by itself.
    pub(crate) fn repositories(&self) -> BTreeMap<Digest, Vec<String>> {
        let entry = |origin: &BlobOrigin| (origin.descriptor.digest, origin.repositories());
        self.origins.iter().map(entry).collect()
    }
}

impl Content for Obtainable<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut origins = self.origins.iter();
        if let Some(origin) = origins.find(|one| one.descriptor.digest == descriptor.digest) {
            origin.fetch(self.lease, self.images).map_err(io::Error::other)?;
        }
        self.stored.open(descriptor)
    }
}

impl fmt::Debug for Obtainable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Obtainable").field("origins", &self.origins.len()).finish_non_exhaustive()
    }
}
