//! Mount points: found beneath a root, made where they are missing.
//!
//! Runs in the child, under its rules. Paths are edited in a buffer on the stack.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, fstat, mkdirat, mknodat, readlinkat_raw};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::beneath;

/// A mount point that was made in the image and has to be removed again.
#[derive(Debug)]
pub(crate) struct Made {
    parent: [u8; LONGEST_PATH],
    n_parent: usize,
    names: [u8; LONGEST_PATH],
    n_names: usize,
    /// When the parent was changed last before.
    pub(crate) parent_mtime: (i64, i64),
}

impl Made {
    /// The directory that existed, relative to the root.
    pub(crate) fn parent(&self) -> &[u8] {
        self.parent.get(..self.n_parent).unwrap_or(&[])
    }

    /// What was made in it: names joined by slashes.
    pub(crate) fn names(&self) -> &[u8] {
        self.names.get(..self.n_names).unwrap_or(&[])
    }

    /// Notes that `names` are about to be made in `parent`.
    fn note(root: BorrowedFd<'_>, parent: BorrowedFd<'_>, names: &[u8]) -> Result<Self, Errno> {
        let stat = fstat(parent)?;
        let mut made = Self {
            parent: [0; LONGEST_PATH],
            n_parent: 0,
            names: [0; LONGEST_PATH],
            n_names: names.len(),
            parent_mtime: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
        };
        let n_root = whereabouts(root, &mut made.parent)?;
        let n_path = whereabouts(parent, &mut made.parent)?;
        made.n_parent = n_path.checked_sub(n_root).ok_or(Errno::NOENT)?;
        made.parent.copy_within(n_root..n_path, 0);
        let place = made.names.get_mut(..names.len()).ok_or(Errno::NAMETOOLONG)?;
        place.copy_from_slice(names);
        Ok(made)
    }
}

/// Where the machine's `/proc`, still in view, says that a descriptor is.
fn whereabouts(fd: BorrowedFd<'_>, path: &mut [u8; LONGEST_PATH]) -> Result<usize, Errno> {
    let own = rustix::fs::openat(
        rustix::fs::CWD,
        c"/proc/self/fd",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let number = DecInt::new(fd.as_raw_fd());
    let n_found = readlinkat_raw(&own, number.as_c_str(), path.as_mut_slice())?;
    if n_found == LONGEST_PATH { Err(Errno::NAMETOOLONG) } else { Ok(n_found) }
}

/// Makes a mount point in a file system that only we write to. What cannot be made there is left
/// to [`make`].
pub(super) fn stub(under: BorrowedFd<'_>, path: &CStr, kind: FileType) {
    let Ok(mut path) = Path::new(path.to_bytes()) else {
        return;
    };
    let mut from = 0;
    while let Some((start, end)) = path.component(from) {
        let is_last = path.component(end).is_none();
        let first = path.component(0).map_or(0, |(first, _)| first);
        let Ok(name) = path.slice(first, end) else {
            return;
        };
        let made = make_one(under, name, if is_last { kind } else { FileType::Directory });
        path.restore(end);
        if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
            return;
        }
        from = end.max(start);
    }
}

/// Makes what is missing of a path beneath `root`, following links as the kernel would, and
/// opens it.
pub(super) fn make(
    root: BorrowedFd<'_>,
    path: &CStr,
    kind: FileType,
    made: &mut Vec<Made>,
) -> Result<OwnedFd, Errno> {
    let mut path = Path::new(path.to_bytes())?;
    let mut is_noted = false;
    for _ in 0..MOST_TURNS {
        let Some(missing) = path.first_missing(root)? else {
            let found = path.slice(0, path.len)?;
            return beneath(root, found);
        };
        let Missing { parent, start, end } = missing;
        if !is_noted && made.len() < made.capacity() {
            let names = path.bytes.get(start..path.len).ok_or(Errno::NAMETOOLONG)?;
            made.push(Made::note(root, parent.as_fd(), names)?);
        }
        let is_last = path.component(end).is_none();
        let wanted = if is_last { kind } else { FileType::Directory };
        let name = path.slice(start, end)?;
        let result = make_one(parent.as_fd(), name, wanted);
        match result {
            Ok(()) => {
                is_noted = true;
                path.restore(end);
            }
            Err(Errno::EXIST) => {
                // A link to nowhere: go on where it points.
                if !is_noted {
                    made.pop();
                }
                let mut link = [0; LONGEST_PATH];
                let n_target = readlinkat_raw(parent.as_fd(), name, link.as_mut_slice())?;
                let target = link.get(..n_target).unwrap_or(&[]);
                path.restore(end);
                path.replace(start, end, target)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::LOOP)
}

fn make_one(under: BorrowedFd<'_>, name: &CStr, kind: FileType) -> Result<(), Errno> {
    if kind == FileType::Directory {
        return mkdirat(under, name, Mode::from_raw_mode(0o755));
    }
    mknodat(under, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
}

/// The first component of a path that does not exist.
struct Missing {
    parent: OwnedFd,
    start: usize,
    end: usize,
}

/// A path being edited; always followed by a zero.
struct Path {
    bytes: [u8; LONGEST_PATH],
    len: usize,
}

impl Path {
    fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut bytes = [0; LONGEST_PATH];
        let len = path.len();
        if len >= LONGEST_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let place = bytes.get_mut(..len).ok_or(Errno::NAMETOOLONG)?;
        place.copy_from_slice(path);
        Ok(Self { bytes, len })
    }

    /// The component that starts at or after `from`.
    fn component(&self, from: usize) -> Option<(usize, usize)> {
        let rest = self.bytes.get(from..self.len)?;
        let start = from + rest.iter().position(|byte| *byte != b'/')?;
        let named = self.bytes.get(start..self.len)?;
        let length = named.iter().position(|byte| *byte == b'/');
        Some((start, length.map_or(self.len, |length| start + length)))
    }

    /// A part of the path as a C string. Until [`restore`](Self::restore) the path ends there.
    fn slice(&mut self, start: usize, end: usize) -> Result<&CStr, Errno> {
        *self.bytes.get_mut(end).ok_or(Errno::NAMETOOLONG)? = 0;
        let part = self.bytes.get(start..=end).ok_or(Errno::NAMETOOLONG)?;
        CStr::from_bytes_with_nul(part).map_err(|_| Errno::INVAL)
    }

    /// Undoes [`slice`](Self::slice).
    fn restore(&mut self, end: usize) {
        if end < self.len
            && let Some(byte) = self.bytes.get_mut(end)
        {
            *byte = b'/';
        }
    }

    fn first_missing(&mut self, root: BorrowedFd<'_>) -> Result<Option<Missing>, Errno> {
        let mut parent = beneath(root, c"/")?;
        let mut from = 0;
        while let Some((start, end)) = self.component(from) {
            let found = beneath(root, self.slice(0, end)?);
            self.restore(end);
            match found {
                Ok(found) => parent = found,
                Err(Errno::NOENT) => return Ok(Some(Missing { parent, start, end })),
                Err(errno) => return Err(errno),
            }
            from = end;
        }
        Ok(None)
    }

    /// Puts the target of a link in place of the component between `start` and `end`.
    fn replace(&mut self, start: usize, end: usize, target: &[u8]) -> Result<(), Errno> {
        let start = if target.first() == Some(&b'/') { 0 } else { start };
        let n_rest = self.len - end;
        let after = start + target.len();
        if after + n_rest >= LONGEST_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.copy_within(end..self.len, after);
        let place = self.bytes.get_mut(start..after).ok_or(Errno::NAMETOOLONG)?;
        place.copy_from_slice(target);
        self.len = after + n_rest;
        Ok(())
    }
}

/// The kernel's longest path, with its end.
const LONGEST_PATH: usize = 4096;

/// More links than the kernel follows plus more names than a sane path has; ends a loop of links.
const MOST_TURNS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, cut: (usize, usize), target: &str, expected: &str) {
        let mut path = Path::new(path.as_bytes()).unwrap();
        path.replace(cut.0, cut.1, target.as_bytes()).unwrap();
        assert_eq!(&path.bytes[..path.len], expected.as_bytes());
    }

    #[test]
    fn an_absolute_link_starts_over_and_a_relative_one_stays() {
        check("/etc/resolv.conf", (5, 16), "../run/r", "/etc/../run/r");
        check("/var/run/x", (5, 8), "/run", "/run/x");
    }

    #[test]
    fn components_are_found_between_any_number_of_slashes() {
        let path = Path::new(b"//a//bc/").unwrap();
        assert_eq!(path.component(0), Some((2, 3)));
        assert_eq!(path.component(3), Some((5, 7)));
        assert_eq!(path.component(7), None);
    }

    #[test]
    fn a_path_at_the_limit_is_refused() {
        assert!(Path::new(&[b'a'; LONGEST_PATH]).is_err());
    }
}
