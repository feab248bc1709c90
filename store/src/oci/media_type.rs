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
        self.layer().map(|layer| layer.compression)
    }

    /// Whether this names a layer that is not to be handed on, but fetched from where it is published.
    pub fn is_foreign(&self) -> bool {
        self.layer().is_some_and(|layer| layer.foreign == Foreign::Yes)
    }

    /// The type that a layer of this one has in OCI's words; any other stays.
    #[must_use]
    pub fn of_oci(&self) -> Self {
        self.layer().map_or_else(|| self.clone(), |layer| Self(Cow::Borrowed(layer.oci)))
    }

    /// The type that a layer of this one has in Docker's words; none for zstd, which old readers of
    /// these words do not know, and for what is no layer.
    pub fn of_docker(&self) -> Option<Self> {
        let layer = self.layer().filter(|layer| layer.compression != Compression::Zstd)?;
        layer.docker.map(|docker| Self(Cow::Borrowed(docker)))
    }

    fn layer(&self) -> Option<&'static LayerType> {
        let text = self.as_str();
        LAYERS.iter().find(|layer| layer.oci == text || layer.docker == Some(text))
    }
}

/// A kind of layer under the names it has.
struct LayerType {
    oci: &'static str,
    docker: Option<&'static str>,
    compression: Compression,
    foreign: Foreign,
}

/// Whether a layer is not to be handed on.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Foreign {
    No,
    Yes,
}

const LAYERS: [LayerType; 6] = [
    LayerType {
        oci: "application/vnd.oci.image.layer.v1.tar",
        docker: Some("application/vnd.docker.image.rootfs.diff.tar"),
        compression: Compression::None,
        foreign: Foreign::No,
    },
    LayerType {
        oci: "application/vnd.oci.image.layer.v1.tar+gzip",
        docker: Some("application/vnd.docker.image.rootfs.diff.tar.gzip"),
        compression: Compression::Gzip,
        foreign: Foreign::No,
    },
    LayerType {
        oci: "application/vnd.oci.image.layer.v1.tar+zstd",
        docker: Some("application/vnd.docker.image.rootfs.diff.tar.zstd"),
        compression: Compression::Zstd,
        foreign: Foreign::No,
    },
    LayerType {
        oci: "application/vnd.oci.image.layer.nondistributable.v1.tar",
        docker: Some("application/vnd.docker.image.rootfs.foreign.diff.tar"),
        compression: Compression::None,
        foreign: Foreign::Yes,
    },
    LayerType {
        oci: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        docker: Some("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        compression: Compression::Gzip,
        foreign: Foreign::Yes,
    },
    LayerType {
        oci: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        docker: None,
        compression: Compression::Zstd,
        foreign: Foreign::Yes,
    },
];

impl fmt::Display for MediaType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, compression: Compression, oci: &str, docker: Option<&str>) {
        let found = MediaType::new(text);
        assert_eq!(found.layer_compression(), Some(compression), "{text}");
        assert_eq!(found.of_oci().as_str(), oci, "{text}");
        assert_eq!(found.of_docker().as_ref().map(MediaType::as_str), docker, "{text}");
        assert_eq!(found.is_foreign(), text.contains("foreign") || text.contains("nondist"));
    }

    #[test]
    fn layers_are_read_under_every_name_they_have() {
        let oci = "application/vnd.oci.image.layer.v1.tar";
        let docker = "application/vnd.docker.image.rootfs.diff.tar";
        let zstd = format!("{oci}+zstd");
        check(docker, Compression::None, oci, Some(docker));
        check("application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::Zstd, &zstd, None);
        check(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            Compression::Gzip,
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            Some("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        );
        check(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            Compression::Zstd,
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            None,
        );
        assert_eq!(MediaType::CONFIG.layer_compression(), None);
    }
}
