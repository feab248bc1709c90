//! Attributes of mounts.

use std::ffi::CStr;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::OnceLock;

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, mount_remount};
use rustix::path::DecInt;

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

/// Whether this kernel changes attributes of mounts that are attached nowhere (Linux 5.12).
pub(crate) fn restricts_mounts() -> bool {
    static RESTRICTS: OnceLock<bool> = OnceLock::new();
    // No descriptor has this number.
    let tried = || restrict_mount(super::lend(i32::MAX), MountAttrFlags::empty(), Depth::One);
    *RESTRICTS.get_or_init(|| tried() != Err(Errno::NOSYS))
}

/// Adds attributes to a mount that is attached, as kernels do it that know no other way.
pub(crate) fn restrict_attached(mount: BorrowedFd<'_>, set: MountAttrFlags) -> Result<(), Errno> {
    let mut name = [0; DESCRIPTORS.len() + LONGEST_NUMBER];
    let number = DecInt::new(mount.as_raw_fd());
    let bytes = DESCRIPTORS.iter().chain(number.as_bytes());
    for (place, byte) in name.iter_mut().zip(bytes) {
        *place = *byte;
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::NAMETOOLONG)?;
    // What it has stays: all of them are set anew.
    let has = fstatvfs(mount)?.f_flag;
    let mut flags = MountFlags::BIND;
    for (attribute, known, flag) in ATTRIBUTES {
        if set.contains(attribute) || has.contains(known) {
            flags |= flag;
        }
    }
    mount_remount(name, flags, c"")
}

/// Attributes by their three names.
const ATTRIBUTES: [(MountAttrFlags, StatVfsMountFlags, MountFlags); 4] = [
    (MountAttrFlags::MOUNT_ATTR_RDONLY, StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
    (MountAttrFlags::MOUNT_ATTR_NOSUID, StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
    (MountAttrFlags::MOUNT_ATTR_NODEV, StatVfsMountFlags::NODEV, MountFlags::NODEV),
    (MountAttrFlags::MOUNT_ATTR_NOEXEC, StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
];

/// Where descriptors have names.
const DESCRIPTORS: &[u8] = b"/proc/self/fd/";

/// Room for the digits of a descriptor and a zero.
const LONGEST_NUMBER: usize = 12;

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
