//! Devices in the directory of a layer: plain files that say which device they stand for, because
//! no user namespace may make a device.

use std::os::fd::OwnedFd;

use rustix::fs::{self as sys, FileType, XattrFlags};
use rustix::io::Errno;

use crate::live::owner::{self, Owner};
use crate::tree::entry::{Device, Directory, Node};

/// The extended attribute of such a file. Its value is `c MAJOR:MINOR` or `b MAJOR:MINOR`, and
/// ` UID:GID` where the device belongs to others than its file, which is root's. The directory of a
/// layer has it too where such files are below.
pub const ATTRIBUTE: &[u8] = b"user.wythe.device";

/// A device, and whom it belongs to if not to the owner of its file.
pub(super) type Marked = (Node, Option<Owner>);

/// What the attribute of a file says.
pub(super) fn parse(value: &[u8]) -> Option<Marked> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ');
    let (kind, number, owner) = (words.next()?, words.next()?, words.next());
    let (major, minor) = number.split_once(':')?;
    let device = Device { major: major.parse().ok()?, minor: minor.parse().ok()? };
    let node = match kind {
        "b" => Node::BlockDevice(device),
        "c" => Node::CharDevice(device),
        _ => return None,
    };
    let owner = owner.map(|owner| owner::parse(owner.as_bytes()).ok_or(())).transpose().ok()?;
    words.next().is_none().then_some((node, owner))
}

/// What the attribute of a file has to say.
pub(super) fn value(kind: FileType, device: Device, (uid, gid): Owner) -> String {
    let kind = if kind == FileType::BlockDevice { 'b' } else { 'c' };
    let device = format!("{kind} {}:{}", device.major, device.minor);
    if (uid, gid) == (0, 0) { device } else { format!("{device} {uid}:{gid}") }
}

/// Notes on the directory of a layer whether there are devices in it.
pub(super) fn note(root: &OwnedFd, layer: &Directory) -> Result<(), Errno> {
    if !are_in(layer) {
        return Ok(());
    }
    sys::fsetxattr(root, ATTRIBUTE, b"below", XattrFlags::empty())
}

fn are_in(directory: &Directory) -> bool {
    directory.entries().iter().any(|entry| match &entry.node {
        Node::BlockDevice(_) | Node::CharDevice(_) => true,
        Node::Directory(below) => are_in(&below.children),
        Node::Fifo | Node::File(_) | Node::Symlink(_) | Node::Whiteout => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_was_said_of_it() {
        let device = Device { major: 1, minor: 300 };
        let said = |kind, owner| parse(value(kind, device, owner).as_bytes());
        let (char, block) = (FileType::CharacterDevice, FileType::BlockDevice);
        assert_eq!(said(char, (0, 0)), Some((Node::CharDevice(device), None)));
        assert_eq!(said(block, (0, 6)), Some((Node::BlockDevice(device), Some((0, 6)))));
    }

    #[test]
    fn what_is_not_said_properly_is_no_device() {
        for value in [
            "",
            "c",
            "c 1",
            "c 1:",
            "x 1:2",
            "c 1:2:3",
            "c -1:2",
            "c 1:2 ",
            "c 1:2 5",
            "c 1:2 5:6 7",
            "below",
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn what_the_store_notes_on_files_does_not_travel() {
        for name in [ATTRIBUTE, owner::ATTRIBUTE] {
            assert!(!crate::layer::canonical::travels(name));
        }
    }
}
