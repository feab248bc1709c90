//! An image that is built, found or pulled.

use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::oci::descriptor::Descriptor;

/// An image, or an index of several platforms, whose documents the store has.
///
/// Layers of its base are fetched when they are needed, which for a push is never where the registry has them.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its manifest or index as the store has it. Layers that were made here are listed uncompressed there, so that what
    /// leaves for a registry has another digest, which [`Wythe::push`](crate::Wythe::push) gives.
    pub root: Descriptor,
    /// Where its layers are to be had that the store lacks.
    pub origins: Vec<BlobOrigin>,
    /// The name of the stage it was built from in lower case, `default` where that has none, or the name it was found by.
    pub name: String,
}

impl Image {
    /// The digest of its manifest or index as the store has it.
    pub fn digest(&self) -> Digest {
        self.root.digest
    }
}
