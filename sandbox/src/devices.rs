//! Device nodes that a step makes.
//!
//! The kernel lets no user namespace make one. The filter announces the attempts of a step to its
//! builder, which makes a plain file in the place of the node, as the step would have made it, and
//! writes into an attribute of the file which device it stands for. Who reads the changes of the
//! step finds it there.

mod caller;

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    AtFlags, Mode, OFlags, XattrFlags, fsetxattr, fstat, major, minor, openat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::seccomp;
use crate::sys::{self, Request};
use caller::Caller;

/// Whoever makes the devices of one step.
#[derive(Debug)]
pub(crate) struct Devices<'a> {
    /// Where the kernel announces attempts.
    pub(crate) listener: OwnedFd,
    /// The attribute of files that stand for devices.
    pub(crate) attribute: &'a [u8],
}

/// A device to be made.
struct Node {
    path: Vec<u8>,
    mode: u32,
    number: u64,
}

impl Devices<'_> {
    /// Answers an attempt if one waits; whether there will be more.
    pub(crate) fn attend(&self) -> Result<bool, Errno> {
        let mut polled = [PollFd::new(&self.listener, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&at_once)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let events = polled[0].revents();
        if events.contains(PollFlags::IN) {
            self.answer()?;
        }
        Ok(!events.contains(PollFlags::HUP))
    }

    fn answer(&self) -> Result<(), Errno> {
        let request = match sys::next_request(self.listener.as_fd()) {
            // Who asked was killed meanwhile.
            Err(Errno::NOENT | Errno::INTR) => return Ok(()),
            request => request?,
        };
        let made = self.make(&request);
        match sys::answer_request(self.listener.as_fd(), &request, made) {
            Err(Errno::NOENT) => Ok(()),
            answered => answered,
        }
    }

    fn make(&self, request: &Request) -> Result<(), Errno> {
        let at = seccomp::device_mode(request.architecture, request.number).ok_or(Errno::NOSYS)?;
        let caller = Caller::open(request.process)?;
        let path = caller.text(request.arguments[at - 1])?;
        // Only `mknodat` has a directory before the path.
        let directory = (at == 2).then(|| low(request.arguments[0]).cast_signed());
        let place = caller.place(&path, directory)?;
        let mode = low(request.arguments[at]);
        let node = Node { path, mode, number: low(request.arguments[at + 1]).into() };
        // Until here the process may have ended, and its number may mean another one.
        sys::is_waiting(self.listener.as_fd(), request)?;
        // The mark of something deleted: the kernel refuses those on the file system of a step.
        if !caller.may_make_devices() || node.number == 0 {
            return Err(Errno::PERM);
        }
        // A thread of its own, for it takes the place of the process and does not come back.
        std::thread::scope(|scope| {
            let made = scope.spawn(|| place.enter().and_then(|()| self.keep(&node)));
            made.join().unwrap_or(Err(Errno::PERM))
        })
    }

    /// Makes the file, in the place of the process that asked. From the directory on everything
    /// goes by descriptor: whatever the step puts in the way meanwhile is not touched.
    fn keep(&self, node: &Node) -> Result<(), Errno> {
        let (parent, name) = caller::parent(&node.path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, name, flags, Mode::from_raw_mode(node.mode & 0o7777))?;
        let marked = fsetxattr(&made, self.attribute, &node.value(), XattrFlags::CREATE);
        marked.map_err(|_| {
            // What the file system cannot keep is not made at all.
            if is_still(&parent, name, &made) {
                let _ = unlinkat(&parent, name, AtFlags::empty());
            }
            Errno::PERM
        })
    }
}

/// Whether a name still is that of a file.
fn is_still(parent: &OwnedFd, name: &[u8], file: &OwnedFd) -> bool {
    let (named, opened) = (statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), fstat(file));
    matches!((named, opened), (Ok(named), Ok(opened))
        if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino))
}

impl Node {
    /// The device as `c MAJOR:MINOR` or `b MAJOR:MINOR`.
    fn value(&self) -> Vec<u8> {
        let kind = if self.mode & libc::S_IFMT == libc::S_IFBLK { 'b' } else { 'c' };
        format!("{kind} {}:{}", major(self.number), minor(self.number)).into_bytes()
    }
}

/// The half of an argument that the kernel looks at where it takes an `int`.
#[expect(clippy::cast_possible_truncation, reason = "the other half means nothing")]
fn low(argument: u64) -> u32 {
    argument as u32
}
