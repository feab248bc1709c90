//! Layers of an image that are complete while later steps run.

use wythe_store::id::LayerId;
use wythe_store::oci::descriptor::Descriptor;

/// Whoever is told of them, to send them ahead.
pub trait SealedLayers: Sync {
    /// The files of a layer of an image are what they will be, and in the store. What it is, is being computed, and told
    /// of, unless the build fails. Called by a thread of the build, which waits for it.
    fn made(&self, layer: LayerId);

    /// A layer of an image is what it will be, though the build may still fail: its descriptor, uncompressed. The
    /// same one may come again. Called by a thread of the build, which waits for it.
    fn sealed(&self, id: LayerId, layer: &Descriptor);
}

/// Nobody is told.
impl SealedLayers for () {
    fn made(&self, _: LayerId) {}

    fn sealed(&self, _: LayerId, _: &Descriptor) {}
}
