//! An image with the layers it leaves with.

use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::{Recompress, encode};
use wythe_store::layer::codec::Codec;
use wythe_store::lease::Lease;

use crate::args::output::Compression;
use crate::failure::Failure;
use crate::ship::Shipment;

/// What leaves for an image of the store. Layers that came from elsewhere leave as they came;
/// others are compressed with gzip, which everybody reads, unless something else is asked for.
pub(crate) fn shipment<'a>(
    lease: &'a Lease,
    image: &StoredImage,
    compression: Option<Compression>,
) -> Result<Shipment<'a>, Failure> {
    let codec = match compression {
        None | Some(Compression::Gzip) => Codec::GZIP,
        Some(Compression::Uncompressed) => Codec::None,
        Some(Compression::Zstd) => Codec::ZSTD,
    };
    let root = encode(lease, image, codec, Recompress::Never)?.descriptor();
    let created = image.config.value().created.clone();
    Ok(Shipment { lease, root, names: Vec::new(), created })
}
