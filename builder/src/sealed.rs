//! Layers of an image that are complete while later steps run.

use wythe_store::oci::descriptor::Descriptor;

/// Whoever is told of them, to send them ahead.
pub trait SealedLayers: Sync {
    /// A layer of an image is what it will be, though the build may still fail: its descriptor, uncompressed. The
    /// same one may come again. Called by a thread of the build, which waits for it.
    fn sealed(&self, layer: &Descriptor);
}

/// Nobody is told.
impl SealedLayers for () {
    fn sealed(&self, _: &Descriptor) {}
}
