//! An image with the layers it leaves with.

use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::encode;
use wythe_store::lease::Lease;
use wythe_store::oci::media_type;

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
        None | Some(Compression::Gzip) => media_type::Compression::Gzip,
        Some(Compression::Uncompressed) => media_type::Compression::None,
        Some(Compression::Zstd) => media_type::Compression::Zstd,
    };
    let root = encode(lease, image, codec)?.descriptor();
    let created = image.config.value().created.clone();
    Ok(Shipment { lease, root, names: Vec::new(), created })
}
