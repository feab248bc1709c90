//! Images built here get compressed layers when they leave.

use crate::digest::DiffId;
use crate::error::ReadError;
use crate::image::catalog::StoredImage;
use crate::image::recode::{RecodeCause, RecodeError, recode};
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::codec::Codec;
use crate::layer::export::export;
use crate::layer::import::layer_id;
use crate::layers::{LayerBlob, LayerRecord};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::Compression;

/// What becomes of layers that are blobs from elsewhere.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Recompress {
    /// They leave byte for byte as they came.
    #[default]
    Never,
    /// Those in another compression are compressed again, and get other digests.
    Differing,
}

/// The manifest of an image whose layers are compressed, in the store like the blobs it lists.
/// What was compressed once is found again.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, or the store fails.
pub fn encode(
    lease: &Lease,
    image: &StoredImage,
    codec: Codec,
    recompress: Recompress,
) -> Result<RawDocument<Manifest>, RecodeError> {
    let manifest = recode(image, |layer, diff_id| match stays(lease, layer, codec, recompress)? {
        Stays::Yes => Ok(layer.clone()),
        Stays::No => encode_layer(lease, layer, diff_id, codec),
    })?;
    lease.put_document(manifest.bytes())?;
    Ok(manifest)
}

#[derive(Clone, Copy)]
enum Stays {
    Yes,
    No,
}

/// Whether a layer leaves as the image lists it. One of a type we do not read always does.
fn stays(
    lease: &Lease,
    layer: &Descriptor,
    codec: Codec,
    recompress: Recompress,
) -> Result<Stays, ReadError> {
    let now = layer.media_type.layer_compression();
    let elsewhere = is_from_elsewhere(lease, layer)?;
    let differs = now.is_some_and(|now| now != codec.compression());
    Ok(match (elsewhere, recompress) {
        (_, _) if !differs => Stays::Yes,
        (true, Recompress::Never) => Stays::Yes,
        (false, _) | (true, Recompress::Differing) => Stays::No,
    })
}

/// Whether a layer is a blob that somebody else made.
pub(super) fn is_from_elsewhere(lease: &Lease, layer: &Descriptor) -> Result<bool, ReadError> {
    let plain = layer.media_type.layer_compression() == Some(Compression::None);
    Ok(!plain || lease.store().foreign_blob(&layer.digest)?.is_some())
}

fn encode_layer(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: DiffId,
    codec: Codec,
) -> Result<Descriptor, RecodeCause> {
    let mut record = record(lease, layer, diff_id)?;
    let before = record.clone();
    let mut descriptor = export(lease, &mut record, codec)?;
    if layer.media_type.layer_compression() == Some(Compression::None) {
        // What is said of a compressed layer may be about its compression.
        descriptor.annotations.clone_from(&layer.annotations);
    }
    if record != before {
        let mut batch = Batch::default();
        batch.put_layer(&record);
        // The blob can be made again: its record need not survive a power cut.
        lease.commit(batch, Durability::Relaxed)?;
    }
    Ok(descriptor)
}

/// What is known of a layer; of one whose blob was only passed on so far, the image knows it.
fn record(lease: &Lease, layer: &Descriptor, diff_id: DiffId) -> Result<LayerRecord, RecodeCause> {
    let store = lease.store();
    if let Some(record) = store.layer_of_diff(&diff_id)? {
        return Ok(record);
    }
    let compression = layer.media_type.layer_compression().ok_or(RecodeCause::Missing)?;
    if store.foreign_blob(&layer.digest)?.is_none() {
        return Err(RecodeCause::Missing);
    }
    let mut record = LayerRecord::new(layer_id(&diff_id));
    record.diff_id = Some(diff_id);
    let (codec, descriptor) = (String::new(), layer.clone());
    record.blobs.push(LayerBlob { compression, codec, descriptor });
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::digest::Digest;
    use crate::image::catalog::StoredContent;
    use crate::image::resolve::resolve;
    use crate::image::tests::built;
    use crate::oci::archive::{self, Flavour};
    use crate::oci::content::Content;
    use crate::oci::layout::write::named;
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::platform::Platform;
    use crate::oci::source::ImageSource as _;

    fn bytes(lease: &Lease, descriptor: &Descriptor) -> Vec<u8> {
        let content = StoredContent(lease.store());
        let mut bytes = Vec::new();
        content.open(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[track_caller]
    fn check(codec: Codec, uncompress: fn(&[u8]) -> Vec<u8>) {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, codec, Recompress::Never).unwrap();
        let layer = &manifest.value().layers[0];
        let plain = uncompress(&bytes(&lease, layer));
        assert_eq!(Digest::of(&plain), image.config.value().rootfs.diff_ids[0].0);
        let again = encode(&lease, &image, codec, Recompress::Never).unwrap();
        assert_eq!(again.bytes(), manifest.bytes());
    }

    #[test]
    fn a_compressed_layer_holds_the_tar_stream_of_its_diff_id() {
        check(Codec::GZIP, |bytes| {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
            plain
        });
        check(Codec::ZSTD, |bytes| zstd::decode_all(bytes).unwrap());
    }

    #[test]
    fn without_compression_the_manifest_stays() {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, Codec::None, Recompress::Never).unwrap();
        assert_eq!(manifest.bytes(), image.manifest.bytes());
        let layer = &manifest.value().layers[0];
        assert_eq!(Digest::of(&bytes(&lease, layer)), layer.digest);
    }

    #[test]
    fn an_archive_of_an_image_made_here_reads_back() {
        let (_folder, lease, image) = built();
        let root = encode(&lease, &image, Codec::GZIP, Recompress::Never).unwrap().descriptor();
        let entry = named(root, &"app".parse().unwrap(), None);
        let mut bytes = Vec::new();
        let content = StoredContent(lease.store());
        archive::write(&mut bytes, &content, &[entry], (Flavour::Docker, None)).unwrap();

        let out = tempfile::tempdir().unwrap();
        tar::Archive::new(&bytes[..]).unpack(out.path()).unwrap();
        let layout = Layout::open(out.path(), Selector::Default).unwrap();
        let reference = "app".parse().unwrap();
        let resolved = resolve(&layout, &reference, &Platform::linux("amd64")).unwrap();
        assert_eq!(resolved.config, image.config);
        let layer = &resolved.layers[0];
        assert_eq!(layer.compression, Compression::Gzip);
        let (mut plain, blob) = (Vec::new(), layout.blob(&reference, &layer.descriptor).unwrap());
        flate2::read::GzDecoder::new(blob).read_to_end(&mut plain).unwrap();
        assert_eq!(DiffId(Digest::of(&plain)), layer.diff_id);
    }
}
