//! A program that steps can reach and must not change.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use crate::sys::{self, Depth};

/// A mount of one file through which it cannot be written, whoever owns it.
///
/// A step reaches the program it runs under through `/proc/PID/exe`, and with it the mount.
pub(crate) fn guarded(file: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, file, flags)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
    sys::restrict_mount(mount.as_fd(), attributes, Depth::One)?;
    Ok(mount)
}
