//! Giving a layer away: its tar stream by `DiffId`, and compressed as a blob that is written down as
//! a recipe of parts. Parts are compressed apart and kept, so that the next version of a layer
//! compresses only what changed, and the bytes do not depend on how many threads do it.

use std::{fmt, io};

use rayon::ThreadPool;

use self::assembler::{Assembler, Counter};
use self::growing::Begun;
use crate::digest::DiffId;
use crate::error::{ReadError, WriteError};
use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{BLOCK, END, padding};
use crate::layer::codec::Codec;
use crate::layer::decompress::decompress;
use crate::layer::loaded::{self, Loaded};
use crate::layer::tar_read::Policy;
use crate::layer::tar_write::WriteTarError;
use crate::layers::{LayerBlob, LayerRecord};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::tree::entry::Tree;

pub(super) mod assembler;
pub mod growing;
mod in_order;
mod made;
mod window;

/// What a layer's tar stream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Measured {
    /// Its digest.
    pub diff_id: DiffId,
    /// Its length.
    pub size: u64,
}

/// Who knows what a layer's tar stream is.
#[derive(Clone, Copy)]
pub(super) enum Measuring<'a> {
    /// Everybody.
    Done(Measured),
    /// Somebody who is computing it.
    Elsewhere(MeasuredElsewhere<'a>),
}

/// Waits for somebody who computes what a layer's tar stream is; `None` where they give up.
pub type MeasuredElsewhere<'a> = &'a (dyn Fn() -> Option<Measured> + Sync);

impl Measuring<'_> {
    fn wait(&self) -> Result<Measured, ExportError> {
        match self {
            Self::Done(measured) => Ok(*measured),
            Self::Elsewhere(wait) => wait().ok_or(ExportError::Unmeasured),
        }
    }
}

/// A layer could not be given a blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store has neither its tree nor its blob.
    #[error("the layer's files are gone")]
    Gone,
    /// Whoever was to compute what the layer is has given up.
    #[error("nobody says what the layer is")]
    Unmeasured,
    /// The tar stream is not the one the layer is known by.
    #[error("the layer's files make {found}, not {expected}")]
    DiffId {
        /// What was recorded.
        expected: DiffId,
        /// What the files make.
        found: DiffId,
    },
    /// The tar stream has another length than the one the layer is known by.
    #[error("the layer's files make a tar stream of {found} bytes, not {expected}")]
    Size {
        /// What was recorded.
        expected: u64,
        /// What the files make.
        found: u64,
    },
    /// A file has a name that the blob needs for itself.
    #[error("the layer has a file named {0}, which an eStargz layer needs for itself")]
    Reserved(&'static str),
    /// A file of the layer could not be read.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The layer's own blob could not be read, or compressing failed.
    #[error("cannot compress the layer")]
    Codec(#[from] io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// How a layer is given a blob.
#[derive(Clone, Copy)]
pub struct Exporting<'a> {
    /// How it is compressed.
    pub codec: Codec,
    /// Where. No thread of it may ask for it.
    pub pool: &'a ThreadPool,
    /// Who is told of a blob that is not known yet, before the first of its parts is made. It must be quick.
    pub begun: Begun<'a>,
    /// Who computes meanwhile what the tar stream is of a layer of which that is not known. It is computed here
    /// otherwise, of which the whole stream is read.
    pub measured: Option<MeasuredElsewhere<'a>>,
}

impl fmt::Debug for Exporting<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Exporting").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Computes the [`DiffId`] of a layer. Files are read on the current rayon pool.
///
/// # Errors
///
/// If the bytes of a file are not in `bodies`.
pub fn measure(tree: &Tree, bodies: &dyn Bodies) -> Result<Measured, WriteTarError> {
    let mut counter = Counter::default();
    loaded::each::<WriteTarError>(tree, bodies, &mut |loaded| count(&mut counter, &loaded))?;
    counter.add(&END);
    Ok(counter.measured())
}

/// Counts an entry with the bytes of its file.
pub(super) fn count(counter: &mut Counter, loaded: &Loaded) -> Result<(), WriteTarError> {
    counter.add(&loaded.entry.header);
    if let Some(body) = &loaded.body {
        body.each::<ReadError>(&mut |bytes| {
            counter.add(bytes);
            Ok(())
        })?;
        counter.add(&[0; BLOCK][..padding(body.len())]);
    }
    Ok(())
}

/// The blob that `codec` makes of a layer. What was made before is found in the record and not
/// made again; otherwise the record learns [`DiffId`], length and blob, and is the caller's to commit.
/// Parts are compressed on the current rayon pool.
///
/// # Errors
///
/// If the layer is neither a tree nor a blob here, or its files are not what its [`DiffId`] says.
pub fn export(
    lease: &Lease,
    record: &mut LayerRecord,
    codec: Codec,
) -> Result<Descriptor, ExportError> {
    export_by(lease, record, codec, Aid::default())
}

/// What an export may be helped by.
#[derive(Clone, Copy, Default)]
struct Aid<'a> {
    /// `None` for the pool that it is called in.
    pool: Option<&'a ThreadPool>,
    begun: Option<Begun<'a>>,
    measured: Option<MeasuredElsewhere<'a>>,
}

fn export_by(
    lease: &Lease,
    record: &mut LayerRecord,
    codec: Codec,
    aid: Aid<'_>,
) -> Result<Descriptor, ExportError> {
    if codec == Codec::None
        && let (Some(diff_id), Some(size)) = (record.diff_id, record.tar_size)
    {
        return Ok(Descriptor::new(codec.media_type(), diff_id.0, size));
    }
    let id = codec.id()?;
    if let Some(known) = known(lease, record, &id)? {
        return Ok(known);
    }
    let (measured, descriptor) = compress(lease, record, (codec, &id), aid)?;
    record.diff_id = Some(measured.diff_id);
    record.tar_size = Some(measured.size);
    if codec != Codec::None {
        let (compression, descriptor) = (codec.compression(), descriptor.clone());
        record.blobs.retain(|blob| blob.descriptor.digest != descriptor.digest);
        record.blobs.push(LayerBlob { compression, codec: id, descriptor });
    }
    Ok(descriptor)
}

/// As [`export`], of a layer that several may ask for at the same time: it is compressed once, and the
/// record is committed. `read` reads the record of the layer `id` once nobody else is at work on it.
///
/// It waits for who is, and hands the compressing to the pool: no thread of that may call it. Whoever is told that
/// the blob grows can know what it is by the time this returns.
///
/// # Errors
///
/// What `read` says, and as [`export`].
pub fn export_once<E: From<ExportError>>(
    lease: &Lease,
    id: LayerId,
    read: impl FnOnce() -> Result<LayerRecord, E>,
    Exporting { codec, pool, begun, measured }: Exporting<'_>,
) -> Result<(LayerRecord, Descriptor), E> {
    let _alone = lease.exporting().claim(id);
    let mut record = read()?;
    let before = record.clone();
    let aid = Aid { pool: Some(pool), begun: Some(begun), measured };
    let descriptor = export_by(lease, &mut record, codec, aid)?;
    if record != before {
        let mut batch = Batch::default();
        batch.put_layer(&record);
        // The blob can be made again: its record need not survive a power cut.
        lease.commit(batch, Durability::Relaxed).map_err(ExportError::Write)?;
    }
    Ok((record, descriptor))
}

/// What the layer's tar stream is, if that was computed from its tree. Of a layer from elsewhere it
/// was not: its files may make another stream than the one inside its blob.
fn measured_in_tree(record: &LayerRecord) -> Option<Measured> {
    let (diff_id, size) = record.diff_id.zip(record.tar_size)?;
    record.is_made_here().then_some(Measured { diff_id, size })
}

/// What the tar stream is inside a blob from elsewhere that has the stream's own name: it is the blob.
fn plain_by_name(record: &LayerRecord, blob: &Descriptor) -> Option<Measured> {
    let diff_id = record.diff_id.filter(|diff_id| diff_id.0 == blob.digest)?;
    Some(Measured { diff_id, size: blob.size })
}

/// What this codec made of the layer before, if its recipe and all that this names are here to stay.
fn known(lease: &Lease, record: &LayerRecord, id: &str) -> Result<Option<Descriptor>, ReadError> {
    for blob in record.blobs.iter().filter(|blob| blob.codec == id) {
        if lease.holds_recipe(&blob.descriptor.digest)? {
            return Ok(Some(blob.descriptor.clone()));
        }
    }
    Ok(None)
}

/// Compresses the tar stream of the layer's files, if that is the layer's: the same files make the same
/// blob, whatever else the store has. Otherwise the one inside a blob from elsewhere, which only that
/// blob has exactly.
fn compress(
    lease: &Lease,
    record: &LayerRecord,
    (codec, id): (Codec, &str),
    Aid { pool, begun, measured }: Aid<'_>,
) -> Result<(Measured, Descriptor), ExportError> {
    let store = lease.store();
    let assembler = |measuring| {
        let mut assembler = Assembler::new(lease, (codec, id), measuring);
        if let Some(begun) = begun.filter(|_| codec != Codec::None) {
            assembler.tell(begun);
        }
        assembler
    };
    let mut failed = ExportError::Gone;
    if let Some(tree) = record.tree.as_ref().map(|id| store.tree(id)).transpose()?.flatten() {
        let elsewhere = measured.filter(|_| record.diff_id.is_none()).map(Measuring::Elsewhere);
        let mut files = assembler(measured_in_tree(record).map(Measuring::Done).or(elsewhere));
        let added = files.tree(&tree, pool);
        match added.and_then(|()| files.finish(record.diff_id)) {
            Err(error @ (ExportError::Tar(_) | ExportError::DiffId { .. })) => failed = error,
            done => return done,
        }
    }
    for LayerBlob { descriptor: of, .. } in record.blobs.iter().filter(|blob| blob.codec.is_empty())
    {
        if let Some(blob) = store.foreign_blob(&of.digest)? {
            let mut plain = decompress(Box::new(blob), Policy::Layer)?;
            let mut stream = assembler(plain_by_name(record, of).map(Measuring::Done));
            stream.stream(&mut plain, pool)?;
            return stream.finish(record.diff_id);
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::digest::Digest;
    use crate::layer::blob_view::{self, BlobReader};
    use crate::layer::tar_write::tar_write;
    use crate::object::{Encoding, Kind, ObjectName};
    use crate::path::LayerPath;
    use crate::store::{OpenOptions, Store};
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{File, Metadata, Node};

    fn store() -> (tempfile::TempDir, Lease) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        (folder, lease)
    }

    /// A layer of many small and some longer files, in the `version` of one of the small ones.
    fn layer(lease: &Lease, version: u8) -> (LayerRecord, Vec<u8>) {
        let mut builder = TreeBuilder::new();
        for n in 0..300u32 {
            let size = if n % 10 == 0 { n * 400 } else { n };
            let mut bytes: Vec<u8> =
                (0..size).map(|at| (at.wrapping_mul(at) / (n + 1)).to_le_bytes()[0]).collect();
            if n == 77 {
                bytes.push(version);
            }
            let body = lease.put_body(&bytes).unwrap();
            let file = File { body, size: bytes.len() as u64, link: None };
            let path = LayerPath::parse(format!("d{}/f{n}", n % 7).as_bytes()).unwrap();
            builder.insert(&path, Metadata::default(), Node::File(file)).unwrap();
        }
        let tree = builder.finish();
        let mut tar = Vec::new();
        tar_write(&tree, lease.store(), None, &mut tar).unwrap();
        let mut record = LayerRecord::new(LayerId::of(&[version]));
        record.tree = Some(lease.put_tree(&tree).unwrap());
        (record, tar)
    }

    fn read(lease: &Lease, descriptor: &Descriptor) -> Vec<u8> {
        let mut blob = blob_view::open(lease.store(), &descriptor.digest).unwrap().unwrap();
        let mut bytes = Vec::new();
        blob.reader.read_to_end(&mut bytes).unwrap();
        assert_eq!((blob.size, descriptor.size), (bytes.len() as u64, bytes.len() as u64));
        assert_eq!(Digest::of(&bytes), descriptor.digest);
        let blob = blob_view::open(lease.store(), &descriptor.digest).unwrap().unwrap();
        if let BlobReader::Recipe(stream) = blob.reader {
            let mut copied = Vec::new();
            stream.copy(descriptor, &mut copied).unwrap();
            assert!(copied == bytes);
        }
        bytes
    }

    fn commit(lease: &Lease, record: &LayerRecord) {
        let mut batch = Batch::new();
        batch.put_layer(record);
        lease.commit(batch, Durability::Relaxed).unwrap();
    }

    fn parts(lease: &Lease) -> usize {
        let packs = lease.store().packs().all().unwrap();
        let entries = packs.iter().flat_map(|pack| pack.entries());
        entries.filter(|entry| matches!(entry.name.kind, Kind::Run | Kind::Fragment)).count()
    }

    #[test]
    fn gzip_is_one_member_that_holds_the_canonical_tar() {
        let (_folder, lease) = store();
        let (mut record, tar) = layer(&lease, 0);
        let descriptor = export(&lease, &mut record, Codec::GZIP).unwrap();
        let blob = read(&lease, &descriptor);
        let (mut plain, mut member) = (Vec::new(), flate2::bufread::GzDecoder::new(&blob[..]));
        member.read_to_end(&mut plain).unwrap();
        assert!(member.into_inner().is_empty());
        assert!(plain == tar);
        let diff_id = Some(DiffId(Digest::of(&tar)));
        assert_eq!((record.diff_id, record.tar_size), (diff_id, Some(tar.len() as u64)));
        assert_eq!(record.blobs[0].descriptor, descriptor);
    }

    #[test]
    fn zstd_frames_hold_it_too_and_uncompressed_it_is_the_blob() {
        let (_folder, lease) = store();
        let (mut record, tar) = layer(&lease, 0);
        let descriptor = export(&lease, &mut record, Codec::ZSTD).unwrap();
        assert!(zstd::decode_all(&read(&lease, &descriptor)[..]).unwrap() == tar);
        let descriptor = export(&lease, &mut record, Codec::None).unwrap();
        commit(&lease, &record);
        assert!(read(&lease, &descriptor) == tar);
    }

    #[test]
    fn a_blob_is_not_copied_under_another_length_nor_beyond_where_writing_fails() {
        let (_folder, lease) = store();
        let (mut record, _) = layer(&lease, 0);
        let descriptor = export(&lease, &mut record, Codec::GZIP).unwrap();
        let stream = || match blob_view::open(lease.store(), &descriptor.digest).unwrap() {
            Some(blob_view::Blob { reader: BlobReader::Recipe(stream), .. }) => stream,
            other => panic!("no recipe: {other:?}"),
        };
        for size in [0, descriptor.size - 1, descriptor.size + 1] {
            let other = Descriptor { size, ..descriptor.clone() };
            let refused = stream().copy(&other, &mut Vec::new()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        }
        let mut room = [0; 1000];
        let full = stream().copy(&descriptor, &mut &mut room[..]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn threads_do_not_change_the_bytes() {
        let [one, four] = [1, 4].map(|threads| {
            let (_folder, lease) = store();
            let (mut record, _) = layer(&lease, 0);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| export(&lease, &mut record, Codec::GZIP)).unwrap()
        });
        assert_eq!(one, four);
    }

    #[test]
    fn the_next_version_compresses_only_what_changed() {
        let (_folder, lease) = store();
        let (mut first, _) = layer(&lease, 0);
        export(&lease, &mut first, Codec::GZIP).unwrap();
        commit(&lease, &first);
        let before = parts(&lease);
        let (mut second, _) = layer(&lease, 1);
        export(&lease, &mut second, Codec::GZIP).unwrap();
        commit(&lease, &second);
        assert!(before > 30, "{before}");
        assert_eq!(parts(&lease) - before, 1);
    }

    #[test]
    fn parts_that_are_known_are_copied_without_the_files_they_are_made_of() {
        let (_folder, lease) = store();
        let (mut record, tar) = layer(&lease, 0);
        let descriptor = export(&lease, &mut record, Codec::GZIP).unwrap();
        commit(&lease, &record);
        let tree = lease.store().tree(&record.tree.unwrap()).unwrap().unwrap();

        let (_other_folder, other) = store();
        for pack in lease.store().packs().all().unwrap() {
            for ObjectName { kind, id } in pack.entries().map(|entry| entry.name) {
                if matches!(kind, Kind::Run | Kind::Fragment) {
                    let bytes = lease.store().get(kind, &id).unwrap().unwrap();
                    other.put(kind, &id, Encoding::Raw, &bytes).unwrap();
                }
            }
        }
        let mut bare = LayerRecord::new(LayerId::of(b"bare"));
        bare.tree = Some(other.put_tree(&tree).unwrap());
        bare.diff_id = record.diff_id;
        let unread = export(&other, &mut bare.clone(), Codec::GZIP);
        assert!(matches!(unread, Err(ExportError::Tar(_))), "a stream is measured: {unread:?}");
        bare.tar_size = Some(tar.len() as u64 + 1);
        let other_length = export(&other, &mut bare.clone(), Codec::GZIP);
        assert!(matches!(other_length, Err(ExportError::Size { .. })), "{other_length:?}");
        bare.tar_size = record.tar_size;
        assert_eq!(export(&other, &mut bare, Codec::GZIP).unwrap(), descriptor);
        read(&other, &descriptor);
    }

    #[test]
    fn who_asks_for_the_same_layer_at_once_compresses_it_once() {
        let (_folder, lease) = store();
        let (record, _) = layer(&lease, 0);
        commit(&lease, &record);
        let (store, reads) = (lease.store(), std::sync::Mutex::new(Vec::new()));
        // One thread, which whoever waits must not take up.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let blobs: Vec<Descriptor> = std::thread::scope(|scope| {
            let ask = || {
                let read = || {
                    let found = store.layer(&record.id)?.ok_or(ExportError::Gone)?;
                    reads.lock().unwrap().push(found.blobs.len());
                    Ok::<_, ExportError>(found)
                };
                let how =
                    Exporting { codec: Codec::GZIP, pool: &pool, begun: &|_| {}, measured: None };
                export_once(&lease, record.id, read, how).unwrap().1
            };
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(blobs.iter().all(|blob| *blob == blobs[0]));
        // Whoever reads the record has the lease of it: the others find what the first has made.
        assert_eq!(*reads.lock().unwrap(), [0, 1, 1, 1]);
        assert_eq!(store.layer(&record.id).unwrap().unwrap().blobs[0].descriptor, blobs[0]);
    }

    #[test]
    fn what_was_exported_before_is_not_read_again() {
        let (_folder, lease) = store();
        let (mut record, _) = layer(&lease, 0);
        let descriptor = export(&lease, &mut record, Codec::GZIP).unwrap();
        record.tree = None;
        assert_eq!(export(&lease, &mut record, Codec::GZIP).unwrap(), descriptor);
        assert!(matches!(export(&lease, &mut record, Codec::ZSTD), Err(ExportError::Gone)));
    }

    #[test]
    fn files_that_make_another_tar_stream_than_recorded_are_refused() {
        let (_folder, lease) = store();
        let (mut record, _) = layer(&lease, 0);
        record.diff_id = Some(DiffId(Digest::of(b"other")));
        let refused = export(&lease, &mut record, Codec::GZIP);
        assert!(matches!(refused, Err(ExportError::DiffId { .. })), "{refused:?}");
    }

    #[test]
    fn a_layer_from_elsewhere_is_recompressed_from_its_own_tar_stream() {
        let (_folder, lease) = store();
        let (_, mut tar) = layer(&lease, 0);
        // Zeros after the end are legal, and no tree makes them.
        tar.resize(tar.len() + 4096, 0);
        let blob = zstd::encode_all(&tar[..], 1).unwrap();
        let compression = crate::oci::media_type::Compression::Zstd;
        let descriptor = Descriptor::of(Codec::ZSTD.media_type(), &blob);
        let mut ingest = lease.ingest_blob(&descriptor).unwrap();
        ingest.write_all(&blob).unwrap();
        ingest.commit().unwrap();
        let mut record = LayerRecord::new(LayerId::of(b"pulled"));
        record.diff_id = Some(DiffId(Digest::of(&tar)));
        record.tar_size = Some(tar.len() as u64);
        record.blobs.push(LayerBlob { compression, codec: String::new(), descriptor });
        let gzip = export(&lease, &mut record, Codec::GZIP).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&read(&lease, &gzip)[..]).read_to_end(&mut plain).unwrap();
        assert!(plain == tar);
        let none = export(&lease, &mut record, Codec::None).unwrap();
        commit(&lease, &record);
        assert!(read(&lease, &none) == tar);
    }
}
