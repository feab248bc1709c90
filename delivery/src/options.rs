//! How an image is to look outside.

use wythe_store::image::encode::Recompress;
use wythe_store::image::soci::is_indexed;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::start_order::StartOrder;
use wythe_store::layer::{estargz, zstd_chunked};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::Compression;

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
    /// zstd, cut so that podman fetches only the files it lacks.
    ZstdChunked,
}

/// What leaves beside an image, so that a container of it starts before all layers have come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LazyIndex {
    /// Nothing.
    #[default]
    None,
    /// A SOCI index over its long gzip layers, where there are any.
    Soci,
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
    /// What leaves beside them.
    pub index: LazyIndex,
}

impl LayerOptions {
    /// How layers are compressed that take another form.
    pub fn codec(self) -> Codec {
        match (self.compression, self.level) {
            (LayerCompression::Gzip, None) | (LayerCompression::Estargz, _) => Codec::GZIP,
            (LayerCompression::Gzip, Some(level)) => Codec::Gzip { level },
            (LayerCompression::Uncompressed, _) => Codec::None,
            (LayerCompression::Zstd | LayerCompression::ZstdChunked, None) => Codec::ZSTD,
            (LayerCompression::Zstd | LayerCompression::ZstdChunked, Some(level)) => {
                Codec::Zstd { level: i32::try_from(level).unwrap_or(i32::MAX) }
            }
        }
    }

    /// Whether the bytes of a layer from elsewhere have to be here before it leaves.
    pub(crate) fn reads_foreign(self, layer: &Descriptor) -> bool {
        self.changes_foreign(layer) || (self.index == LazyIndex::Soci && is_indexed(layer))
    }

    /// Whether a layer that is elsewhere leaves in another form than it has there. One of a type we do not read never
    /// does.
    pub(crate) fn changes_foreign(self, layer: &Descriptor) -> bool {
        let Some(now) = layer.media_type.layer_compression() else { return false };
        let said = |key| layer.annotations.contains_key(key);
        match (self.recompress, self.compression) {
            (Recompress::Never | Recompress::Loaded, _) => false,
            (Recompress::Differing, LayerCompression::Estargz) => {
                now != Compression::Gzip || !said(estargz::TOC_DIGEST)
            }
            (Recompress::Differing, LayerCompression::ZstdChunked) => {
                now != Compression::Zstd || !said(zstd_chunked::TOC_DIGEST)
            }
            (Recompress::Differing, _) => now != self.codec().compression(),
        }
    }
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
///
/// Each is taken by registries that refuse the one before.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum StatementForm {
    /// An artifact with the image as its subject.
    #[default]
    Artifact,
    /// The same without an `artifactType`: the type is that of its configuration, as with artifacts from before there
    /// was such a field.
    ArtifactByConfig,
    /// An image of no platform, as registries want it that know no artifacts.
    Image,
}

/// How an image is to look outside.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ImageOptions {
    /// How its layers leave.
    pub layers: LayerOptions,
    /// What a container of it starts with, which is in front of layers that have a table of contents.
    pub start: StartOrder,
    /// The times of their files.
    pub times: Times,
    /// Whose media types it has.
    pub types: MediaTypes,
    /// What its documents say of it.
    pub annotations: Annotations,
    /// What statements about it are made up as.
    pub statements: StatementForm,
}

#[cfg(test)]
mod tests {
    use wythe_store::oci::media_type::MediaType;

    use super::*;

    #[test]
    fn long_layers_from_elsewhere_are_read_for_an_index() {
        let read = |index, size| {
            let layer = Descriptor { size, ..Descriptor::of(MediaType::LAYER_GZIP, b"") };
            LayerOptions { index, ..LayerOptions::default() }.reads_foreign(&layer)
        };
        assert!(!read(LazyIndex::None, 1 << 30) && read(LazyIndex::Soci, 1 << 30));
        assert!(!read(LazyIndex::Soci, 1 << 20));
    }

    #[test]
    fn layers_from_elsewhere_are_changed_where_that_is_asked_for_and_they_differ() {
        let changed = |recompress, compression| {
            let options = LayerOptions { compression, recompress, ..LayerOptions::default() };
            let kinds = [MediaType::LAYER, MediaType::LAYER_GZIP, MediaType::LAYER_ZSTD];
            kinds.map(|kind| options.changes_foreign(&Descriptor::of(kind, b"")))
        };
        let (never, differing) = (Recompress::Never, Recompress::Differing);
        assert_eq!(changed(never, LayerCompression::Gzip), [false; 3]);
        assert_eq!(changed(never, LayerCompression::Estargz), [false; 3]);
        assert_eq!(changed(Recompress::Loaded, LayerCompression::Gzip), [false; 3]);
        assert_eq!(changed(differing, LayerCompression::Gzip), [true, false, true]);
        assert_eq!(changed(differing, LayerCompression::Zstd), [true, true, false]);
        assert_eq!(changed(differing, LayerCompression::Uncompressed), [false, true, true]);
        assert_eq!(changed(differing, LayerCompression::Estargz), [true; 3]);
        assert_eq!(changed(differing, LayerCompression::ZstdChunked), [true; 3]);
    }
}
