//! An image with the layers it leaves with.

use std::collections::BTreeSet;
use std::fmt;

use rayon::ThreadPool;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::{ForeignLayers, Told, encode_each};
use wythe_store::image::recode::RecodeError;
use wythe_store::image::seekable::{SeekableForm, seekable};
use wythe_store::image::soci::{INDEX_DIGEST, Indexed, indexed};
use wythe_store::layer::start_order::StartOrder;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;

use crate::content::OutgoingContent;
use crate::docker;
use crate::error::DeliveryError;
use crate::options::{LayerCompression, LayerOptions, LazyIndex, MediaTypes};

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
    start: StartOrder,
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Encoder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// An image as it leaves, and what leaves beside it.
pub(crate) struct Encoded {
    /// Its manifest.
    pub(crate) manifest: Descriptor,
    /// The index over the files of its layers.
    pub(crate) index: Option<Descriptor>,
}

/// The level of eStargz if none is given: that of gzip.
const DEFLATE_LEVEL: u32 = 5;
/// That of zstd:chunked, the same as without chunks.
const ZSTD_LEVEL: i32 = 3;

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
        let (lease, away, start) = (content.lease, content.away()?, StartOrder::default());
        Ok(Self { lease, options, pool, ready, away, start })
    }

    /// The same, which puts what a container starts with in front of layers that have a table of contents.
    pub(crate) fn starting_with(self, start: &StartOrder) -> Self {
        Self { start: start.clone(), ..self }
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

    /// As [`manifest`](Self::manifest), with what leaves beside it: it is OCI's throughout then.
    pub(crate) fn encoded(
        &self,
        image: &StoredImage,
        types: MediaTypes,
    ) -> Result<Encoded, RecodeError> {
        let manifest = self.manifest(image)?;
        if let Some(Indexed { manifest, index }) = self.indexed(image, &manifest)? {
            let mut descriptor = manifest.descriptor();
            // Whoever has only what lists the image learns it, too.
            descriptor.annotations.insert(INDEX_DIGEST.to_owned(), index.digest.to_string());
            return Ok(Encoded { manifest: descriptor, index: Some(index) });
        }
        let manifest = match types {
            MediaTypes::Docker => docker::manifest(self.lease, &manifest)?,
            MediaTypes::Oci => manifest.descriptor(),
        };
        Ok(Encoded { manifest, index: None })
    }

    fn indexed(
        &self,
        image: &StoredImage,
        manifest: &RawDocument<Manifest>,
    ) -> Result<Option<Indexed>, RecodeError> {
        match self.options.index {
            LazyIndex::None => Ok(None),
            LazyIndex::Soci => {
                let diff_ids = &image.config.value().rootfs.diff_ids;
                self.pool.install(|| indexed(self.lease, manifest, diff_ids))
            }
        }
    }

    /// The image with layers that have a table of contents, where that is asked for. They cannot be
    /// had by compressing those it has, and so it has another configuration, too.
    pub(crate) fn with_tables(&self, image: &StoredImage) -> Result<StoredImage, RecodeError> {
        let LayerOptions { compression, level, .. } = self.options;
        let form = match compression {
            LayerCompression::Estargz => {
                SeekableForm::Estargz { level: level.unwrap_or(DEFLATE_LEVEL) }
            }
            LayerCompression::ZstdChunked => {
                let level = level.and_then(|level| i32::try_from(level).ok());
                SeekableForm::ZstdChunked { level: level.unwrap_or(ZSTD_LEVEL) }
            }
            LayerCompression::Gzip | LayerCompression::Uncompressed | LayerCompression::Zstd => {
                return Ok(image.clone());
            }
        };
        let how = (form, &self.start);
        self.pool.install(|| seekable(self.lease, image, how, self.foreign()))
    }

    fn foreign(&self) -> ForeignLayers<'_> {
        ForeignLayers { recompress: self.options.recompress, away: &self.away }
    }
}
