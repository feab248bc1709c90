//! Giving entries of a layer's directory their metadata, by descriptor where there is one.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use crate::layer::canonical::travels;
use crate::layer::files_error::MaterialiseCause;
use crate::live::files::create;
use crate::live::owner::Given;
use crate::live::{device, owner};
use crate::tree::entry::{Claim, Device, Entry, Metadata, Node, Tree};
use crate::tree::merge::implied;

pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Marks a name as gone, in the way overlay file systems do.
pub(super) fn whiteout(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    let nothing = sys::makedev(0, 0);
    Ok(sys::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), nothing)?)
}

/// The permissions of what is given all its metadata later, when that has `mode`.
pub(super) fn at_first(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777)
}

/// Makes a directory that we can write to, whatever it is to become.
pub(super) fn make_directory(
    at: &OwnedFd,
    name: &[u8],
    mode: u32,
) -> Result<OwnedFd, MaterialiseCause> {
    sys::mkdirat(at, name, at_first(mode) | Mode::RWXU)?;
    Ok(sys::openat(at, name, DIRECTORY, Mode::empty())?)
}

/// Makes what is neither file nor directory where nothing has its name.
pub(super) fn make_special(at: &OwnedFd, entry: &Entry) -> Result<(), MaterialiseCause> {
    let name = &*entry.name;
    match &entry.node {
        Node::Symlink(target) => sys::symlinkat(&**target, at, name)?,
        Node::Whiteout => return whiteout(at, name),
        Node::Fifo => sys::mknodat(at, name, FileType::Fifo, Mode::RUSR, 0)?,
        Node::BlockDevice(device) => return node(at, entry, FileType::BlockDevice, *device),
        Node::CharDevice(device) => return node(at, entry, FileType::CharacterDevice, *device),
        Node::Directory(_) | Node::File(_) => return Ok(()),
    }
    by_name(at, entry)
}

/// Gives the directory of a layer its metadata, once all is in it.
pub(super) fn finish_root(root: &OwnedFd, tree: &Tree) -> Result<(), MaterialiseCause> {
    device::note(root, &tree.children)?;
    finish(root, &tree.root.clone().unwrap_or_else(implied))
}

/// Gives a directory its metadata, once its children are there.
pub(super) fn finish_directory(
    made: &OwnedFd,
    entry: &Entry,
    claim: Claim,
) -> Result<(), MaterialiseCause> {
    if claim == Claim::Opaque {
        sys::fsetxattr(made, "user.overlay.opaque", b"y", XattrFlags::empty())?;
    }
    if claim == Claim::Implied {
        return finish(made, &implied());
    }
    finish(made, &entry.metadata)
}

/// Owner first, because changing it clears set-user-ID bits and capabilities; times last. Nothing is
/// changed that is right from the beginning, as owner and permissions of most files are: each change
/// is one of the file system's journal, and a look is none.
pub(super) fn finish(made: impl AsFd, metadata: &Metadata) -> Result<(), MaterialiseCause> {
    let (is, mode) = (sys::fstat(&made)?, metadata.mode & 0o7777);
    let is_roots = owner::is_roots(&is, metadata);
    if !is_roots {
        owner::give(&made, metadata)?;
    }
    let mut xattrs = metadata.xattrs.iter().filter(|(name, _)| travels(name)).peekable();
    // An access control list changes permissions, too.
    let is_as_made = is_roots && xattrs.peek().is_none() && is.st_mode & 0o7777 == mode;
    for (name, value) in xattrs {
        sys::fsetxattr(&made, &**name, value, XattrFlags::empty())?;
    }
    if !is_as_made {
        sys::fchmod(&made, Mode::from_raw_mode(mode))?;
    }
    sys::futimens(&made, &times(metadata))?;
    Ok(())
}

/// As [`finish`], for what cannot be opened without an effect.
fn by_name(at: &OwnedFd, entry: &Entry) -> Result<(), MaterialiseCause> {
    let (metadata, name) = (&entry.metadata, &*entry.name);
    let change = |uid, gid| sys::chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
    let owner = (metadata.uid, metadata.gid);
    if owner::give_by(&change, owner)? == Given::ToRoot {
        owner::record_at(at, name, owner)?;
    }
    if !matches!(entry.node, Node::Symlink(_)) {
        // We have made this name in a directory nobody else can reach.
        sys::chmodat(at, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
    }
    sys::utimensat(at, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Makes a device, or without privileges the file that stands for it.
fn node(
    at: &OwnedFd,
    entry: &Entry,
    kind: FileType,
    number_of: Device,
) -> Result<(), MaterialiseCause> {
    let number = sys::makedev(number_of.major, number_of.minor);
    match sys::mknodat(at, &*entry.name, kind, Mode::RUSR, number) {
        Err(Errno::PERM) => {
            let made = create(at, &entry.name, Mode::RWXU)?;
            let Metadata { uid, gid, .. } = entry.metadata;
            let value = device::value(kind, number_of, (uid, gid));
            sys::fsetxattr(&made, device::ATTRIBUTE, value.as_bytes(), XattrFlags::empty())?;
            // Only files of root count.
            finish(&made, &Metadata { uid: 0, gid: 0, ..entry.metadata.clone() })
        }
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
