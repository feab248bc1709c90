//! Removing the mount points that a step needed and its layer does not.
//!
//! Most mount points lie in the stub layer and leave nothing. Where the image has a link or a
//! whiteout in the way they were made in the upper directory; those that are still empty go.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, openat,
    openat2, statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::child::Made;

/// Removes what was made in `upper`, the last first. All processes of the step are gone.
pub(crate) fn remove(upper: &Path, made: &[Made]) -> Result<(), Errno> {
    if made.is_empty() {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let upper = openat(CWD, upper, flags, Mode::empty())?;
    made.iter().rev().try_for_each(|made| remove_one(&upper, made))
}

fn remove_one(upper: &OwnedFd, made: &Made) -> Result<(), Errno> {
    let Some(parent) = open(upper, made.parent())? else {
        return Ok(());
    };
    for names in prefixes(made.names()) {
        let (above, name) = split(names);
        let Some(directory) = open(&parent, above)? else {
            continue;
        };
        if !remove_empty(&directory, name)? {
            return Ok(());
        }
    }
    let (seconds, nanoseconds) = made.parent_mtime;
    let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps {
        last_access: untouched,
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
    };
    utimensat(parent.as_fd(), c"", &times, AtFlags::EMPTY_PATH)
}

/// Opens a directory in which no link is followed; `None` when the step put something else there
/// or the mount point was never in this file system.
fn open(root: &OwnedFd, path: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    let relative: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|it| !it.is_empty()).collect();
    let relative = relative.join(&b'/');
    let relative = if relative.is_empty() { b".".to_vec() } else { relative };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let path = OsStr::from_bytes(&relative);
    match openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes an empty file or directory; says whether nothing is there any more.
fn remove_empty(directory: &OwnedFd, name: &[u8]) -> Result<bool, Errno> {
    let name = OsStr::from_bytes(name);
    let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(true),
        Err(errno) => return Err(errno),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let removed = if kind == FileType::Directory {
        unlinkat(directory, name, AtFlags::REMOVEDIR)
    } else if kind == FileType::RegularFile && stat.st_size == 0 {
        unlinkat(directory, name, AtFlags::empty())
    } else {
        return Ok(false);
    };
    match removed {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `a/b/c`, `a/b`, `a`.
fn prefixes(names: &[u8]) -> Vec<&[u8]> {
    let slashes = (0..names.len()).rev().filter(|at| names[*at] == b'/');
    let ends = std::iter::once(names.len()).chain(slashes);
    ends.map(|end| &names[..end]).filter(|it| it.last().is_some_and(|last| *last != b'/')).collect()
}

/// What comes before the last slash, and after it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_removed_from_the_inside_out() {
        assert_eq!(prefixes(b"a/b//c"), [&b"a/b//c"[..], b"a/b", b"a"]);
        assert_eq!(prefixes(b"a"), [b"a"]);
        assert_eq!(split(b"a/b"), (&b"a"[..], &b"b"[..]));
    }
}
