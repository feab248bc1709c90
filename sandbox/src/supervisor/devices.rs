//! Device nodes that a step makes.
//!
//! The kernel lets no user namespace make one. What is made is a plain file in the place of the
//! node, as the step would have made it, with an attribute that says which device it stands for.
//! Who reads the changes of the step finds it there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, XattrFlags, fsetxattr, fstat, major, minor, openat, statat, unlinkat,
};
use rustix::io::Errno;

use super::caller::{self, Caller};
use super::{Supervisor, low};
use crate::sys::{self, Request};

/// A device to be made.
struct Node {
    path: Vec<u8>,
    mode: u32,
    number: u64,
}

/// Makes the device that a process asks for; `at` is the argument with its mode.
pub(super) fn make(supervisor: &Supervisor<'_>, request: &Request, at: usize) -> Result<(), Errno> {
    let caller = Caller::open(request.process)?;
    let path = caller.text(request.arguments[at - 1])?;
    // Only `mknodat` has a directory before the path.
    let directory = (at == 2).then(|| low(request.arguments[0]).cast_signed());
    let place = caller.place(&path, directory)?;
    let mode = low(request.arguments[at]);
    let node = Node { path, mode, number: low(request.arguments[at + 1]).into() };
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(supervisor.listener.as_fd(), request)?;
    // The mark of something deleted: the kernel refuses those on the file system of a step.
    if !caller.may_make_devices() || node.number == 0 {
        return Err(Errno::PERM);
    }
    // A thread of its own, for it takes the place of the process and does not come back.
    std::thread::scope(|scope| {
        let made = scope.spawn(|| place.enter().and_then(|()| node.keep(supervisor.attribute)));
        made.join().unwrap_or(Err(Errno::PERM))
    })
}

impl Node {
    /// Makes the file, in the place of the process that asked. From the directory on everything
    /// goes by descriptor: whatever the step puts in the way meanwhile is not touched.
    fn keep(&self, attribute: &[u8]) -> Result<(), Errno> {
        let (parent, name) = caller::parent(&self.path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, name, flags, Mode::from_raw_mode(self.mode & 0o7777))?;
        let marked = fsetxattr(&made, attribute, &self.value(), XattrFlags::CREATE);
        marked.map_err(|_| {
            // What the file system cannot keep is not made at all.
            if is_still(&parent, name, &made) {
                let _ = unlinkat(&parent, name, AtFlags::empty());
            }
            Errno::PERM
        })
    }

    /// The device as `c MAJOR:MINOR` or `b MAJOR:MINOR`.
    fn value(&self) -> Vec<u8> {
        let kind = if self.mode & libc::S_IFMT == libc::S_IFBLK { 'b' } else { 'c' };
        format!("{kind} {}:{}", major(self.number), minor(self.number)).into_bytes()
    }
}

/// Whether a name still is that of a file.
fn is_still(parent: &OwnedFd, name: &[u8], file: &OwnedFd) -> bool {
    let (named, opened) = (statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), fstat(file));
    matches!((named, opened), (Ok(named), Ok(opened))
        if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino))
}
