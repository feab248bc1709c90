//! SOCI indexes of images, in the second version: what a node needs to start a container before all of its layers
//! have come.

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use crate::digest::DiffId;
use crate::error::WriteError;
use crate::image::recode::{RecodeCause, RecodeError};
use crate::layer::soci::{self, TOOL};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::{Compression, MediaType};

/// The annotation of an image with the digest of its SOCI index.
pub const INDEX_DIGEST: &str = "com.amazon.soci.index-digest";
/// The annotation of a SOCI index, where it is listed, with the digest of its image.
pub const IMAGE_DIGEST: &str = "com.amazon.soci.image-manifest-digest";

/// The annotation of a SOCI index with what made it.
const BUILD_TOOL: &str = "com.amazon.soci.build-tool-identifier";
/// The type of such an index, which is a manifest to registries.
const KIND: &str = "application/vnd.amazon.soci.index.v2+json";
/// Its configuration, which says nothing.
const EMPTY: &[u8] = b"{}";
/// Shorter layers are fetched as a whole: that takes less than fetching some of their files.
pub const LAYER_MIN: u64 = 10 << 20;

/// Whether an entry of an index is such an index.
pub fn is_soci(entry: &Descriptor) -> bool {
    entry.artifact_type.as_ref().is_some_and(|kind| kind.as_str() == KIND)
}

/// Whether a layer has a place in a SOCI index.
pub fn is_indexed(layer: &Descriptor) -> bool {
    LAYER_MIN <= layer.size && layer.media_type.layer_compression() == Some(Compression::Gzip)
}

/// An image with a SOCI index.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// Its manifest, which names the index.
    pub manifest: RawDocument<Manifest>,
    /// The index, as an entry beside the image names it.
    pub index: Descriptor,
}

/// Makes the SOCI index of an image as it leaves, over those of its layers that are long enough; all of it is in the
/// store. `None` where no layer is. Layers are read on the current rayon pool.
///
/// # Errors
///
/// If the store does not hold such a layer, or fails.
pub fn indexed(
    lease: &Lease,
    manifest: &RawDocument<Manifest>,
    diff_ids: &[DiffId],
) -> Result<Option<Indexed>, RecodeError> {
    indexed_from(lease, manifest, (diff_ids, is_indexed))
}

fn indexed_from(
    lease: &Lease,
    manifest: &RawDocument<Manifest>,
    (diff_ids, is_indexed): (&[DiffId], fn(&Descriptor) -> bool),
) -> Result<Option<Indexed>, RecodeError> {
    let manifest = as_oci(manifest.value());
    let layers = manifest.layers.par_iter().zip(diff_ids).filter(|(layer, _)| is_indexed(layer));
    let made = layers.map(|(layer, diff_id)| {
        let made = soci::ztoc(lease, layer, diff_id).map_err(RecodeCause::from);
        made.map_err(|cause| RecodeError::Layer { layer: *diff_id, cause })
    });
    let made: Vec<Option<Descriptor>> = made.collect::<Result<_, _>>()?;
    let tables: Vec<Descriptor> = made.into_iter().flatten().collect();
    if tables.is_empty() {
        return Ok(None);
    }
    let index = index(lease, tables)?;
    let named = [(INDEX_DIGEST.to_owned(), index.digest.to_string())];
    let annotations = manifest.annotations.clone().into_iter().chain(named).collect();
    let manifest = RawDocument::new(Manifest { annotations, ..manifest });
    lease.put_document(manifest.bytes())?;
    let says = (IMAGE_DIGEST.to_owned(), manifest.descriptor().digest.to_string());
    let index = Descriptor { annotations: [says].into(), ..index };
    Ok(Some(Indexed { manifest, index }))
}

/// The index over zTOCs.
fn index(lease: &Lease, tables: Vec<Descriptor>) -> Result<Descriptor, WriteError> {
    lease.put_document(EMPTY)?;
    let config = Descriptor::of(MediaType::new(KIND), EMPTY);
    let annotations = [(BUILD_TOOL.to_owned(), TOOL.to_owned())].into();
    let index = RawDocument::new(Manifest { annotations, ..Manifest::new(config, tables) });
    lease.put_document(index.bytes())?;
    Ok(Descriptor { artifact_type: Some(MediaType::new(KIND)), ..index.descriptor() })
}

/// The manifest in OCI's words: registries refuse a mixture.
fn as_oci(manifest: &Manifest) -> Manifest {
    let oci = |layer: &Descriptor| {
        let media_type = layer.media_type.of_oci();
        Descriptor { media_type, ..layer.clone() }
    };
    Manifest {
        media_type: MediaType::MANIFEST,
        config: Descriptor { media_type: MediaType::CONFIG, ..manifest.config.clone() },
        layers: manifest.layers.iter().map(oci).collect(),
        ..manifest.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::image::encode::{ForeignLayers, Recompress, encode_each};
    use crate::image::tests::built;
    use crate::layer::codec::Codec;
    use crate::oci::document::Document as _;

    #[test]
    fn image_and_index_name_each_other_and_layers_stay() {
        let (_folder, lease, image) = built();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let foreign = ForeignLayers { recompress: Recompress::Never, away: &BTreeSet::new() };
        let how = (Codec::GZIP, foreign);
        let encoded = encode_each(&lease, &image, how, (&pool, &|_| {})).unwrap();
        let diff_ids = &image.config.value().rootfs.diff_ids;
        assert!(indexed(&lease, &encoded, diff_ids).unwrap().is_none(), "too short");

        let made = || indexed_from(&lease, &encoded, (diff_ids, |_| true)).unwrap().unwrap();
        let Indexed { manifest, index } = made();
        assert_eq!(manifest.value().layers, encoded.value().layers);
        assert_eq!(manifest.value().annotations[INDEX_DIGEST], index.digest.to_string());
        assert_eq!(index.annotations[IMAGE_DIGEST], manifest.descriptor().digest.to_string());
        assert!(is_soci(&index));
        let document = lease.store().document(&index.digest).unwrap().unwrap();
        let read = Manifest::parse(&document).unwrap();
        assert_eq!((read.subject, read.artifact_type), (None, None));
        assert_eq!((read.config.media_type.as_str(), read.config.size), (KIND, 2));
        assert_eq!(read.annotations[BUILD_TOOL], TOOL);
        let layer = &manifest.value().layers[0];
        assert_eq!(read.layers[0].annotations[soci::LAYER_DIGEST], layer.digest.to_string());
        assert_eq!(made().index, index, "the same image has the same index");
    }
}
