//! Devices in the directory of a layer: plain files that say which device they stand for, because
//! no user namespace may make a device.

use rustix::fs::FileType;

use crate::tree::entry::{Device, Node};

/// The extended attribute of such a file. Its value is `c MAJOR:MINOR` or `b MAJOR:MINOR`.
pub const ATTRIBUTE: &[u8] = b"user.wythe.device";

/// What the attribute of a file says.
pub(super) fn parse(value: &[u8]) -> Option<Node> {
    let (kind, number) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let (major, minor) = number.split_once(':')?;
    let device = Device { major: major.parse().ok()?, minor: minor.parse().ok()? };
    match kind {
        "b" => Some(Node::BlockDevice(device)),
        "c" => Some(Node::CharDevice(device)),
        _ => None,
    }
}

/// What the attribute of a file has to say.
pub(super) fn value(kind: FileType, device: Device) -> String {
    let kind = if kind == FileType::BlockDevice { 'b' } else { 'c' };
    format!("{kind} {}:{}", device.major, device.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_was_said_of_it() {
        let device = Device { major: 1, minor: 300 };
        let said = |kind| parse(value(kind, device).as_bytes());
        assert_eq!(said(FileType::CharacterDevice), Some(Node::CharDevice(device)));
        assert_eq!(said(FileType::BlockDevice), Some(Node::BlockDevice(device)));
    }

    #[test]
    fn what_is_not_said_properly_is_no_device() {
        for value in ["", "c", "c 1", "c 1:", "x 1:2", "c 1:2:3", "c -1:2", "c 1:4294967296"] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }
}
