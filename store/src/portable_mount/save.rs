//! Saving a cache mount: what a cache has of it, what that lacks, and sending it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use super::document::{Document, Part, Piece, parts};
use super::pack_writer::{Source, write};
use super::packing::{OldPack, Packing, pack};
use super::restore::{self, fetch_document};
use super::{DOCUMENT_TYPE, PortableMount, mount_key};
use crate::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem, OpenBlob};
use crate::cache_mount::quiet::QuietMount;
use crate::cache_mount::state::MountState;
use crate::chunk_list::ChunkList;
use crate::digest::Digest;
use crate::id::BodyId;
use crate::live::mount_read::{MountFiles, MountReadError, read};
use crate::live::mount_seen::Seen;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::timestamp::Timestamp;
use crate::tree::encode::encode as encode_tree;
use crate::tree::entry::Tree;
use crate::tree::files::{each_file, files};

/// How many blobs are sent at once: registries limit each connection more than each client.
const PARALLEL: usize = 4;

/// A cache mount could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveMountError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] MountReadError),
    /// Its packs could not be written to the store, from where they are sent.
    #[error("cannot pack a cache mount")]
    Pack(#[source] io::Error),
}

/// What a cache has of a mount already.
#[derive(Debug)]
pub struct Previous {
    /// As what the mount was saved.
    state: MountState,
    old: Vec<OldPack>,
    /// Whether all of it is there.
    is_whole: bool,
}

/// What a cache is to be sent of a mount.
#[derive(Debug)]
pub struct Gathered {
    record: PortableMount,
    document: Vec<u8>,
    /// The new packs, in files.
    packs: Vec<(Descriptor, PathBuf)>,
    /// As what the mount is saved then.
    state: MountState,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SentMount {
    /// How many files the mount has.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// How many packs were sent.
    pub packs: usize,
    /// How many bytes were sent.
    pub sent: u64,
}

/// Asks a cache what it has of the mount with this identity. What it has of it and what makes no sense is as
/// though it were not there, and will be written anew. What is `noted` here of the same state is not asked for.
///
/// # Errors
///
/// If the cache was not reached or refused.
pub fn previous(
    backend: &dyn CacheBackend,
    (identity, platform): (&str, &str),
    noted: Option<MountState>,
) -> Result<Option<Previous>, CacheError> {
    let key = mount_key(identity, platform);
    let found = backend.records(&[key])?.into_iter().next().flatten();
    let record = found.as_deref().and_then(PortableMount::decode);
    let Some(record) = record.filter(|record| record.key() == key) else { return Ok(None) };
    let digests: Vec<Digest> = record.blobs().map(|blob| blob.digest).collect();
    let missing = backend.missing(&digests)?;
    let is_noted = |noted: &MountState| {
        noted.document == record.document.digest && noted.packs.len() == record.packs.len()
    };
    let state = match noted.filter(is_noted) {
        Some(noted) => noted,
        None => match fetch_document(backend, &record) {
            Ok(document) => restore::state_of(&record, &document, &document.parts()),
            Err(restore::RestoreCause::Cache(error))
                if !matches!(error.problem, CacheProblem::NotFound { .. }) =>
            {
                return Err(error);
            }
            Err(_) => return Ok(None),
        },
    };
    let packs = record.packs.into_iter().zip(&state.packs);
    let old = packs.filter(|(blob, _)| !missing.contains(&blob.digest));
    let old = old.map(|(blob, pieces)| OldPack { blob, pieces: pieces.clone() }).collect();
    Ok(Some(Previous { state, old, is_whole: missing.is_empty() }))
}

/// Reads a mount that nobody uses, and packs what a cache lacks of it into files of `work`, which is the
/// caller's to remove. `None` where the cache has all of it, or there is nothing. Reads on the threads of the rayon
/// pool that it is called in.
///
/// # Errors
///
/// If the mount cannot be read, or the packs cannot be written.
pub fn gather(
    mount: &QuietMount,
    previous: Option<Previous>,
    (work, idmap, created): (&Path, &[u8], Timestamp),
) -> Result<Option<Gathered>, SaveMountError> {
    let known = Seen::load(&mount.seen());
    let MountFiles { tree, lists, seen } = read(mount.path(), idmap, &known)?;
    std::thread::scope(|scope| {
        // Beside the rest: it takes a tenth of all.
        scope.spawn(move || note(mount, &seen, &known));
        pack_up(mount, (tree, lists), previous, (work, created))
    })
}

/// Notes what was seen of a mount, for who reads it next.
fn note(mount: &QuietMount, seen: &Seen, known: &Seen) {
    if !seen.says_the_same(known)
        && let Err(error) = seen.save(&mount.seen())
    {
        tracing::debug!(%error, "what was seen of a cache mount is not noted");
    }
}

fn pack_up(
    mount: &QuietMount,
    (tree, lists): (Tree, BTreeMap<BodyId, ChunkList>),
    previous: Option<Previous>,
    (work, created): (&Path, Timestamp),
) -> Result<Option<Gathered>, SaveMountError> {
    let encoded = encode_tree(&tree);
    if previous.is_none() && tree.children.is_empty() {
        return Ok(None);
    }
    let tree_id = BodyId::of(&encoded);
    let is_known = |previous: &&Previous| previous.is_whole && previous.state.tree == tree_id;
    if let Some(previous) = previous.as_ref().filter(is_known) {
        if let Err(error) = mount.note_state(&previous.state) {
            tracing::debug!(%error, "as what a cache mount was saved is not noted");
        }
        return Ok(None);
    }
    let parts = parts(&tree, &lists);
    let mut document = Document { tree, lists, packs: Vec::new() };
    let Packing { kept, new } = pack(&parts, previous.map(|one| one.old).unwrap_or_default());
    let sources = sources(&document, (&parts, &new));
    let packs = write_packs(mount.path(), (&sources, &new), work).map_err(SaveMountError::Pack)?;
    let mut named: Vec<Descriptor> = Vec::new();
    for (blob, pieces) in kept {
        named.push(blob);
        document.packs.push(pieces);
    }
    for ((blob, _), numbers) in packs.iter().zip(&new) {
        named.push(blob.clone());
        let piece = |part: &usize| Piece { length: parts[*part].length, part: Some(*part) };
        document.packs.push(numbers.iter().map(piece).collect());
    }
    let encoded = document.encode_with(&encoded).map_err(SaveMountError::Pack)?;
    let (count, bytes) = size(&document);
    let record = PortableMount {
        identity: mount.identity().to_owned(),
        platform: mount.platform().to_owned(),
        label: mount.label().to_owned(),
        created,
        files: count,
        bytes,
        document: Descriptor::of(MediaType::new(DOCUMENT_TYPE), &encoded),
        packs: named,
    };
    let state = restore::state(&record, tree_id, document.held(&parts));
    Ok(Some(Gathered { record, document: encoded, packs, state }))
}

/// How many files there are, and how many bytes.
fn size(document: &Document) -> (u64, u64) {
    let (mut count, mut bytes) = (0, 0);
    each_file(&document.tree.children, &mut |file| {
        count += 1;
        bytes += file.size;
    });
    (count, bytes)
}

/// Where the bytes of the parts of new packs are, by their numbers.
fn sources(
    document: &Document,
    (parts, packs): (&[Part], &[Vec<usize>]),
) -> BTreeMap<usize, Source> {
    let wanted = packs.iter().flatten().map(|number| (parts[*number].id, *number));
    let mut wanted: HashMap<BodyId, usize> = wanted.collect();
    let mut sources = BTreeMap::new();
    for (path, _, file) in files(&document.tree.children) {
        if wanted.is_empty() {
            break;
        }
        let mut found = |id: &BodyId, offset: u64| {
            if let Some(number) = wanted.remove(id) {
                let source = Source { part: parts[number], path: path.clone(), offset };
                sources.insert(number, source);
            }
        };
        let Some(list) = document.lists.get(&file.body) else {
            found(&file.body, 0);
            continue;
        };
        let mut offset = 0;
        for piece in &list.0 {
            if let Some(chunk) = &piece.chunk {
                found(chunk, offset);
            }
            offset += piece.length;
        }
    }
    sources
}

fn write_packs(
    mount: &Path,
    (sources, packs): (&BTreeMap<usize, Source>, &[Vec<usize>]),
    work: &Path,
) -> io::Result<Vec<(Descriptor, PathBuf)>> {
    let root = OwnedFd::from(File::open(mount)?);
    let one = |(number, parts): (usize, &Vec<usize>)| {
        let into = work.join(number.to_string());
        let sources: Vec<&Source> = parts.iter().filter_map(|part| sources.get(part)).collect();
        write(&root, &sources, &into).map(|blob| (blob, into))
    };
    if rayon::current_thread_index().is_some() {
        packs.par_iter().enumerate().map(one).collect()
    } else {
        packs.iter().enumerate().map(one).collect()
    }
}

impl Gathered {
    /// As what the mount is saved once it was [sent](Self::send).
    pub fn state(&self) -> &MountState {
        &self.state
    }

    /// Sends what the cache lacks, and the record at last. It counts once the cache is told to
    /// [finish](CacheBackend::finish).
    ///
    /// # Errors
    ///
    /// If the cache could not be written. What it had before still counts.
    pub fn send(&self, backend: &dyn CacheBackend) -> Result<SentMount, CacheError> {
        let open = || Ok(Box::new(io::Cursor::new(&*self.document)) as Box<dyn Read + Send + '_>);
        put(backend, &self.record.document, &open)?;
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), CacheError> {
            while let Some((blob, path)) = self.packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let open = || Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>);
                put(backend, blob, &open)?;
                // What is sent is in the way.
                let _ = fs::remove_file(path);
            }
            Ok(())
        };
        let results: Vec<Result<(), CacheError>> = std::thread::scope(|scope| {
            let threads = 1..PARALLEL.min(self.packs.len());
            let threads: Vec<_> = threads.map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = threads.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            others.chain([own]).collect()
        });
        results.into_iter().collect::<Result<(), _>>()?;
        backend.put_records(&[(self.record.key(), self.record.encode())])?;
        let PortableMount { files, bytes, ref document, .. } = self.record;
        let sent = self.packs.iter().map(|(blob, _)| blob.size).sum::<u64>() + document.size;
        Ok(SentMount { files, bytes, packs: self.packs.len(), sent })
    }
}

fn put<'a>(
    backend: &dyn CacheBackend,
    blob: &'a Descriptor,
    open: OpenBlob<'a>,
) -> Result<(), CacheError> {
    let (digest, size, media_type) = (blob.digest, blob.size, blob.media_type.as_str());
    backend.put_blob(&CacheBlob { digest, size, media_type, open })
}
