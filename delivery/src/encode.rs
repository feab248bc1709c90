//! An image with the layers it leaves with.

use std::collections::BTreeSet;
use std::fmt;

use rayon::ThreadPool;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::{ForeignLayers, Told, encode_each};
use wythe_store::image::recode::RecodeError;
use wythe_store::image::seekable::seekable;
use wythe_store::lease::Lease;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;

use crate::content::OutgoingContent;
use crate::error::DeliveryError;
use crate::options::{LayerCompression, LayerOptions};

/// Who is told of a layer as it is compressed and as soon as it can leave, from several threads.
pub type Ready<'a> = Told<'a>;

/// Gives images the layers they leave with.
#[derive(Clone)]
pub struct Encoder<'a> {
    pub(crate) lease: &'a Lease,
    options: LayerOptions,
    pool: &'a ThreadPool,
    ready: Ready<'a>,
    /// What the store lacks, and can get.
    away: BTreeSet<Digest>,
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Encoder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The level of eStargz if none is given: that of gzip.
const DEFLATE_LEVEL: u32 = 5;

impl<'a> Encoder<'a> {
    /// One that makes such layers in a pool, and tells of each. What it has to change is here then.
    ///
    /// # Errors
    ///
    /// If a layer that has to be here is not to be had, or the store fails.
    pub fn new(
        content: &OutgoingContent<'a>,
        options: LayerOptions,
        (pool, ready): (&'a ThreadPool, Ready<'a>),
    ) -> Result<Self, DeliveryError> {
        content.complete_for(options)?;
        Ok(Self { lease: content.lease, options, pool, ready, away: content.away()? })
    }

    /// The manifest with which an image of the store leaves; it is in the store.
    ///
    /// # Errors
    ///
    /// If a layer is neither a blob nor a tree of this store, nor elsewhere, or the store fails.
    pub fn manifest(&self, image: &StoredImage) -> Result<RawDocument<Manifest>, RecodeError> {
        let image = self.with_tables(image)?;
        let how = (self.options.codec(), self.foreign());
        encode_each(self.lease, &image, how, (self.pool, self.ready))
    }

    /// The image with layers that have a table of contents, where that is asked for. They cannot be
    /// had by compressing those it has, and so it has another configuration, too.
    pub(crate) fn with_tables(&self, image: &StoredImage) -> Result<StoredImage, RecodeError> {
        let LayerOptions { compression, level, .. } = self.options;
        match compression {
            LayerCompression::Estargz => {
                let level = level.unwrap_or(DEFLATE_LEVEL);
                self.pool.install(|| seekable(self.lease, image, level, self.foreign()))
            }
            LayerCompression::Gzip | LayerCompression::Uncompressed | LayerCompression::Zstd => {
                Ok(image.clone())
            }
        }
    }

    fn foreign(&self) -> ForeignLayers<'_> {
        ForeignLayers { recompress: self.options.recompress, away: &self.away }
    }
}
