//! What a build starts from: its base images.

use wythe_store::digest::Digest;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

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
