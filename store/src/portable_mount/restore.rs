//! Filling a directory with a cache mount that was saved: packs are fetched, checked and written side by side.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::PortableMount;
use super::document::{Document, Part, Piece};
use crate::cache_backend::{CacheBackend, CacheError, has_other};
use crate::cache_mount::state::{MountNotes, MountState, PackedPiece};
use crate::digest::Digest;
use crate::id::BodyId;
use crate::layer::files_error::MaterialiseError;
use crate::live::mount_read::MountReadError;
use crate::live::mount_write::MountWriter;
use crate::oci::descriptor::Descriptor;
use crate::tree::encode::encode as encode_tree;

/// How many packs come at once. Each takes a thread that waits for the line or the disk, and a few megabytes.
const PARALLEL: usize = 4;
/// The longest document that is fetched.
const MAX_FETCHED: u64 = 128 << 20;

/// A cache mount could not be restored. What the directory has been filled with by then is worth nothing.
#[derive(Debug, thiserror::Error)]
#[error("cannot restore cache mount {label} from {backend}: {cause}")]
pub struct RestoreError {
    /// What people call it.
    pub label: String,
    /// The cache.
    pub backend: String,
    /// Why.
    #[source]
    pub cause: RestoreCause,
}

/// Why a cache mount could not be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreCause {
    /// The cache does not hand it over.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A blob is not what its digest says, or what has its digest is no document.
    #[error("{0} is not what was announced")]
    Blob(Digest),
    /// A blob ended too early, or could not be read to its end.
    #[error("blob {digest}: {error}")]
    Stream {
        /// Which.
        digest: Digest,
        /// What failed.
        error: io::Error,
    },
    /// Whoever wanted it does not any more.
    #[error("interrupted")]
    Interrupted,
    /// What is there cannot be changed to what was saved.
    #[error("cannot change what is there")]
    Change(#[from] io::Error),
    /// It is not what was saved after it was changed to that.
    #[error("it has become something else")]
    Differs,
    /// What is there cannot be read.
    #[error(transparent)]
    Read(#[from] MountReadError),
    /// The directory cannot be filled.
    #[error("{}: {}", .0, .0.cause)]
    Write(#[from] MaterialiseError),
}

/// Asked between packs. Called from several threads.
pub type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// The document of a mount, which has to be what the record says.
pub(super) fn fetch_document(
    backend: &dyn CacheBackend,
    record: &PortableMount,
) -> Result<Document, RestoreCause> {
    let blob = &record.document;
    let mut bytes = Vec::new();
    if MAX_FETCHED < blob.size {
        return Err(RestoreCause::Blob(blob.digest));
    }
    let reader = backend.blob(&blob.digest, 0..blob.size)?;
    let read = reader.take(blob.size).read_to_end(&mut bytes);
    read.map_err(|error| RestoreCause::Stream { digest: blob.digest, error })?;
    let document = (Digest::of(&bytes) == blob.digest).then(|| Document::decode(&bytes)).flatten();
    let document = document.filter(|document| document.packs.len() == record.packs.len());
    document.ok_or(RestoreCause::Blob(blob.digest))
}

/// Fills an empty directory, which nobody else can reach, with what was saved under a record, as long as it is to
/// `go_on`. Every file is held to its id before it counts.
///
/// # Errors
///
/// If the cache does not hand over what it announced, or the directory cannot be written.
pub fn restore(
    backend: &dyn CacheBackend,
    record: &PortableMount,
    (into, go_on): (&Path, GoOn<'_>),
) -> Result<MountNotes, RestoreError> {
    fill(backend, record, (into, go_on)).map_err(|cause| refused(backend, record, cause))
}

/// Notes what failed, of which the cache is told where it is to blame.
pub(super) fn refused(
    backend: &dyn CacheBackend,
    record: &PortableMount,
    cause: RestoreCause,
) -> RestoreError {
    discredit(backend, record, &cause);
    RestoreError { label: record.label.clone(), backend: backend.name().to_owned(), cause }
}

/// Has a cache take note of a blob that is not what was announced: who saves the mount again writes over it.
fn discredit(backend: &dyn CacheBackend, record: &PortableMount, cause: &RestoreCause) {
    let digest = match cause {
        RestoreCause::Blob(digest) | RestoreCause::Stream { digest, .. } => digest,
        RestoreCause::Cache(_)
        | RestoreCause::Change(_)
        | RestoreCause::Differs
        | RestoreCause::Interrupted
        | RestoreCause::Read(_)
        | RestoreCause::Write(_) => return,
    };
    let blob = record.blobs().find(|blob| blob.digest == *digest);
    if blob.is_some_and(|blob| has_other(backend, blob)) {
        backend.discredit(digest);
    }
}

pub(super) fn fill(
    backend: &dyn CacheBackend,
    record: &PortableMount,
    (into, go_on): (&Path, GoOn<'_>),
) -> Result<MountNotes, RestoreCause> {
    let document = fetch_document(backend, record)?;
    let writer = MountWriter::begin(into, &document.tree, &document.lists)?;
    let packs: Vec<_> = record.packs.iter().zip(document.packs.iter().map(Vec::as_slice)).collect();
    let parts = document.parts();
    put_parts(backend, (&packs, &parts), (&writer, go_on))?;
    Ok(MountNotes { seen: writer.finish()?, state: state_of(record, &document, &parts) })
}

/// As what a mount is noted that is in place.
pub(super) fn state_of(record: &PortableMount, document: &Document, parts: &[Part]) -> MountState {
    let tree = BodyId::of(&encode_tree(&document.tree));
    state(record, tree, document.held(parts))
}

/// The state that a record stands for.
pub(super) fn state(
    record: &PortableMount,
    tree: BodyId,
    packs: Vec<Vec<PackedPiece>>,
) -> MountState {
    let (platform, created) = (record.platform.clone(), record.created);
    MountState { platform, created, tree, document: record.document.digest, packs }
}

/// A pack, and what of it is wanted.
pub(super) type WantedPack<'a> = (&'a Descriptor, &'a [Piece]);

/// Puts all parts of packs that pieces name where they belong.
pub(super) fn put_parts(
    backend: &dyn CacheBackend,
    (packs, parts): (&[WantedPack<'_>], &[Part]),
    (writer, go_on): (&MountWriter<'_>, GoOn<'_>),
) -> Result<(), RestoreCause> {
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failure = Mutex::new(None);
    let work = || {
        while !stopped.load(Ordering::Relaxed)
            && let Some((blob, pieces)) = packs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let put = |number: usize, bytes: &[u8]| -> Result<(), RestoreCause> {
                let part = &parts[number];
                if BodyId::of(bytes) != part.id {
                    return Err(RestoreCause::Blob(blob.digest));
                }
                Ok(writer.put(&part.id, bytes)?)
            };
            let unpacked = if go_on() {
                unpack(backend, (blob, pieces), &put)
            } else {
                Err(RestoreCause::Interrupted)
            };
            if let Err(cause) = unpacked {
                stopped.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..PARALLEL.min(packs.len()) {
            scope.spawn(work);
        }
        work();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(cause) => Err(cause),
        None => Ok(()),
    }
}

/// Takes a part, by its number, and the bytes that are said to be it.
type TakePart<'a> = &'a dyn Fn(usize, &[u8]) -> Result<(), RestoreCause>;

/// Reads a pack to its last part, and hands on those that count.
fn unpack(
    backend: &dyn CacheBackend,
    (blob, pieces): (&Descriptor, &[Piece]),
    put: TakePart<'_>,
) -> Result<(), RestoreCause> {
    let failed = |error: io::Error| RestoreCause::Stream { digest: blob.digest, error };
    let reader = backend.blob(&blob.digest, 0..blob.size)?;
    let mut plain = zstd::Decoder::new(reader.take(blob.size)).map_err(failed)?;
    let mut bytes = Vec::new();
    for piece in pieces {
        let mut bytes_of_piece = (&mut plain).take(piece.length);
        let Some(part) = piece.part else {
            io::copy(&mut bytes_of_piece, &mut io::sink()).map_err(failed)?;
            continue;
        };
        bytes.clear();
        bytes_of_piece.read_to_end(&mut bytes).map_err(failed)?;
        put(part, &bytes)?;
    }
    Ok(())
}
