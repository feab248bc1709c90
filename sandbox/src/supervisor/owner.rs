//! Whose files are, where the kernel knows one user only.
//!
//! A file or directory that is not root's says so in an extended attribute, which the overlay
//! copies up with it and which stays when it is renamed. Everything else holds no attributes but those
//! of `security`: there the two numbers are in that of file capabilities, which count for programs alone.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Statx, Uid, XattrFlags, chownat, fgetxattr, fremovexattr, fsetxattr,
    getxattr, lgetxattr, lremovexattr, lsetxattr, removexattr, setxattr,
};
use rustix::io::Errno;

/// User and group.
pub(super) type Owner = (u32, u32);

/// A file whose owner is asked for or written down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot<'a> {
    /// One that is open, but not to be used.
    Opened(&'a OwnedFd),
    /// One that is open to be used.
    Used(&'a OwnedFd),
    /// What has this name in the directory that this thread is in, a link included.
    Here(&'a [u8]),
}

/// Whose a file is; root's, if nobody says anything else.
pub(super) fn owner_of(file: &OwnedFd, stat: &Statx, attribute: &[u8]) -> Owner {
    owner_at(Spot::Opened(file), stat, attribute)
}

/// As [`owner_of`], in any place.
pub(super) fn owner_at(spot: Spot<'_>, stat: &Statx, attribute: &[u8]) -> Owner {
    said(spot, stat, attribute).unwrap_or((0, 0))
}

fn said(spot: Spot<'_>, stat: &Statx, attribute: &[u8]) -> Option<Owner> {
    let mut value = [0; LONGEST];
    let kept = kept(stat);
    let name = if kept == Kept::Apart { attribute } else { CAPABILITIES };
    let length = match spot {
        Spot::Opened(file) => getxattr(path(file), name, &mut value[..]),
        Spot::Used(file) => fgetxattr(file, name, &mut value[..]),
        Spot::Here(file) => lgetxattr(file, name, &mut value[..]),
    };
    let value = value.get(..length.ok()?)?;
    match kept {
        Kept::Apart => {
            let (uid, gid) = std::str::from_utf8(value).ok()?.split_once(':')?;
            Some((uid.parse().ok()?, gid.parse().ok()?))
        }
        Kept::InCapabilities => {
            let word = |at| value.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
            Some((word(4)?, word(8)?))
        }
    }
}

/// Gives a file to somebody, as far as that can be seen: what the kernel does when a file changes hands
/// is done, too. Where the file system keeps no attributes, it stays root's.
pub(super) fn give(
    file: &OwnedFd,
    stat: &Statx,
    attribute: &[u8],
    owner: Owner,
) -> Result<(), Errno> {
    chownat(file.as_fd(), c"", Some(Uid::ROOT), Some(Gid::ROOT), AtFlags::EMPTY_PATH)?;
    note(Spot::Opened(file), stat, attribute, owner)
}

/// Writes down whose a file is, where the file system keeps that.
pub(super) fn note(
    spot: Spot<'_>,
    stat: &Statx,
    attribute: &[u8],
    (uid, gid): Owner,
) -> Result<(), Errno> {
    let kept = kept(stat);
    let name = if kept == Kept::Apart { attribute } else { CAPABILITIES };
    let noted = if (uid, gid) == (0, 0) {
        match spot {
            Spot::Opened(file) => removexattr(path(file), name),
            Spot::Used(file) => fremovexattr(file, name),
            Spot::Here(file) => lremovexattr(file, name),
        }
    } else {
        let value = match kept {
            Kept::Apart => format!("{uid}:{gid}").into_bytes(),
            Kept::InCapabilities => in_capabilities((uid, gid)),
        };
        let flags = XattrFlags::empty();
        match spot {
            Spot::Opened(file) => setxattr(path(file), name, &value, flags),
            Spot::Used(file) => fsetxattr(file, name, &value, flags),
            Spot::Here(file) => lsetxattr(file, name, &value, flags),
        }
    };
    match noted {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        noted => noted,
    }
}

/// `struct vfs_cap_data` of the second version, with the owner in place of the first sets.
fn in_capabilities((uid, gid): Owner) -> Vec<u8> {
    [SECOND_VERSION, uid, gid, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Where the owner of a file is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    Apart,
    InCapabilities,
}

fn kept(stat: &Statx) -> Kept {
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile | FileType::Directory => Kept::Apart,
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kept::InCapabilities,
    }
}

/// A name of a file that is open.
pub(super) fn path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Of a file that is neither a regular one nor a directory.
pub(super) const CAPABILITIES: &[u8] = b"security.capability";

/// `VFS_CAP_REVISION_2`
const SECOND_VERSION: u32 = 0x0200_0000;

/// Two numbers of ten digits, or `struct vfs_ns_cap_data`.
const LONGEST: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_what_is_no_program_hold_two_numbers() {
        let value = in_capabilities((1000, 2));
        assert_eq!(value.len(), 20);
        assert_eq!(value[..12], [0, 0, 0, 2, 0xe8, 3, 0, 0, 2, 0, 0, 0]);
    }
}
