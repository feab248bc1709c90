//! What the files of a layer's directory say of themselves, by their numbers and their attributes.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self as sys, Mode, Stat};
use rustix::io::Errno;

use crate::layer::canonical::travels;
use crate::live::device::Marked;
use crate::live::owner::{Ids, Owner};
use crate::live::place::DIRECTORY;
use crate::live::{device, owner};
use crate::timestamp::Timestamp;
use crate::tree::entry::{Metadata, Xattrs};

/// The most that the kernel gives of an attribute, or of all their names.
const LONGEST: usize = 64 << 10;
/// Names that nearly every file keeps to. A longer buffer is cleared for each, which takes longer than the kernel does.
const USUAL: usize = 256;

/// Those that belong to no image.
const OURS: [&[u8]; 3] = [b"user.overlay.opaque", device::ATTRIBUTE, owner::ATTRIBUTE];

/// What the attributes of a file or directory say.
#[derive(Default)]
pub(super) struct Attributes {
    /// Those that belong to the image.
    pub(super) image: Xattrs,
    /// Whether it hides what lower layers have.
    pub(super) opaque: bool,
    /// The device it stands for.
    pub(super) device: Option<Marked>,
    /// Whom it is for, where that owner could not be given.
    pub(super) owner: Option<Owner>,
}

pub(super) fn read(opened: &OwnedFd) -> Result<Attributes, Errno> {
    let (mut few, mut many) = ([0; USUAL], Vec::new());
    let list = match sys::flistxattr(opened, &mut few[..]) {
        Err(Errno::NOTSUP) | Ok(0) => return Ok(Attributes::default()),
        Err(Errno::RANGE) => {
            many.resize(LONGEST, 0);
            let length = sys::flistxattr(opened, &mut many[..])?;
            &many[..length]
        }
        length => &few[..length?],
    };
    let mut found = Attributes::default();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let wanted = travels(name);
        if !wanted && !OURS.contains(&name) {
            continue;
        }
        let mut value = vec![0; LONGEST];
        let length = sys::fgetxattr(opened, name, &mut value[..])?;
        value.truncate(length);
        if wanted {
            found.image.push((name.into(), value.into()));
        } else if name == device::ATTRIBUTE {
            found.device = device::parse(&value);
        } else if name == owner::ATTRIBUTE {
            found.owner = owner::parse(&value);
        } else {
            found.opaque = value == b"y";
        }
    }
    found.image.sort();
    Ok(found)
}

pub(super) fn metadata(stat: &Stat, (uid, gid): Owner, xattrs: Xattrs) -> Metadata {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let mtime = Timestamp { seconds: stat.st_mtime, nanos };
    Metadata { mode: stat.st_mode & 0o7777, uid, gid, mtime, xattrs }
}

/// The metadata of a directory as the image has it.
pub(super) fn of_directory(path: &Path, idmap: &[u8]) -> io::Result<Metadata> {
    let opened = sys::open(path, DIRECTORY, Mode::empty())?;
    let (stat, found) = (sys::fstat(&opened)?, read(&opened)?);
    let owner = Ids::of(idmap).owner((stat.st_uid, stat.st_gid), found.owner);
    Ok(metadata(&stat, owner, found.image))
}

/// What a root directory is in steps. One that only its owner may enter comes of packing a private
/// directory; the runtimes put one of their own over it, so that such images work for any user.
pub(super) fn entered(root: Metadata) -> Metadata {
    const ENTER: u32 = 0o111;
    let closed = root.mode & ENTER != ENTER;
    Metadata { mode: if closed { root.mode | ENTER } else { root.mode }, ..root }
}
