//! Media types, and which kind of thing each names.

use std::borrow::Cow;
use std::fmt;

/// A media type as written in a descriptor.
#[derive(
    Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

/// How a layer blob is compressed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Compression {
    /// A gzip stream.
    Gzip,
    /// Plain tar.
    None,
    /// Zstandard frames.
    Zstd,
}

impl MediaType {
    /// OCI image index.
    pub const INDEX: Self = Self(Cow::Borrowed("application/vnd.oci.image.index.v1+json"));
    /// OCI image manifest.
    pub const MANIFEST: Self = Self(Cow::Borrowed("application/vnd.oci.image.manifest.v1+json"));
    /// OCI image configuration.
    pub const CONFIG: Self = Self(Cow::Borrowed("application/vnd.oci.image.config.v1+json"));
    /// OCI layer, uncompressed.
    pub const LAYER: Self = Self(Cow::Borrowed("application/vnd.oci.image.layer.v1.tar"));
    /// OCI layer, gzip.
    pub const LAYER_GZIP: Self = Self(Cow::Borrowed("application/vnd.oci.image.layer.v1.tar+gzip"));
    /// OCI layer, zstd.
    pub const LAYER_ZSTD: Self = Self(Cow::Borrowed("application/vnd.oci.image.layer.v1.tar+zstd"));
    /// Docker manifest list.
    pub const DOCKER_LIST: Self =
        Self(Cow::Borrowed("application/vnd.docker.distribution.manifest.list.v2+json"));
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: Self =
        Self(Cow::Borrowed("application/vnd.docker.distribution.manifest.v2+json"));
    /// Docker image configuration.
    pub const DOCKER_CONFIG: Self =
        Self(Cow::Borrowed("application/vnd.docker.container.image.v1+json"));
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: Self =
        Self(Cow::Borrowed("application/vnd.docker.image.rootfs.diff.tar.gzip"));
    /// Docker layer, uncompressed.
    pub const DOCKER_LAYER: Self =
        Self(Cow::Borrowed("application/vnd.docker.image.rootfs.diff.tar"));

    /// A media type as found in a document.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names an index or manifest list.
    pub fn is_index(&self) -> bool {
        *self == Self::INDEX || *self == Self::DOCKER_LIST
    }

    /// Whether this names an image manifest.
    pub fn is_manifest(&self) -> bool {
        *self == Self::MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Whether this names an image configuration.
    pub fn is_config(&self) -> bool {
        *self == Self::CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// How a layer of this type is compressed; `None` where this is no layer we read.
    pub fn layer_compression(&self) -> Option<Compression> {
        if *self == Self::LAYER || *self == Self::DOCKER_LAYER {
            Some(Compression::None)
        } else if *self == Self::LAYER_GZIP || *self == Self::DOCKER_LAYER_GZIP {
            Some(Compression::Gzip)
        } else if *self == Self::LAYER_ZSTD {
            Some(Compression::Zstd)
        } else {
            None
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
