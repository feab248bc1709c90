//! A terminal for a step.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// A new terminal: the end of whoever shows it, and the end for
/// [`Streams::Terminal`](crate::step::Streams::Terminal). It is not among those of the machine, so
/// that it can belong to the user of the step.
///
/// # Errors
///
/// The process is not in its namespaces, or has no descriptors left.
pub fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let context = fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let terminals = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, quiet)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = openat(&terminals, c"ptmx", flags, Mode::empty())?;
    unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours, theirs))
}
