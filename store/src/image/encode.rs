//! Images built here get compressed layers when they leave.

use std::io;

use crate::digest::DiffId;
use crate::error::{ReadError, WriteError};
use crate::id::TreeId;
use crate::image::catalog::StoredImage;
use crate::image::recode::recode;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::export::{LEVEL, gzip};
use crate::layer::tar_write::{WriteTarError, tar_write};
use crate::layers::{LayerBlob, LayerRecord};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::{Compression, MediaType};
use crate::tree::entry::Tree;

/// The level of zstd layers: the default of the format's own tool.
const ZSTD_LEVEL: i32 = 3;

/// An image could not be given other layers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// One of its layers could not be encoded.
    #[error("cannot encode layer {}", layer.0)]
    Layer {
        /// Which layer.
        layer: DiffId,
        /// Why.
        #[source]
        cause: EncodeCause,
    },
    /// The manifest could not be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a layer could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeCause {
    /// The store knows neither its blob nor its files.
    #[error("the store does not hold it")]
    Missing,
    /// Its tar stream could not be written.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The encoder failed.
    #[error("compressing failed")]
    Codec(#[source] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The manifest of an image with its layers compressed, in the store like the blobs it lists.
///
/// Layers that came from elsewhere keep their bytes. What was compressed once is found again.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, or the store fails.
pub fn encode(
    lease: &Lease,
    image: &StoredImage,
    codec: Compression,
) -> Result<RawDocument<Manifest>, EncodeError> {
    let manifest = recode(image, |layer, diff_id| {
        encode_layer(lease, layer, diff_id, codec)
            .map_err(|cause| EncodeError::Layer { layer: diff_id, cause })
    })?;
    lease.put_document(manifest.bytes())?;
    Ok(manifest)
}

fn encode_layer(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: DiffId,
    codec: Compression,
) -> Result<Descriptor, EncodeCause> {
    let store = lease.store();
    if codec == Compression::None || store.foreign_blob(&layer.digest)?.is_some() {
        return Ok(layer.clone());
    }
    let mut record = store.layer_of_diff(&diff_id)?.ok_or(EncodeCause::Missing)?;
    if let Some(known) = known(lease, &record, codec)? {
        return Ok(known);
    }
    let tree = tree(lease, record.tree.as_ref())?;
    let descriptor = compress(lease, &tree, codec)?;
    let name = codec_name(codec);
    let blob = LayerBlob { compression: codec, codec: name, descriptor: descriptor.clone() };
    record.blobs.push(blob);
    let mut batch = Batch::default();
    batch.put_layer(&record);
    // The blob can be made again: its record need not survive a power cut.
    lease.commit(batch, Durability::Relaxed)?;
    Ok(descriptor)
}

fn tree(lease: &Lease, id: Option<&TreeId>) -> Result<Tree, EncodeCause> {
    let tree = id.map(|id| lease.store().tree(id)).transpose()?.flatten();
    tree.ok_or(EncodeCause::Missing)
}

/// What this codec made of the layer before, if it is still here.
fn known(
    lease: &Lease,
    record: &LayerRecord,
    codec: Compression,
) -> Result<Option<Descriptor>, ReadError> {
    let name = codec_name(codec);
    for blob in record.blobs.iter().filter(|blob| blob.codec == name) {
        if lease.store().foreign_blob(&blob.descriptor.digest)?.is_some() {
            return Ok(Some(blob.descriptor.clone()));
        }
    }
    Ok(None)
}

fn compress(lease: &Lease, tree: &Tree, codec: Compression) -> Result<Descriptor, EncodeCause> {
    let mut blob = lease.new_blob()?;
    match codec {
        Compression::Gzip => {
            gzip(tree, lease.store(), &mut blob)?;
            Ok(blob.commit(MediaType::LAYER_GZIP)?)
        }
        Compression::None => {
            tar_write(tree, lease.store(), None, &mut blob)?;
            Ok(blob.commit(MediaType::LAYER)?)
        }
        Compression::Zstd => {
            let encoder = zstd::Encoder::new(&mut blob, ZSTD_LEVEL);
            let mut encoder = encoder.map_err(EncodeCause::Codec)?;
            tar_write(tree, lease.store(), None, &mut encoder)?;
            encoder.finish().map_err(EncodeCause::Codec)?;
            Ok(blob.commit(MediaType::LAYER_ZSTD)?)
        }
    }
}

/// What a record says made a blob. The version changes with every change of the bytes.
fn codec_name(codec: Compression) -> String {
    match codec {
        Compression::Gzip => format!("gzip/{LEVEL}/1"),
        Compression::None => "tar/1".to_owned(),
        Compression::Zstd => format!("zstd/{ZSTD_LEVEL}/1"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::digest::Digest;
    use crate::id::LayerId;
    use crate::image::catalog::StoredContent;
    use crate::layer::export::measure;
    use crate::oci::config::ImageConfig;
    use crate::oci::content::Content;
    use crate::store::{OpenOptions, Store};
    use crate::tree::sketch::sketch;

    /// A store with an image of one layer, made here.
    fn built() -> (tempfile::TempDir, Lease, StoredImage) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let tree = sketch("etc/ etc/motd=hello");
        lease.put_body(b"hello").unwrap();
        let measured = measure(&tree, &store).unwrap();
        let mut record = LayerRecord::new(LayerId::from_bytes([1; 32]));
        record.tree = Some(lease.put_tree(&tree).unwrap());
        record.diff_id = Some(measured.diff_id);
        record.tar_size = Some(measured.size);
        let mut batch = Batch::default();
        batch.put_layer(&record);
        lease.commit(batch, Durability::Relaxed).unwrap();
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids = vec![measured.diff_id];
        let config = RawDocument::new(config);
        let layer = Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size);
        let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer]));
        let image = StoredImage { root: manifest.descriptor(), manifest, config };
        (folder, lease, image)
    }

    fn bytes(lease: &Lease, descriptor: &Descriptor) -> Vec<u8> {
        let content = StoredContent(lease.store());
        let mut bytes = Vec::new();
        content.open(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[track_caller]
    fn check(codec: Compression, uncompress: fn(&[u8]) -> Vec<u8>) {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, codec).unwrap();
        let layer = &manifest.value().layers[0];
        let plain = uncompress(&bytes(&lease, layer));
        assert_eq!(Digest::of(&plain), image.config.value().rootfs.diff_ids[0].0);
        let again = encode(&lease, &image, codec).unwrap();
        assert_eq!(again.bytes(), manifest.bytes());
    }

    #[test]
    fn a_compressed_layer_holds_the_tar_stream_of_its_diff_id() {
        check(Compression::Gzip, |bytes| {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
            plain
        });
        check(Compression::Zstd, |bytes| zstd::decode_all(bytes).unwrap());
    }

    #[test]
    fn without_compression_the_manifest_stays() {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, Compression::None).unwrap();
        assert_eq!(manifest.bytes(), image.manifest.bytes());
        let layer = &manifest.value().layers[0];
        assert_eq!(Digest::of(&bytes(&lease, layer)), layer.digest);
    }
}
