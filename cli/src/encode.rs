//! An image with the layers it leaves with.

use wythe_store::image::catalog::StoredImage;
use wythe_store::lease::Lease;

use crate::args::output::Compression;
use crate::failure::Failure;
use crate::ship::Shipment;

/// What leaves for an image of the store: as it came, if it came from elsewhere.
pub(crate) fn shipment<'a>(
    lease: &'a Lease,
    image: &StoredImage,
    _compression: Option<Compression>,
) -> Result<Shipment<'a>, Failure> {
    let created = image.config.value().created.clone();
    Ok(Shipment { lease, root: image.manifest.descriptor(), names: Vec::new(), created })
}
