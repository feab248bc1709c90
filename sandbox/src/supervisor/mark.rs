//! What a file that stands for a device says of it.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{FileType, Statx, getxattr};

use crate::enter::MACHINE;

/// A file as a step is to see it, where that is not how the kernel sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    /// Whether it is a plain file that stands for a device.
    pub(super) is_emulated: bool,
    pub(super) kind: FileType,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Seen {
    /// What a file stands for, if it does, or who owns a device of this machine.
    pub(super) fn of(file: &OwnedFd, stat: &Statx, attribute: &[u8]) -> Option<Self> {
        let kind = FileType::from_raw_mode(stat.stx_mode.into());
        // What others write on their files means nothing.
        if kind == FileType::RegularFile && stat.stx_uid == 0 {
            let mut value = [0; LONGEST_MARK];
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let length = getxattr(path, attribute, &mut value[..]).ok()?;
            let seen = Self::parse(std::str::from_utf8(&value[..length]).ok()?)?;
            return Some(if seen.gid == OF_FILE {
                Self { gid: stat.stx_gid, ..seen }
            } else {
                seen
            });
        }
        let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
        (is_device && is_nobody(stat.stx_uid)).then(|| {
            let (major, minor) = (stat.stx_rdev_major, stat.stx_rdev_minor);
            let gid = if is_nobody(stat.stx_gid) { 0 } else { stat.stx_gid };
            Self { is_emulated: false, kind, major, minor, uid: 0, gid }
        })
    }

    /// `c MAJOR:MINOR` or `b MAJOR:MINOR`, and ` UID:GID` where the file does not say them.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let kind = match words.next()? {
            "b" => FileType::BlockDevice,
            "c" => FileType::CharacterDevice,
            _ => return None,
        };
        let pair = |word: &str| {
            let (first, second) = word.split_once(':')?;
            Some((first.parse::<u32>().ok()?, second.parse::<u32>().ok()?))
        };
        let (major, minor) = pair(words.next()?)?;
        let (uid, gid) = words.next().map_or(Some((0, OF_FILE)), pair)?;
        let seen = Self { is_emulated: true, kind, major, minor, uid, gid };
        words.next().is_none().then_some(seen)
    }

    /// The text that says this.
    pub(super) fn mark(&self) -> Vec<u8> {
        let Self { major, minor, uid, gid, .. } = self;
        let kind = if self.kind == FileType::BlockDevice { 'b' } else { 'c' };
        format!("{kind} {major}:{minor} {uid}:{gid}").into_bytes()
    }

    /// The answer of `statx`, with what is to be seen.
    pub(super) fn shown(&self, stat: &Statx) -> Statx {
        let mut shown = *stat;
        shown.stx_mode = self.mode(stat);
        (shown.stx_uid, shown.stx_gid) = (self.uid, self.gid);
        (shown.stx_rdev_major, shown.stx_rdev_minor) = (self.major, self.minor);
        (shown.stx_size, shown.stx_blocks) = (0, 0);
        shown
    }

    fn mode(&self, stat: &Statx) -> u16 {
        let kind = if self.kind == FileType::BlockDevice { libc::S_IFBLK } else { libc::S_IFCHR };
        let permissions = stat.stx_mode & 0o7777;
        u16::try_from(kind).map_or(permissions, |kind| kind | permissions)
    }
}

/// Where the mark does not say a group, it is that of the file.
const OF_FILE: u32 = u32::MAX;

/// Whether a step has no such user or group. The builder may have more than a step has.
fn is_nobody(id: u32) -> bool {
    id == NOBODY || id >= MACHINE
}

/// Whom files of users without a number in the namespace seem to belong to.
const NOBODY: u32 = 65_534;

/// `c`, and four numbers of up to ten digits.
const LONGEST_MARK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_it_was_made_from() {
        let null = Seen {
            is_emulated: true,
            kind: FileType::CharacterDevice,
            major: 1,
            minor: 3,
            uid: 1000,
            gid: 5,
        };
        assert_eq!(null.mark(), b"c 1:3 1000:5");
        assert_eq!(Seen::parse("c 1:3 1000:5"), Some(null));
        assert_eq!(Seen::parse("c 1:3"), Some(Seen { uid: 0, gid: OF_FILE, ..null }));
    }

    #[test]
    fn what_is_not_said_properly_is_no_device() {
        for text in ["", "c", "c 1", "x 1:3", "c 1:3 ", "c 1:3 5", "c 1:3 5:5 5", "c -1:3"] {
            assert_eq!(Seen::parse(text), None, "{text:?}");
        }
    }
}
