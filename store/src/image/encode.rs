//! Images built here get compressed layers when they leave.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::ThreadPool;

use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::id::LayerId;
use crate::image::catalog::StoredImage;
use crate::image::recode::{RecodeCause, RecodeError, recode};
use crate::layer::codec::Codec;
use crate::layer::export::growing::Begun;
use crate::layer::export::{Exporting, export_once};
use crate::layer::import::layer_id;
use crate::layer::origin::recorded_origins;
use crate::layers::{LayerBlob, LayerRecord};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::RawDocument;
use crate::oci::growing::GrowingContent;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::Compression;
use crate::side_by_side::side_by_side;

/// What becomes of layers that are blobs from elsewhere.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Recompress {
    /// They leave byte for byte as they came.
    #[default]
    Never,
    /// Those that are not compressed and came from no registry are compressed, and get other digests, as those of
    /// `docker save` are; others leave as they came.
    Loaded,
    /// Those in another compression are compressed again, and get other digests.
    Differing,
}

/// Layers that somebody else made.
#[derive(Clone, Copy, Debug)]
pub struct ForeignLayers<'a> {
    /// What becomes of them.
    pub recompress: Recompress,
    /// Those that the store does not hold, as they are to be had: as long as they stay what they are,
    /// nobody needs their bytes.
    pub away: &'a BTreeSet<Digest>,
}

/// What there is to tell of a layer on its way out.
#[derive(Clone, Debug)]
pub enum Leaving<'a> {
    /// It is being compressed, and whoever sends it may begin. It is told of again when it can leave as a whole.
    Growing(Arc<dyn GrowingContent>),
    /// Its blob is there.
    Ready(&'a Descriptor),
}

/// Who is told, from several threads that are none of the pool's.
pub type Told<'a> = &'a (dyn Fn(Leaving<'_>) + Sync);

/// Layers that are compressed at a time: while one waits for its hash, another keeps the cores
/// busy, and each holds a window of its parts.
const AT_A_TIME: usize = 2;

/// The manifest of an image whose layers are compressed, in the store like the blobs it lists.
/// What was compressed once is found again. All the work is done in `pool`.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, or the store fails.
pub fn encode(
    lease: &Lease,
    image: &StoredImage,
    (codec, recompress): (Codec, Recompress),
    pool: &ThreadPool,
) -> Result<RawDocument<Manifest>, RecodeError> {
    let foreign = ForeignLayers { recompress, away: &BTreeSet::new() };
    encode_each(lease, image, (codec, foreign), (pool, &|_| {}))
}

/// As [`encode`]. Tells of each layer as it begins to be compressed, and when its blob is there.
///
/// # Errors
///
/// If a layer is neither a blob nor a tree of this store, and has to change or is not known to be elsewhere;
/// or if the store fails.
pub fn encode_each(
    lease: &Lease,
    image: &StoredImage,
    how: (Codec, ForeignLayers<'_>),
    (pool, told): (&ThreadPool, Told<'_>),
) -> Result<RawDocument<Manifest>, RecodeError> {
    let (codec, foreign) = how;
    let begun: Begun<'_> = &|blob| told(Leaving::Growing(blob));
    let how = Exporting { codec, pool, begun, measured: None };
    let mut layers = encode_all(image, &|layer, diff_id| {
        let encoded = one(lease, layer, diff_id, (foreign, how))?;
        told(Leaving::Ready(&encoded));
        Ok(encoded)
    });
    layers.reverse();
    let taken = |_: &Descriptor, _| layers.pop().unwrap_or(Err(RecodeCause::Missing));
    let manifest = recode(image, taken)?;
    lease.put_document(manifest.bytes())?;
    Ok(manifest)
}

/// The blob with which a layer leaves that was made here, of its uncompressed descriptor; it is in the store
/// then. Parts are compressed in `pool`, by whose threads this is not to be called.
///
/// # Errors
///
/// If the store does not hold the layer's files, or fails.
pub fn encode_own(
    lease: &Lease,
    layer: &Descriptor,
    how: Exporting<'_>,
) -> Result<Descriptor, RecodeCause> {
    let foreign = ForeignLayers { recompress: Recompress::Never, away: &BTreeSet::new() };
    one(lease, layer, DiffId(layer.digest), (foreign, how))
}

/// As [`encode_own`], of a layer whose files are in the store and which nobody knows the digest of yet: somebody else
/// computes it, for whom this waits at the end.
///
/// # Errors
///
/// As there, or if who computes the digest gives up.
pub fn encode_made(
    lease: &Lease,
    id: LayerId,
    how: Exporting<'_>,
) -> Result<Descriptor, RecodeCause> {
    let read = || lease.store().layer(&id)?.ok_or(RecodeCause::Missing);
    Ok(export_once(lease, id, read, how)?.1)
}

type Encoded = Result<Descriptor, RecodeCause>;

/// Encodes the layers of an image, some at a time; none is begun once one has failed.
fn encode_all(
    image: &StoredImage,
    encode: &(dyn Fn(&Descriptor, DiffId) -> Encoded + Sync),
) -> Vec<Encoded> {
    let layers = &image.manifest.value().layers;
    let pairs: Vec<_> = layers.iter().zip(&image.config.value().rootfs.diff_ids).collect();
    let has_failed = AtomicBool::new(false);
    let encoded = side_by_side(&pairs, AT_A_TIME, |(layer, diff_id)| {
        if has_failed.load(Ordering::Relaxed) {
            return None;
        }
        let encoded = encode(layer, **diff_id);
        has_failed.fetch_or(encoded.is_err(), Ordering::Relaxed);
        Some(encoded)
    });
    // Layers are begun in order: in front of one that is missing here there is one that failed.
    encoded.into_iter().flatten().collect()
}

fn one(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: DiffId,
    (foreign, how): (ForeignLayers<'_>, Exporting<'_>),
) -> Encoded {
    match stays(lease, layer, how.codec, foreign)? {
        Stays::Yes => Ok(layer.clone()),
        Stays::No => encode_layer(lease, layer, diff_id, how),
    }
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
    foreign: ForeignLayers<'_>,
) -> Result<Stays, ReadError> {
    let Some(now) = layer.media_type.layer_compression() else { return Ok(Stays::Yes) };
    if now == codec.compression() {
        return Ok(Stays::Yes);
    }
    Ok(if foreign.leaves(lease, (layer, now))? { Stays::Yes } else { Stays::No })
}

impl ForeignLayers<'_> {
    /// Whether a layer that is compressed in another way than is wanted, in this one, leaves all the same.
    pub(super) fn leaves(
        self,
        lease: &Lease,
        (layer, now): (&Descriptor, Compression),
    ) -> Result<bool, ReadError> {
        if self.recompress == Recompress::Differing || !self.has(lease, layer)? {
            return Ok(false);
        }
        let is_loaded = || {
            let is_here = now == Compression::None && !self.away.contains(&layer.digest);
            Ok::<_, ReadError>(
                is_here && recorded_origins(lease.store(), &layer.digest)?.is_empty(),
            )
        };
        Ok(self.recompress == Recompress::Never || !is_loaded()?)
    }

    /// Whether a layer is one of them. One that is not compressed may have been made here.
    fn has(self, lease: &Lease, layer: &Descriptor) -> Result<bool, ReadError> {
        let plain = layer.media_type.layer_compression() == Some(Compression::None);
        let away = self.away.contains(&layer.digest);
        Ok(!plain || away || lease.store().foreign_blob(&layer.digest)?.is_some())
    }
}

fn encode_layer(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: DiffId,
    how: Exporting<'_>,
) -> Result<Descriptor, RecodeCause> {
    let id = record(lease, layer, diff_id)?.id;
    let read = || record(lease, layer, diff_id);
    let (_, mut descriptor) = export_once(lease, id, read, how)?;
    if layer.media_type.layer_compression() == Some(Compression::None) {
        // What is said of a compressed layer may be about its compression.
        descriptor.annotations.clone_from(&layer.annotations);
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
    use std::sync::Mutex;

    use super::*;
    use crate::digest::Digest;
    use crate::image::catalog::StoredContent;
    use crate::image::resolve::resolve;
    use crate::image::tests::built;
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layer::origin::remember_origin;
    use crate::oci::archive::{self, Flavour};
    use crate::oci::content::Content;
    use crate::oci::layout::write::named;
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::platform::Platform;
    use crate::oci::source::ImageSource as _;

    fn pool() -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
    }

    fn bytes(lease: &Lease, descriptor: &Descriptor) -> Vec<u8> {
        let content = StoredContent(lease.store());
        let mut bytes = Vec::new();
        content.open(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[track_caller]
    fn check(codec: Codec, uncompress: fn(&[u8]) -> Vec<u8>) {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, (codec, Recompress::Never), &pool()).unwrap();
        let layer = &manifest.value().layers[0];
        let plain = uncompress(&bytes(&lease, layer));
        assert_eq!(Digest::of(&plain), image.config.value().rootfs.diff_ids[0].0);
        let again = encode(&lease, &image, (codec, Recompress::Never), &pool()).unwrap();
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
    fn layers_are_told_of_once_each_and_keep_their_order() {
        let (_folder, lease, image) = built();
        let mut many = image.manifest.value().clone();
        let mut config = image.config.value().clone();
        many.layers = vec![many.layers[0].clone(); 9];
        config.rootfs.diff_ids = vec![config.rootfs.diff_ids[0]; 9];
        many.layers[4].media_type = crate::oci::media_type::MediaType::new("application/x-model");
        let manifest = RawDocument::new(many);
        let image =
            StoredImage { root: manifest.descriptor(), manifest, config: RawDocument::new(config) };
        let told = Mutex::new(Vec::new());
        let ready = |news: Leaving<'_>| match news {
            Leaving::Growing(_) => {}
            Leaving::Ready(layer) => told.lock().unwrap().push(layer.digest),
        };
        let foreign = ForeignLayers { recompress: Recompress::Never, away: &BTreeSet::new() };
        let how = (Codec::GZIP, foreign);
        let encoded = encode_each(&lease, &image, how, (&pool(), &ready)).unwrap();
        let mut layers: Vec<Digest> =
            encoded.value().layers.iter().map(|layer| layer.digest).collect();
        assert_eq!(layers[4], image.manifest.value().layers[4].digest);
        assert!(layers.iter().filter(|layer| **layer == layers[0]).count() == 8);
        let mut told = told.into_inner().unwrap();
        layers.sort();
        told.sort();
        assert_eq!(told, layers);
    }

    #[test]
    fn a_layer_that_is_nowhere_is_named_whichever_thread_met_it() {
        let (_folder, lease, image) = built();
        let mut manifest = image.manifest.value().clone();
        let mut config = image.config.value().clone();
        let lost = DiffId(Digest::of(b"lost"));
        let layer = Descriptor { digest: lost.0, ..manifest.layers[0].clone() };
        for at in 0..8 {
            let (layer, diff_id) = if at == 2 {
                (layer.clone(), lost)
            } else {
                (manifest.layers[0].clone(), config.rootfs.diff_ids[0])
            };
            manifest.layers.push(layer);
            config.rootfs.diff_ids.push(diff_id);
        }
        let manifest = RawDocument::new(manifest);
        let image =
            StoredImage { root: manifest.descriptor(), manifest, config: RawDocument::new(config) };
        let error = encode(&lease, &image, (Codec::GZIP, Recompress::Never), &pool()).unwrap_err();
        assert!(matches!(error, RecodeError::Layer { layer, .. } if layer == lost), "{error}");
    }

    #[test]
    fn a_layer_that_is_elsewhere_stays_what_it_is_without_its_bytes() {
        let (_folder, lease, image) = built();
        let (mut manifest, mut config) =
            (image.manifest.value().clone(), image.config.value().clone());
        let away = DiffId(Digest::of(b"away"));
        let layer = Descriptor { digest: away.0, ..manifest.layers[0].clone() };
        manifest.layers.insert(0, layer.clone());
        config.rootfs.diff_ids.insert(0, away);
        let manifest = RawDocument::new(manifest);
        let image =
            StoredImage { root: manifest.descriptor(), manifest, config: RawDocument::new(config) };
        let away = BTreeSet::from([away.0]);
        let encoded = |recompress| {
            let foreign = ForeignLayers { recompress, away: &away };
            encode_each(&lease, &image, (Codec::GZIP, foreign), (&pool(), &|_| {}))
        };
        let layers = encoded(Recompress::Never).unwrap().into_parts().1.layers;
        assert_eq!(layers[0], layer);
        assert_eq!(layers[1].media_type, Codec::GZIP.media_type(), "that one was made here");
        assert!(encoded(Recompress::Differing).is_err(), "to change it, it has to be here");
    }

    #[test]
    fn loaded_layers_are_compressed_where_that_is_asked_for_and_those_of_registries_are_not() {
        let (_folder, lease, image) = built();
        let layer = image.manifest.value().layers[0].clone();
        let diff_id = image.config.value().rootfs.diff_ids[0];
        let plain = bytes(&lease, &layer);
        let mut ingest = lease.ingest_blob(&layer).unwrap();
        std::io::Write::write_all(&mut ingest, &plain).unwrap();
        ingest.commit().unwrap();
        let encoded = |codec, recompress| {
            let foreign = ForeignLayers { recompress, away: &BTreeSet::new() };
            let made = encode_each(&lease, &image, (codec, foreign), (&pool(), &|_| {})).unwrap();
            made.into_parts().1.layers[0].clone()
        };
        assert_eq!(encoded(Codec::GZIP, Recompress::Never), layer, "it came from elsewhere");
        let compressed = encoded(Codec::GZIP, Recompress::Loaded);
        assert_eq!(compressed.media_type, Codec::GZIP.media_type());
        assert_eq!(encoded(Codec::None, Recompress::Loaded), layer, "as it is asked for");
        let mut batch = Batch::new();
        remember_origin(lease.store(), (&layer, &diff_id), "r.io/app", &mut batch).unwrap();
        lease.commit(batch, Durability::Relaxed).unwrap();
        assert_eq!(encoded(Codec::GZIP, Recompress::Loaded), layer, "a registry has it like that");
    }

    #[test]
    fn without_compression_the_manifest_stays() {
        let (_folder, lease, image) = built();
        let manifest = encode(&lease, &image, (Codec::None, Recompress::Never), &pool()).unwrap();
        assert_eq!(manifest.bytes(), image.manifest.bytes());
        let layer = &manifest.value().layers[0];
        assert_eq!(Digest::of(&bytes(&lease, layer)), layer.digest);
    }

    #[test]
    fn an_archive_of_an_image_made_here_reads_back() {
        let (_folder, lease, image) = built();
        let root =
            encode(&lease, &image, (Codec::GZIP, Recompress::Never), &pool()).unwrap().descriptor();
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
