//! Taking in a layer that somebody else wrote.

use std::io::{self, Read};
use std::panic::resume_unwind;

use crate::digest::{DiffId, Hasher};
use crate::error::{ReadError, WriteError};
use crate::id::{BodyId, LayerId};
use crate::layer::ahead::{Ahead, Look};
use crate::layer::aside::Aside;
use crate::layer::decompress::decompress_within;
use crate::layer::files_error::MaterialiseError;
use crate::layer::limits::{Budget, Limits};
use crate::layer::tar_read::{Policy, TarEntry, TarError, TarKind, TarReader};
use crate::layers::{LayerBlob, LayerRecord};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::path::LayerPath;
use crate::tree::build::{InsertCause, InsertError, TreeBuilder};
use crate::tree::entry::{File, Metadata, Node, Tree};

/// A layer is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Its tar stream is.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// An entry contradicts an earlier one.
    #[error(transparent)]
    Insert(#[from] InsertError),
    /// A whiteout names nothing that can be removed.
    #[error("invalid whiteout in {0}")]
    Whiteout(LayerPath),
    /// The uncompressed stream is another than the image configuration names.
    #[error("layer unpacks to {found}, not to {expected}")]
    DiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What came.
        found: DiffId,
    },
    /// The media type is none of a layer.
    #[error("{0} is not the media type of a layer")]
    MediaType(crate::oci::media_type::MediaType),
    /// The compressed stream could not be read.
    #[error("cannot read the layer")]
    Source(#[from] io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] WriteError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its files could not be written.
    #[error(transparent)]
    Unpack(#[from] MaterialiseError),
}

impl ImportError {
    /// Whether the stream itself is refused, whatever it came from.
    pub fn is_of_layer(&self) -> bool {
        match self {
            Self::DiffId { .. } | Self::Insert(_) | Self::MediaType(_) | Self::Whiteout(_) => true,
            Self::Read(_) | Self::Source(_) | Self::Store(_) | Self::Tar(_) | Self::Unpack(_) => {
                false
            }
        }
    }
}

/// What else is done with the entries of a layer while its tree is built.
pub trait Sink {
    /// Takes the bytes of a file, whose id is wanted.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be read, or not be kept.
    fn file(&mut self, file: &NewFile<'_>, bytes: &mut dyn Read) -> Result<BodyId, ImportError>;

    /// Takes what is neither file nor whiteout, once the tree has accepted it.
    ///
    /// # Errors
    ///
    /// If the entry cannot be made.
    fn other(&mut self, entry: &TarEntry) -> Result<(), ImportError> {
        let _ = entry;
        Ok(())
    }

    /// Takes the finished tree.
    ///
    /// # Errors
    ///
    /// If what was taken cannot be brought to its end.
    fn finish(&mut self, tree: &Tree) -> Result<(), ImportError> {
        let _ = tree;
        Ok(())
    }
}

/// A file whose bytes come next.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Where it goes.
    pub path: &'a LayerPath,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// Its length.
    pub size: u64,
}

/// What is done with the bytes of files.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// They are only hashed: the blob holds them.
    Nothing,
    /// They are stored.
    In(&'a Lease),
    /// They are put where they can be moved from.
    Aside(&'a Aside<'a>),
}

/// Where aufs keeps files of several names, which the entries elsewhere are hard links to.
pub(crate) const AUFS_LINKS: &[u8] = b".wh..wh.plnk";
/// Marks a directory that hides what lower layers have in it.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The id under which a layer of this tar stream is known.
pub fn layer_id(diff_id: &DiffId) -> LayerId {
    LayerId::of(diff_id.0.as_bytes())
}

/// Reads a layer's blob once: checks that it unpacks to `diff_id`, stores its tree, and gives the
/// record to commit. The blob itself is kept by the caller.
///
/// # Errors
///
/// Everything that is not exactly a layer is refused as a whole; nothing is recorded then.
pub fn import(
    lease: &Lease,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    reader: &mut (dyn Read + Send),
) -> Result<LayerRecord, ImportError> {
    let mut record = announced(lease, descriptor, diff_id)?;
    let limits = lease.store().limits();
    let (tree, size) = read_layer_within(limits, reader, diff_id, Keep::Nothing)?;
    record.tree = Some(lease.put_tree(&tree)?);
    record.tar_size = Some(size);
    Ok(record)
}

/// What is known of a layer before it is read: what the store has of it, and that there is this
/// blob.
pub(crate) fn announced(
    lease: &Lease,
    descriptor: &Descriptor,
    diff_id: &DiffId,
) -> Result<LayerRecord, ImportError> {
    let media_type = &descriptor.media_type;
    let compression = media_type.layer_compression();
    let compression = compression.ok_or_else(|| ImportError::MediaType(media_type.clone()))?;
    let known = lease.store().layer_of_diff(diff_id)?;
    let mut record = known.unwrap_or_else(|| LayerRecord::new(layer_id(diff_id)));
    record.diff_id = Some(*diff_id);
    if !record.blobs.iter().any(|blob| blob.descriptor.digest == descriptor.digest) {
        let descriptor = descriptor.clone();
        record.blobs.push(LayerBlob { compression, codec: String::new(), descriptor });
    }
    Ok(record)
}

/// Reads a layer blob, compressed or not, into a tree; gives the length of the tar stream too.
///
/// Decompression and the digest run on threads of their own, a little ahead.
///
/// # Errors
///
/// If the blob is no layer this reader takes, or not the one of `expected`.
pub fn read_layer(
    reader: &mut (dyn Read + Send),
    expected: &DiffId,
    sink: impl Sink,
) -> Result<(Tree, u64), ImportError> {
    read_layer_within(Limits::default(), reader, expected, sink)
}

/// As [`read_layer`], with the limits of a store.
///
/// # Errors
///
/// As of [`read_layer`].
pub fn read_layer_within(
    limits: Limits,
    reader: &mut (dyn Read + Send),
    expected: &DiffId,
    sink: impl Sink,
) -> Result<(Tree, u64), ImportError> {
    let budget = Budget::new(limits);
    let plain = decompress_within(Box::new(reader), Policy::Layer, &budget)?;
    std::thread::scope(|scope| {
        let (ahead, _) = Ahead::start(scope, plain);
        let (ahead, hashing) = ahead.seen_by(scope, Hashing::default());
        let tree = read_tree(&mut TarReader::new(ahead).within(&budget), sink)?;
        let Hashing { hasher, size, .. } =
            hashing.join().unwrap_or_else(|panic| resume_unwind(panic));
        let found = DiffId(hasher.finish());
        if found != *expected {
            return Err(ImportError::DiffId { expected: *expected, found });
        }
        Ok((tree, size))
    })
}

/// Builds the changeset that a layer's entries describe.
///
/// # Errors
///
/// If an entry is malformed or refused, or `sink` refuses it.
pub fn read_tree<R: Read>(
    tar: &mut TarReader<R>,
    mut sink: impl Sink,
) -> Result<Tree, ImportError> {
    let mut builder = TreeBuilder::new();
    while let Some(entry) = tar.next_entry()? {
        if is_of_aufs(&entry) {
            continue;
        }
        let entry = placed(&builder, entry)?;
        if entry.path.is_root() && entry.kind != TarKind::Directory {
            return Err(InsertError { path: entry.path, cause: InsertCause::Root }.into());
        }
        let (parent, name) = (entry.path.parent(), entry.path.name());
        if let Some((parent, hidden)) = parent.zip(name.and_then(|name| name.strip_prefix(b".wh.")))
        {
            remove(&mut builder, &entry, &parent, hidden)?;
        } else if has_hidden_parent(&entry.path) && !is_link_of_aufs(&entry.path) {
            return Err(ImportError::Whiteout(entry.path));
        } else if let TarKind::File(size) = entry.kind {
            let TarEntry { path, metadata, .. } = entry;
            let body = sink.file(&NewFile { path: &path, metadata: &metadata, size }, tar)?;
            builder.insert(&path, metadata, Node::File(File { body, size, link: None }))?;
        } else {
            add(&mut builder, &entry)?;
            sink.other(&entry)?;
        }
    }
    builder.discard(AUFS_LINKS);
    let tree = builder.finish();
    sink.finish(&tree)?;
    Ok(tree)
}

/// The entry where links of the layer itself lead.
fn placed(builder: &TreeBuilder, entry: TarEntry) -> Result<TarEntry, InsertError> {
    let path = builder.place(entry.path)?;
    let mut kind = entry.kind;
    if let TarKind::HardLink(target) = &mut kind {
        *target = builder.place(std::mem::take(target))?;
    }
    Ok(TarEntry { path, kind, metadata: entry.metadata })
}

/// Whether an entry is metadata of aufs, without meaning elsewhere.
fn is_of_aufs(entry: &TarEntry) -> bool {
    let linked = matches!(entry.kind, TarKind::File(_)) && is_link_of_aufs(&entry.path);
    !linked && entry.path.components().any(|name| name.starts_with(b".wh..wh.") && name != OPAQUE)
}

fn is_link_of_aufs(path: &LayerPath) -> bool {
    path.parent().is_some_and(|parent| parent.as_bytes() == AUFS_LINKS)
}

/// Whether an entry is in what only marks a removal.
fn has_hidden_parent(path: &LayerPath) -> bool {
    path.parent().is_some_and(|parent| parent.components().any(|name| name.starts_with(b".wh.")))
}

fn remove(
    builder: &mut TreeBuilder,
    entry: &TarEntry,
    parent: &LayerPath,
    hidden: &[u8],
) -> Result<(), ImportError> {
    let bad = || ImportError::Whiteout(entry.path.clone());
    if !matches!(entry.kind, TarKind::File(_) | TarKind::HardLink(_)) {
        return Err(bad());
    }
    if has_hidden_parent(&entry.path) {
        return Err(bad());
    }
    match hidden {
        b".wh..opq" => Ok(builder.opaque(parent)?),
        b"" | b"." | b".." => Err(bad()),
        _ => Ok(builder.whiteout(&parent.join(hidden))?),
    }
}

fn add(builder: &mut TreeBuilder, entry: &TarEntry) -> Result<(), InsertError> {
    let TarEntry { path, metadata, kind } = entry;
    let node = match kind {
        TarKind::Directory => return builder.directory(path, metadata.clone()),
        TarKind::HardLink(target) => return builder.link(path, target),
        // Its bytes have been taken before.
        TarKind::File(_) => return Ok(()),
        TarKind::Symlink(target) => Node::Symlink(target.as_slice().into()),
        TarKind::BlockDevice(device) => Node::BlockDevice(*device),
        TarKind::CharDevice(device) => Node::CharDevice(*device),
        TarKind::Fifo => Node::Fifo,
    };
    builder.insert(path, metadata.clone(), node)
}

impl Sink for Keep<'_> {
    fn file(&mut self, file: &NewFile<'_>, bytes: &mut dyn Read) -> Result<BodyId, ImportError> {
        match self {
            Self::In(lease) => Ok(lease.body_from_reader(bytes, file.size)?.0),
            Self::Aside(aside) => Ok(aside.put(bytes, file.size)?),
            Self::Nothing => {
                let mut hasher = BodyId::hasher();
                io::copy(bytes, &mut hasher)?;
                Ok(BodyId::from_hasher(&hasher))
            }
        }
    }
}

/// The digest of what passes, and how much that was.
#[derive(Default)]
struct Hashing {
    hasher: Hasher,
    size: u64,
}

impl Look for Hashing {
    fn look(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::FileBytes;
    use crate::layer::tar_write::tar_write;
    use crate::tree::encode::encode;
    use crate::tree::sketch::sketch;
    use std::collections::BTreeMap;

    fn tar_of(tree: &Tree) -> Vec<u8> {
        let body =
            |text: &str| (BodyId::of(text.as_bytes()), FileBytes::from(text.as_bytes().to_vec()));
        let bodies = BTreeMap::from([body("1"), body("2")]);
        let mut out = Vec::new();
        tar_write(tree, &bodies, None, &mut out).unwrap();
        out
    }

    #[test]
    fn a_tree_survives_its_tar_stream() {
        for words in ["", "a=1@1 b=1@1 d/ d/c=2 l>a -w o! o/x=1 i/f=2 i/-g"] {
            let tree = sketch(words);
            let bytes = tar_of(&tree);
            let diff_id = DiffId(crate::digest::Digest::of(&bytes));
            let (read, size) = read_layer(&mut &bytes[..], &diff_id, Keep::Nothing).unwrap();
            assert_eq!(encode(&read), encode(&tree), "{words}");
            assert_eq!(size, bytes.len() as u64);
        }
    }

    #[test]
    fn another_stream_than_announced_is_refused() {
        let bytes = tar_of(&sketch("a=1"));
        let wrong = DiffId(crate::digest::Digest::of(b"other"));
        let refused = read_layer(&mut &bytes[..], &wrong, Keep::Nothing);
        assert!(matches!(refused, Err(ImportError::DiffId { .. })));
    }

    #[test]
    fn whiteouts_that_name_their_parents_are_refused() {
        for name in [".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh."] {
            let mut header = tar::Header::new_ustar();
            header.set_path(name).unwrap();
            header.set_size(0);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            let bytes = [&header.as_bytes()[..], &[0; 1024]].concat();
            let refused = read_tree(&mut TarReader::new(&bytes[..]), Keep::Nothing);
            assert!(matches!(refused, Err(ImportError::Whiteout(_))), "{name}: {refused:?}");
        }
    }
}
