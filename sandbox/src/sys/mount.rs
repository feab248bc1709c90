//! Attributes of mounts.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::checked;

/// The argument of `mount_setattr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    namespace: u64,
}

/// How far a mount operation reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Depth {
    /// One mount.
    One,
    /// The mount and all below it.
    All,
}

/// Adds attributes to a mount.
pub(crate) fn restrict_mount(
    mount: BorrowedFd<'_>,
    set: MountAttrFlags,
    depth: Depth,
) -> Result<(), Errno> {
    change_mount(mount, [set, MountAttrFlags::empty()], depth)
}

/// Takes attributes from one mount.
pub(crate) fn release_mount(mount: BorrowedFd<'_>, clear: MountAttrFlags) -> Result<(), Errno> {
    change_mount(mount, [MountAttrFlags::empty(), clear], Depth::One)
}

fn change_mount(
    mount: BorrowedFd<'_>,
    changes: [MountAttrFlags; 2],
    depth: Depth,
) -> Result<(), Errno> {
    let [set, clear] = changes.map(|attributes| u64::from(attributes.bits()));
    let attributes = MountAttributes { set, clear, propagation: 0, namespace: 0 };
    let recursive = if depth == Depth::All { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal, and the structure and its size agree.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    checked(result).map(drop)
}
