//! Making the directory of a layer out of its tree.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    self as sys, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::error::{At, ReadError, WriteError};
use crate::id::BodyId;
use crate::journal::batch::Batch;
use crate::layer::bodies::Bodies;
use crate::layer::canonical::travels;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::live::scratch::{claim, record};
use crate::path::LayerPath;
use crate::tree::entry::{Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Tree};

/// A layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("cannot unpack {path}")]
pub struct MaterialiseError {
    /// The entry.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: MaterialiseCause,
}

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialiseCause {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file's bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file's bytes are not in the store.
    #[error("body {0} is not in the store")]
    Missing(BodyId),
    /// The directory could not be made part of the store.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<Errno> for MaterialiseCause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The directory of a layer, made from its tree if there is none. Its records are added to `batch`.
///
/// It is built aside and renamed, so that a crash leaves no half of it.
pub fn materialise(
    lease: &Lease,
    layer: &LayerRecord,
    tree: &Tree,
    idmap: &[u8],
    batch: &mut Batch,
) -> Result<PathBuf, MaterialiseError> {
    if let Some(name) = &layer.live {
        return Ok(lease.store().path().join(name.path()));
    }
    let building = lease.store().path().join(lease.scratch_path());
    let at_root = |cause: MaterialiseCause| MaterialiseError { path: LayerPath::root(), cause };
    let made = std::fs::create_dir(&building).writing("work");
    made.map_err(|error| at_root(error.into()))?;
    unpack(tree, lease.store(), &building)?;
    let name = claim(lease, |target| std::fs::rename(&building, target));
    let name = name.map_err(|error| at_root(error.into()))?;
    record(lease, batch, &name, layer.clone(), idmap);
    Ok(lease.store().path().join(name.path()))
}

/// Writes a changeset into an empty directory, in the form an overlay mount with `userxattr` takes
/// as a lower directory.
pub fn unpack(tree: &Tree, bodies: &dyn Bodies, into: &Path) -> Result<(), MaterialiseError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = sys::open(into, flags, Mode::empty());
    let root =
        root.map_err(|error| MaterialiseError { path: LayerPath::root(), cause: error.into() })?;
    let mut unpack = Unpack { root: root.as_fd(), bodies, first: BTreeMap::new() };
    unpack.children(&root, &tree.children, &LayerPath::root())?;
    let metadata = tree.root.clone().unwrap_or_else(implied);
    finish(&root, &metadata).map_err(|cause| MaterialiseError { path: LayerPath::root(), cause })
}

struct Unpack<'a> {
    root: BorrowedFd<'a>,
    bodies: &'a dyn Bodies,
    first: BTreeMap<LinkGroup, LayerPath>,
}

impl Unpack<'_> {
    fn children(
        &mut self,
        at: &OwnedFd,
        directory: &Directory,
        path: &LayerPath,
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            if let Node::Directory(below) = &entry.node {
                let made = make_directory(at, &entry.name);
                let made = made.map_err(|cause| MaterialiseError { path: path.clone(), cause })?;
                self.children(&made, &below.children, &path)?;
                let done = finish_directory(&made, entry, below.claim);
                done.map_err(|cause| MaterialiseError { path, cause })?;
            } else {
                let made = self.leaf(at, entry, &path);
                made.map_err(|cause| MaterialiseError { path, cause })?;
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        at: &OwnedFd,
        entry: &Entry,
        path: &LayerPath,
    ) -> Result<(), MaterialiseCause> {
        let name = &*entry.name;
        match &entry.node {
            Node::File(file) => return self.file(at, entry, file, path),
            Node::Symlink(target) => sys::symlinkat(&**target, at, name)?,
            Node::Whiteout => {
                let whiteout = sys::makedev(0, 0);
                sys::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), whiteout)?;
                return Ok(());
            }
            Node::Fifo => sys::mknodat(at, name, FileType::Fifo, Mode::RUSR, 0)?,
            Node::BlockDevice(device) => return node(at, entry, FileType::BlockDevice, *device),
            Node::CharDevice(device) => return node(at, entry, FileType::CharacterDevice, *device),
            Node::Directory(_) => return Ok(()),
        }
        by_name(at, entry)
    }

    fn file(
        &mut self,
        at: &OwnedFd,
        entry: &Entry,
        file: &File,
        path: &LayerPath,
    ) -> Result<(), MaterialiseCause> {
        if let Some(first) = file.link.and_then(|group| self.first.get(&group)) {
            sys::linkat(self.root, first.as_bytes(), at, &*entry.name, AtFlags::empty())?;
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made = sys::openat(at, &*entry.name, flags | OFlags::CLOEXEC, Mode::RWXU)?;
        if file.size > 0 {
            let body = self.bodies.body(&file.body)?;
            let body = body.ok_or(MaterialiseCause::Missing(file.body))?;
            let mut out = std::fs::File::from(made.try_clone()?);
            std::io::Write::write_all(&mut out, &body)?;
        }
        if let Some(group) = file.link {
            self.first.insert(group, path.clone());
        }
        finish(&made, &entry.metadata)
    }
}

fn make_directory(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, MaterialiseCause> {
    sys::mkdirat(at, name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(sys::openat(at, name, flags, Mode::empty())?)
}

fn finish_directory(made: &OwnedFd, entry: &Entry, claim: Claim) -> Result<(), MaterialiseCause> {
    if claim == Claim::Opaque {
        sys::fsetxattr(made, "user.overlay.opaque", b"y", XattrFlags::empty())?;
    }
    let metadata = if claim == Claim::Implied { implied() } else { entry.metadata.clone() };
    finish(made, &metadata)
}

fn implied() -> Metadata {
    Metadata { mode: crate::tree::merge::IMPLIED_MODE, ..Metadata::default() }
}

/// Owner first, because changing it clears set-user-ID bits and capabilities; times last.
fn finish(made: &OwnedFd, metadata: &Metadata) -> Result<(), MaterialiseCause> {
    sys::fchown(made, Some(Uid::from_raw(metadata.uid)), Some(Gid::from_raw(metadata.gid)))?;
    for (name, value) in metadata.xattrs.iter().filter(|(name, _)| travels(name)) {
        sys::fsetxattr(made, &**name, value, XattrFlags::empty())?;
    }
    sys::fchmod(made, Mode::from_raw_mode(metadata.mode))?;
    sys::futimens(made, &times(metadata))?;
    Ok(())
}

/// As [`finish`], for what cannot be opened without an effect.
fn by_name(at: &OwnedFd, entry: &Entry) -> Result<(), MaterialiseCause> {
    let (metadata, name) = (&entry.metadata, &*entry.name);
    let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
    sys::chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !matches!(entry.node, Node::Symlink(_)) {
        // We have made this name in a directory nobody else can reach.
        sys::chmodat(at, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
    }
    sys::utimensat(at, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Without privileges a device exists in the tree only.
fn node(
    at: &OwnedFd,
    entry: &Entry,
    kind: FileType,
    device: Device,
) -> Result<(), MaterialiseCause> {
    let number = sys::makedev(device.major, device.minor);
    match sys::mknodat(at, &*entry.name, kind, Mode::RUSR, number) {
        Err(Errno::PERM) => Ok(()),
        made => {
            made?;
            by_name(at, entry)
        }
    }
}

fn times(metadata: &Metadata) -> Timestamps {
    let nanos = i64::from(metadata.mtime.nanos);
    let time = Timespec { tv_sec: metadata.mtime.seconds, tv_nsec: nanos };
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;
    use crate::tree::sketch::sketch;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    #[test]
    fn a_changeset_becomes_an_overlay_directory() {
        let directory = tempfile::tempdir().unwrap();
        if sys::fchown(std::fs::File::open(directory.path()).unwrap(), Some(Uid::ROOT), None)
            .is_err()
        {
            return;
        }
        let body =
            |text: &str| (BodyId::of(text.as_bytes()), Bytes::from(text.as_bytes().to_vec()));
        let bodies = BTreeMap::from([body("1"), body("2")]);
        let tree = sketch("a=1@1 b=1@1 d/ d/c=2 i/f=2 l>../../etc -w");
        unpack(&tree, &bodies, directory.path()).unwrap();
        let stat = |name: &str| std::fs::symlink_metadata(directory.path().join(name)).unwrap();
        assert_eq!(stat("a").ino(), stat("b").ino());
        assert_eq!((stat("a").mode() & 0o7777, stat("a").mtime()), (0o644, 1));
        assert_eq!((stat("i").mode() & 0o7777, stat("i").mtime()), (0o755, 0));
        assert!(stat("w").file_type().is_char_device() && stat("w").rdev() == 0);
        assert!(stat("l").file_type().is_symlink());
        assert_eq!(std::fs::read(directory.path().join("d/c")).unwrap(), b"2");
    }
}
