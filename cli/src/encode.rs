//! An image with the layers it leaves with.

use std::fmt;

use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::{Recompress, encode_each};
use wythe_store::image::seekable::seekable;
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;

use crate::args::image_attributes::Compression;
use crate::failure::Failure;

/// Who is told of layers.
pub(crate) type Ready<'a> = &'a (dyn Fn(&Descriptor) + Sync);

/// How layers leave.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    pub(crate) codec: Codec,
    /// What becomes of those that came from elsewhere.
    pub(crate) recompress: Recompress,
    /// Where single files are to be had of them.
    table: Table,
    /// Is told of each that can leave.
    ready: Ready<'a>,
}

impl fmt::Debug for Layers<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Layers").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Whether layers have a table of contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Table {
    /// As eStargz has it; deflate of this level.
    Estargz(u32),
    None,
}

impl Layers<'static> {
    /// What was asked for, where layers that came from elsewhere leave as they came.
    pub(crate) fn new(compression: Option<Compression>, level: Option<u32>) -> Self {
        let table = match compression {
            Some(Compression::Estargz) => Table::Estargz(level.unwrap_or(DEFLATE_LEVEL)),
            None | Some(Compression::Gzip | Compression::Uncompressed | Compression::Zstd) => {
                Table::None
            }
        };
        let codec = codec(compression, level);
        Self { codec, recompress: Recompress::Never, table, ready: &|_| {} }
    }
}

impl<'a> Layers<'a> {
    /// The same, telling somebody of each that can leave.
    pub(crate) fn telling(self, ready: Ready<'a>) -> Self {
        Self { ready, ..self }
    }

    /// The manifest of an image whose layers are compressed.
    pub(crate) fn encode(
        self,
        lease: &Lease,
        image: &StoredImage,
    ) -> Result<RawDocument<Manifest>, Failure> {
        Ok(encode_each(lease, image, (self.codec, self.recompress), self.ready)?)
    }

    /// The same with something else for layers that came from elsewhere.
    pub(crate) fn with_others(self, recompress: Recompress) -> Self {
        Self { recompress, ..self }
    }

    /// The image with the layers that cannot be had by compressing those it has.
    pub(crate) fn cut(self, lease: &Lease, image: &StoredImage) -> Result<StoredImage, Failure> {
        match self.table {
            Table::Estargz(level) => Ok(seekable(lease, image, level, self.recompress)?),
            Table::None => Ok(image.clone()),
        }
    }
}

/// The level of eStargz if none is given: that of gzip.
const DEFLATE_LEVEL: u32 = 5;

/// gzip, which everybody reads, unless something else is asked for.
fn codec(compression: Option<Compression>, level: Option<u32>) -> Codec {
    match (compression, level) {
        (None | Some(Compression::Gzip), None) | (Some(Compression::Estargz), _) => Codec::GZIP,
        (None | Some(Compression::Gzip), Some(level)) => Codec::Gzip { level },
        (Some(Compression::Uncompressed), _) => Codec::None,
        (Some(Compression::Zstd), None) => Codec::ZSTD,
        (Some(Compression::Zstd), Some(level)) => {
            Codec::Zstd { level: i32::try_from(level).unwrap_or(i32::MAX) }
        }
    }
}

/// The manifest with which an image of the store leaves.
pub(crate) fn manifest(
    lease: &Lease,
    image: &StoredImage,
    layers: Layers<'_>,
) -> Result<Descriptor, Failure> {
    let image = layers.cut(lease, image)?;
    Ok(layers.encode(lease, &image)?.descriptor())
}
