//! Giving entries of a layer's directory their metadata, by descriptor where there is one.

use std::os::fd::OwnedFd;

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use crate::layer::canonical::travels;
use crate::layer::files_error::MaterialiseCause;
use crate::live::{device, owner};
use crate::tree::entry::{Claim, Device, Entry, Metadata, Node};
use crate::tree::merge::implied;

pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Marks a name as gone, in the way overlay file systems do.
pub(super) fn whiteout(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    let nothing = sys::makedev(0, 0);
    Ok(sys::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), nothing)?)
}

/// Makes a directory that only we can use until it is finished.
pub(super) fn make_directory(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, MaterialiseCause> {
    sys::mkdirat(at, name, Mode::RWXU)?;
    Ok(sys::openat(at, name, DIRECTORY, Mode::empty())?)
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
    let metadata = if claim == Claim::Implied { implied() } else { entry.metadata.clone() };
    finish(made, &metadata)
}

/// Owner first, because changing it clears set-user-ID bits and capabilities; times last.
pub(super) fn finish(made: &OwnedFd, metadata: &Metadata) -> Result<(), MaterialiseCause> {
    owner::give(made, metadata)?;
    for (name, value) in metadata.xattrs.iter().filter(|(name, _)| travels(name)) {
        sys::fsetxattr(made, &**name, value, XattrFlags::empty())?;
    }
    sys::fchmod(made, Mode::from_raw_mode(metadata.mode))?;
    sys::futimens(made, &times(metadata))?;
    Ok(())
}

/// As [`finish`], for what cannot be opened without an effect.
pub(super) fn by_name(at: &OwnedFd, entry: &Entry) -> Result<(), MaterialiseCause> {
    let (metadata, name) = (&entry.metadata, &*entry.name);
    let change = |uid, gid| sys::chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
    owner::give_by(&change, (metadata.uid, metadata.gid))?;
    if !matches!(entry.node, Node::Symlink(_)) {
        // We have made this name in a directory nobody else can reach.
        sys::chmodat(at, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
    }
    sys::utimensat(at, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Makes a device, or without privileges the file that stands for it.
pub(super) fn node(
    at: &OwnedFd,
    entry: &Entry,
    kind: FileType,
    number_of: Device,
) -> Result<(), MaterialiseCause> {
    let number = sys::makedev(number_of.major, number_of.minor);
    match sys::mknodat(at, &*entry.name, kind, Mode::RUSR, number) {
        Err(Errno::PERM) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let made = sys::openat(at, &*entry.name, flags | OFlags::CLOEXEC, Mode::RWXU)?;
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
