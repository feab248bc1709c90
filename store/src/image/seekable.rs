//! Images of which a node fetches single files while the container runs.

use crate::error::ReadError;
use crate::image::catalog::StoredImage;
use crate::image::encode::ForeignLayers;
use crate::image::recode::{RecodeError, Replacement, replace_layers};
use crate::image::rootfs::layer_tree;
use crate::layer::estargz::{self, Seekable};
use crate::layer::start_order::StartOrder;
use crate::layer::zstd_chunked;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;

/// A format of layers with a table of contents, and how much they are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SeekableForm {
    /// eStargz, of gzip. The table is part of what a layer uncompresses to.
    Estargz {
        /// From 0, fast, to 9, small.
        level: u32,
    },
    /// zstd:chunked. The tar stream is what it is without.
    ZstdChunked {
        /// From 1, fast, to 22, small.
        level: i32,
    },
}

impl SeekableForm {
    /// The annotation of a layer that has such a table.
    fn annotation(self) -> &'static str {
        match self {
            Self::Estargz { .. } => estargz::TOC_DIGEST,
            Self::ZstdChunked { .. } => zstd_chunked::TOC_DIGEST,
        }
    }
}

/// The image with layers that have a table of contents, and what a container starts with in front. Where that is part of what they uncompress to, the image
/// has another configuration, too. Layers from elsewhere stay as they came, unless `foreign` says otherwise and
/// they have no table yet; and so does one with names that no table can say. Its documents and layers are in the
/// store. Works on the current rayon pool.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, has a file with the name of the table, or
/// the store fails.
pub fn seekable(
    lease: &Lease,
    image: &StoredImage,
    (form, order): (SeekableForm, &StartOrder),
    foreign: ForeignLayers<'_>,
) -> Result<StoredImage, RecodeError> {
    replace_layers(lease, image, |_, layer, diff_id| {
        if stays(lease, layer, (form, foreign))? {
            return Ok(None);
        }
        let tree = layer_tree(lease, layer, &diff_id).map_err(|error| error.cause)?;
        let made = match form {
            SeekableForm::Estargz { level } => Some(estargz::export(lease, &tree, (level, order))?),
            SeekableForm::ZstdChunked { level } => {
                zstd_chunked::export(lease, &tree, (level, order))?
            }
        };
        let Some(Seekable { diff_id, mut descriptor }) = made else { return Ok(None) };
        for (key, value) in &layer.annotations {
            descriptor.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(Some(Replacement { descriptor, diff_id }))
    })
}

fn stays(
    lease: &Lease,
    layer: &Descriptor,
    (form, foreign): (SeekableForm, ForeignLayers<'_>),
) -> Result<bool, ReadError> {
    let Some(now) = layer.media_type.layer_compression() else { return Ok(true) };
    let is_settled = layer.annotations.contains_key(form.annotation());
    Ok(is_settled || foreign.leaves(lease, (layer, now))?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read as _;

    use super::*;
    use crate::digest::Digest;
    use crate::image::catalog::StoredContent;
    use crate::image::encode::Recompress;
    use crate::image::tests::built;
    use crate::oci::content::Content as _;

    fn made(lease: &Lease, image: &StoredImage, recompress: Recompress) -> StoredImage {
        let foreign = ForeignLayers { recompress, away: &BTreeSet::new() };
        seekable(
            lease,
            image,
            (SeekableForm::Estargz { level: 6 }, &StartOrder::default()),
            foreign,
        )
        .unwrap()
    }

    #[test]
    fn chunks_change_layers_and_not_what_the_configuration_says_of_them() {
        let (_folder, lease, image) = built();
        let foreign = ForeignLayers { recompress: Recompress::Never, away: &BTreeSet::new() };
        let form = SeekableForm::ZstdChunked { level: 3 };
        let order = &StartOrder::default();
        let made = seekable(&lease, &image, (form, order), foreign).unwrap();
        assert_eq!(made.config, image.config);
        let layer = &made.manifest.value().layers[0];
        assert!(layer.annotations.contains_key(form.annotation()));
        assert_eq!(layer.media_type, crate::oci::media_type::MediaType::LAYER_ZSTD);
        let mut blob = Vec::new();
        StoredContent(lease.store()).open(layer).unwrap().read_to_end(&mut blob).unwrap();
        let plain = zstd::decode_all(&blob[..]).unwrap();
        assert_eq!(image.config.value().rootfs.diff_ids[0].0, Digest::of(&plain));
        assert_eq!(seekable(&lease, &made, (form, order), foreign).unwrap(), made);
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
