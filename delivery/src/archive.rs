//! Images to archives and layouts.

use std::io::Write;
use std::path::Path;

use wythe_store::image::catalog::StoredContent;
use wythe_store::oci::archive::{self, Flavour};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout;
use wythe_store::oci::platform::Platform;

use crate::error::DeliveryError;
use crate::image::OutgoingImage;

/// Adds images of one store to a layout directory, which is made where there is none. One without a
/// name is its latest.
///
/// # Errors
///
/// If the store lacks something, or the directory cannot be written.
pub fn write_layout(images: &[OutgoingImage<'_>], directory: &Path) -> Result<(), DeliveryError> {
    let Some(first) = images.first() else { return Ok(()) };
    let entries: Vec<Descriptor> = images.iter().flat_map(OutgoingImage::layout_entries).collect();
    Ok(layout::write::write(directory, &StoredContent(first.lease.store()), &entries)?)
}

/// Writes images of one store as one archive. Of an index, a `docker load` that knows none takes the
/// image for the platform, or the first one.
///
/// # Errors
///
/// If the archive cannot hold one of them, the store lacks something, or `out` fails.
pub fn write_archive(
    images: &[OutgoingImage<'_>],
    shape: (Flavour, Option<&Platform>),
    out: &mut dyn Write,
) -> Result<(), DeliveryError> {
    let Some(first) = images.first() else { return Ok(()) };
    let entries: Vec<Descriptor> = images.iter().flat_map(OutgoingImage::entries).collect();
    archive::write(out, &StoredContent(first.lease.store()), &entries, shape)
        .map_err(DeliveryError::Archive)
}
