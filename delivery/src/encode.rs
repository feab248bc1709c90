//! An image with the layers it leaves with.

use std::fmt;

use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::encode_each;
use wythe_store::image::recode::RecodeError;
use wythe_store::image::seekable::seekable;
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;

use crate::options::{LayerCompression, LayerOptions};

/// Who is told of a layer as soon as it can leave, from several threads.
pub type Ready<'a> = &'a (dyn Fn(&Descriptor) + Sync);

/// Gives images the layers they leave with.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    pub(crate) lease: &'a Lease,
    options: LayerOptions,
    ready: Ready<'a>,
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Encoder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The level of eStargz if none is given: that of gzip.
const DEFLATE_LEVEL: u32 = 5;

impl<'a> Encoder<'a> {
    /// One that makes such layers, and tells of each.
    pub fn new(lease: &'a Lease, options: LayerOptions, ready: Ready<'a>) -> Self {
        Self { lease, options, ready }
    }

    /// The manifest with which an image of the store leaves; it is in the store.
    ///
    /// # Errors
    ///
    /// If a layer is neither a blob nor a tree of this store, or the store fails.
    pub fn manifest(&self, image: &StoredImage) -> Result<RawDocument<Manifest>, RecodeError> {
        let image = self.with_tables(image)?;
        encode_each(self.lease, &image, (self.codec(), self.options.recompress), self.ready)
    }

    /// The image with layers that have a table of contents, where that is asked for. They cannot be
    /// had by compressing those it has, and so it has another configuration, too.
    pub(crate) fn with_tables(&self, image: &StoredImage) -> Result<StoredImage, RecodeError> {
        let LayerOptions { compression, level, recompress } = self.options;
        match compression {
            LayerCompression::Estargz => {
                seekable(self.lease, image, level.unwrap_or(DEFLATE_LEVEL), recompress)
            }
            LayerCompression::Gzip | LayerCompression::Uncompressed | LayerCompression::Zstd => {
                Ok(image.clone())
            }
        }
    }

    fn codec(&self) -> Codec {
        match (self.options.compression, self.options.level) {
            (LayerCompression::Gzip, None) | (LayerCompression::Estargz, _) => Codec::GZIP,
            (LayerCompression::Gzip, Some(level)) => Codec::Gzip { level },
            (LayerCompression::Uncompressed, _) => Codec::None,
            (LayerCompression::Zstd, None) => Codec::ZSTD,
            (LayerCompression::Zstd, Some(level)) => {
                Codec::Zstd { level: i32::try_from(level).unwrap_or(i32::MAX) }
            }
        }
    }
}
