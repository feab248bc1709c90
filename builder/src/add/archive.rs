//! An archive that lies in the store: whether it is one, and what it unpacks to.

use std::io::{Cursor, Read};
use std::sync::Arc;

use wythe_store::error::{ReadError, WriteError};
use wythe_store::id::BodyId;
use wythe_store::layer::decompress::decompress;
use wythe_store::layer::tar_read::{Policy, TarEntry, TarError, TarKind, TarReader};
use wythe_store::lease::Lease;
use wythe_store::tree::entry::{Directory, File, Node, Tree};

use super::compression::{Compression, DECIDING_BYTES, is_tar};
use super::unpack::{ArchiveEntry, ArchiveKind, UnpackError, Unpacking};
use crate::copy::CopySpec;

/// An archive that cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Its bytes are not in the store.
    #[error("the archive is gone from the store")]
    Gone,
    /// It is damaged, or breaks a rule of tar.
    #[error("cannot read the archive: {0}")]
    Tar(#[from] TarError),
    /// An entry cannot be laid where it says.
    #[error("{}: {}", .0, .0.cause)]
    Unpack(#[from] UnpackError),
    /// It cannot be decompressed.
    #[error("cannot decompress the archive: {0}")]
    Decompress(#[from] std::io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Whether a file of the store is a tar archive, compressed or not, by its first bytes.
///
/// # Errors
///
/// Where the store cannot be read.
pub fn is_archive(lease: &Lease, body: &BodyId) -> Result<bool, AddError> {
    let bytes = lease.store().body(body)?.ok_or(AddError::Gone)?;
    if Compression::of(&bytes[..bytes.len().min(DECIDING_BYTES)]).is_none() {
        return Ok(is_tar(&bytes[..bytes.len().min(DECIDING_BYTES)]));
    }
    let Ok(plain) = decompress(Box::new(Cursor::new(&bytes[..])), Policy::Archive) else {
        return Ok(false);
    };
    let mut start = Vec::new();
    let read = plain.take(DECIDING_BYTES as u64).read_to_end(&mut start);
    Ok(read.is_ok() && is_tar(&start))
}

/// Lays an archive of the store onto `destination`; the bodies of its files are stored.
///
/// # Errors
///
/// [`AddError`] with the entry that stopped it.
pub fn unpack(
    lease: &Lease,
    body: &BodyId,
    destination: &Arc<Directory>,
    spec: &CopySpec,
) -> Result<Tree, AddError> {
    let bytes = lease.store().body(body)?.ok_or(AddError::Gone)?;
    let plain = decompress(Box::new(Cursor::new(&bytes[..])), Policy::Archive)?;
    let mut tar = TarReader::new(plain, Policy::Archive);
    let mut unpacking = Unpacking::begin(destination, spec)?;
    while let Some(entry) = tar.next_entry()? {
        let entry = stored(lease, entry, &mut tar)?;
        unpacking.entry(entry)?;
    }
    Ok(unpacking.finish())
}

fn stored<R: Read>(
    lease: &Lease,
    entry: TarEntry,
    tar: &mut TarReader<R>,
) -> Result<ArchiveEntry, AddError> {
    let kind = match entry.kind {
        TarKind::Directory => ArchiveKind::Directory,
        TarKind::HardLink(target) => ArchiveKind::HardLink(target.as_bytes().to_vec()),
        TarKind::File(size) => {
            let (body, size) = lease.body_from_reader(tar, size)?;
            ArchiveKind::Node(Node::File(File { body, size, link: None }))
        }
        TarKind::Symlink(target) => ArchiveKind::Node(Node::Symlink(target.into())),
        TarKind::BlockDevice(device) => ArchiveKind::Node(Node::BlockDevice(device)),
        TarKind::CharDevice(device) => ArchiveKind::Node(Node::CharDevice(device)),
        TarKind::Fifo => ArchiveKind::Node(Node::Fifo),
    };
    let (path, metadata) = (entry.path.as_bytes().to_vec(), entry.metadata);
    Ok(ArchiveEntry { path, metadata, kind })
}
