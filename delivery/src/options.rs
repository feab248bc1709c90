//! How an image is to look outside.

use wythe_store::image::encode::Recompress;

use crate::annotation::Annotations;

/// How layers are compressed when they leave.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LayerCompression {
    /// gzip, cut so that nodes can fetch single files (eStargz).
    Estargz,
    /// gzip, which everybody reads.
    #[default]
    Gzip,
    /// Not at all.
    Uncompressed,
    /// zstd.
    Zstd,
}

/// How the layers of an image leave.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LayerOptions {
    /// How those are compressed that were made here.
    pub compression: LayerCompression,
    /// The compression's level; what it means depends on the compression. `None`: the usual one.
    pub level: Option<u32>,
    /// What becomes of those that came from elsewhere.
    pub recompress: Recompress,
}

/// The times of files in new layers, where the build has an epoch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Times {
    /// As they are.
    #[default]
    Kept,
    /// None is later than the epoch.
    Rewritten,
}

/// Whose names documents and layers have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MediaTypes {
    /// Docker's, where it has one for everything that leaves.
    Docker,
    /// OCI's.
    #[default]
    Oci,
}

/// What a manifest of statements about an image is made up as.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StatementForm {
    /// An artifact with the image as its subject.
    #[default]
    Artifact,
    /// An image of no platform, as registries want it that know no artifacts.
    Image,
}

/// How an image is to look outside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImageOptions {
    /// How its layers leave.
    pub layers: LayerOptions,
    /// The times of their files.
    pub times: Times,
    /// Whose media types it has.
    pub types: MediaTypes,
    /// What its documents say of it.
    pub annotations: Annotations,
    /// What statements about it are made up as.
    pub statements: StatementForm,
}
