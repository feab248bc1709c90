//! The manifest of an image whose layers take another form: another compression, other times.

use crate::digest::DiffId;
use crate::error::{ReadError, WriteError};
use crate::image::catalog::StoredImage;
use crate::image::rootfs::RootfsCause;
use crate::layer::export::ExportError;
use crate::layer::tar_write::WriteTarError;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::MediaType;

/// An image could not be given other layers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecodeError {
    /// One of its layers has no other form.
    #[error("cannot make another form of layer {}", layer.0)]
    Layer {
        /// Which layer.
        layer: DiffId,
        /// Why.
        #[source]
        cause: RecodeCause,
    },
    /// Its documents could not be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a layer has no other form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecodeCause {
    /// The store knows neither its blob nor its files.
    #[error("the store does not hold it")]
    Missing,
    /// Its blob could not be made.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Its files could not be read.
    #[error(transparent)]
    Files(#[from] RootfsCause),
    /// Its tar stream could not be computed.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The image's manifest with each layer as `recode_layer` gives it.
///
/// Where that changes nothing, the manifest stays byte for byte. Where it does, the new manifest
/// is OCI's throughout: Docker's types know no zstd, and registries refuse a mixture.
///
/// # Errors
///
/// What `recode_layer` reports, with the layer.
pub(super) fn recode(
    image: &StoredImage,
    mut recode_layer: impl FnMut(&Descriptor, DiffId) -> Result<Descriptor, RecodeCause>,
) -> Result<RawDocument<Manifest>, RecodeError> {
    let old = image.manifest.value();
    let pairs = old.layers.iter().zip(&image.config.value().rootfs.diff_ids);
    let layers = pairs.map(|(descriptor, &layer)| {
        recode_layer(descriptor, layer).map_err(|cause| RecodeError::Layer { layer, cause })
    });
    let layers: Vec<Descriptor> = layers.collect::<Result<_, _>>()?;
    if layers == old.layers {
        return Ok(image.manifest.clone());
    }
    let config = Descriptor { media_type: MediaType::CONFIG, ..old.config.clone() };
    let layers = layers.into_iter().map(as_oci).collect();
    let media_type = MediaType::MANIFEST;
    Ok(RawDocument::new(Manifest { media_type, config, layers, ..old.clone() }))
}

/// A layer that takes the place of another, and does not hold the same.
pub(super) struct Replacement {
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: DiffId,
}

/// The image with other layers where `replace` gives one, and the configuration that goes with
/// them; the lowest layer is number 0. The documents are in the store, and where nothing is
/// replaced they are those of `image`.
///
/// # Errors
///
/// What `replace` reports, with the layer; or if the store cannot be written.
pub(super) fn replace_layers(
    lease: &Lease,
    image: &StoredImage,
    mut replace: impl FnMut(usize, &Descriptor, DiffId) -> Result<Option<Replacement>, RecodeCause>,
) -> Result<StoredImage, RecodeError> {
    let mut config = image.config.value().clone();
    let mut diff_ids = config.rootfs.diff_ids.iter_mut().enumerate();
    let manifest = recode(image, |layer, diff_id| {
        let Some((at, place)) = diff_ids.next() else { return Ok(layer.clone()) };
        let Some(made) = replace(at, layer, diff_id)? else { return Ok(layer.clone()) };
        *place = made.diff_id;
        Ok(made.descriptor)
    })?;
    if manifest == image.manifest {
        return Ok(image.clone());
    }
    // What says the same stays byte for byte.
    let same = config == *image.config.value();
    let config = if same { image.config.clone() } else { RawDocument::new(config) };
    let manifest = Manifest { config: config.descriptor(), ..manifest.into_parts().1 };
    let manifest = RawDocument::new(manifest);
    lease.put_document(config.bytes())?;
    lease.put_document(manifest.bytes())?;
    Ok(StoredImage { root: manifest.descriptor(), manifest, config })
}

fn as_oci(layer: Descriptor) -> Descriptor {
    Descriptor { media_type: layer.media_type.of_oci(), ..layer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::oci::config::ImageConfig;

    fn docker_image() -> StoredImage {
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids = vec![DiffId(Digest::of(b"a")), DiffId(Digest::of(b"b"))];
        let config = RawDocument::new(config);
        let layers = [b"a", b"b"].map(|bytes| Descriptor::of(MediaType::DOCKER_LAYER_GZIP, bytes));
        let named = Descriptor { media_type: MediaType::DOCKER_CONFIG, ..config.descriptor() };
        let manifest = Manifest::new(named, layers.to_vec());
        let media_type = MediaType::DOCKER_MANIFEST;
        let manifest = RawDocument::new(Manifest { media_type, ..manifest });
        StoredImage { root: manifest.descriptor(), manifest, config }
    }

    #[test]
    fn an_image_whose_layers_stay_keeps_its_bytes() {
        let image = docker_image();
        let same = recode(&image, |layer, _| Ok(layer.clone())).unwrap();
        assert_eq!(same, image.manifest);
    }

    #[test]
    fn one_new_layer_makes_the_whole_manifest_ocis() {
        let image = docker_image();
        let zstd = Descriptor::of(MediaType::LAYER_ZSTD, b"z");
        let first = DiffId(Digest::of(b"a"));
        let encode = |layer: &Descriptor, diff_id| {
            Ok(if diff_id == first { zstd.clone() } else { layer.clone() })
        };
        let manifest = recode(&image, encode).unwrap().into_parts().1;
        let types: Vec<&MediaType> =
            manifest.layers.iter().map(|layer| &layer.media_type).collect();
        assert_eq!(types, [&MediaType::LAYER_ZSTD, &MediaType::LAYER_GZIP]);
        assert_eq!(manifest.media_type, MediaType::MANIFEST);
        assert_eq!(manifest.config.media_type, MediaType::CONFIG);
        assert_eq!(manifest.config.digest, image.config.descriptor().digest);
    }
}
