//! Images of which a node fetches single files while the container runs.

use crate::error::ReadError;
use crate::image::catalog::StoredImage;
use crate::image::encode::{ForeignLayers, Recompress};
use crate::image::recode::{RecodeError, Replacement, replace_layers};
use crate::image::rootfs::layer_tree;
use crate::layer::estargz::{self, TOC_DIGEST};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;

/// The image with eStargz layers. Their tables of contents are part of what they uncompress to, so
/// it has another configuration, too. Layers from elsewhere stay as they came, unless `foreign`
/// says otherwise and they have no table yet. Its documents and layers are in the store. Works on the
/// current rayon pool.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, has a file with the name of the table, or
/// the store fails.
pub fn seekable(
    lease: &Lease,
    image: &StoredImage,
    level: u32,
    foreign: ForeignLayers<'_>,
) -> Result<StoredImage, RecodeError> {
    replace_layers(lease, image, |_, layer, diff_id| {
        if stays(lease, layer, foreign)? {
            return Ok(None);
        }
        let tree = layer_tree(lease, layer, &diff_id).map_err(|error| error.cause)?;
        let estargz::Seekable { diff_id, mut descriptor } = estargz::export(lease, &tree, level)?;
        for (key, value) in &layer.annotations {
            descriptor.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(Some(Replacement { descriptor, diff_id }))
    })
}

fn stays(lease: &Lease, layer: &Descriptor, foreign: ForeignLayers<'_>) -> Result<bool, ReadError> {
    let unknown = layer.media_type.layer_compression().is_none();
    let settled = unknown || layer.annotations.contains_key(TOC_DIGEST);
    Ok(settled || (foreign.recompress == Recompress::Never && foreign.has(lease, layer)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read as _;

    use super::*;
    use crate::digest::Digest;
    use crate::image::catalog::StoredContent;
    use crate::image::tests::built;
    use crate::oci::content::Content as _;

    fn made(lease: &Lease, image: &StoredImage, recompress: Recompress) -> StoredImage {
        let foreign = ForeignLayers { recompress, away: &BTreeSet::new() };
        seekable(lease, image, 6, foreign).unwrap()
    }

    #[test]
    fn the_configuration_names_what_seekable_layers_uncompress_to() {
        let (_folder, lease, image) = built();
        let made = made(&lease, &image, Recompress::Never);
        let layer = &made.manifest.value().layers[0];
        let mut blob = Vec::new();
        StoredContent(lease.store()).open(layer).unwrap().read_to_end(&mut blob).unwrap();
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(made.config.value().rootfs.diff_ids[0].0, Digest::of(&plain));
        assert_eq!(made.manifest.value().config, made.config.descriptor());
        assert_ne!(made.config, image.config);
    }

    #[test]
    fn what_is_seekable_already_stays() {
        let (_folder, lease, image) = built();
        let once = made(&lease, &image, Recompress::Never);
        assert_eq!(made(&lease, &once, Recompress::Differing), once);
    }
}
