//! Layers of images that are complete while later steps run.

use wythe_store::id::LayerId;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::oci::descriptor::Descriptor;

/// Whoever is told of them, to send them ahead, with the [names](crate::built::BuiltTarget::name) of the targets whose
/// images they are of: at least one.
pub trait SealedLayers: Sync {
    /// A layer of a base image, and where it is to be had: the store may well lack it. Called before steps run.
    fn base(&self, layer: &BlobOrigin, targets: &[&str]);

    /// The files of a layer of an image are what they will be, and in the store. What it is, is being computed, and told
    /// of, unless the build fails. Called by a thread of the build, which waits for it.
    fn made(&self, layer: LayerId, targets: &[&str]);

    /// A layer of an image is what it will be, though the build may still fail: its descriptor, uncompressed. The
    /// same one may come again. Called by a thread of the build, which waits for it.
    fn sealed(&self, id: LayerId, layer: &Descriptor, targets: &[&str]);
}

/// Nobody is told.
impl SealedLayers for () {
    fn base(&self, _: &BlobOrigin, _: &[&str]) {}

    fn made(&self, _: LayerId, _: &[&str]) {}

    fn sealed(&self, _: LayerId, _: &Descriptor, _: &[&str]) {}
}
