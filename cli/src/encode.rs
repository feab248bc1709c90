//! An image with the layers it leaves with.

use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::{Recompress, encode};
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;

use crate::args::output::Compression;
use crate::failure::Failure;
use crate::ship::Shipment;

/// How layers leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers {
    pub(crate) codec: Codec,
    /// What becomes of those that came from elsewhere.
    pub(crate) recompress: Recompress,
}

impl Layers {
    /// What was asked for, where layers that came from elsewhere leave as they came.
    pub(crate) fn new(compression: Option<Compression>, level: Option<u32>) -> Self {
        Self { codec: codec(compression, level), recompress: Recompress::Never }
    }
}

/// gzip, which everybody reads, unless something else is asked for.
fn codec(compression: Option<Compression>, level: Option<u32>) -> Codec {
    match (compression, level) {
        (None | Some(Compression::Gzip), None) => Codec::GZIP,
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
    layers: Layers,
) -> Result<Descriptor, Failure> {
    Ok(encode(lease, image, layers.codec, layers.recompress)?.descriptor())
}

/// What leaves for an image of the store.
pub(crate) fn shipment<'a>(
    lease: &'a Lease,
    image: &StoredImage,
    layers: Layers,
) -> Result<Shipment<'a>, Failure> {
    let root = manifest(lease, image, layers)?;
    let created = image.config.value().created.clone();
    Ok(Shipment { lease, root, names: Vec::new(), title: None, created, origins: &[] })
}
