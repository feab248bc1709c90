//! Files that a call names, opened here without using them.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Statx, StatxFlags, statx};
use rustix::io::Errno;

use super::caller::{Caller, End};
use super::low;
use crate::seccomp::Link;
use crate::sys::Request;

/// Opens the file whose path is that argument, or what is open under that number.
pub(super) fn open(
    caller: &Caller,
    request: &Request,
    path: usize,
    link: Link,
) -> Result<OwnedFd, Errno> {
    let number = |at: usize| low(request.arguments[at]);
    let flags = if let Link::Said(at) = link { number(at) } else { 0 };
    let end = match link {
        Link::Nowhere => return caller.descriptor(number(path)),
        Link::Meant => End::Meant,
        Link::Said(_) if flags & libc::AT_SYMLINK_NOFOLLOW.cast_unsigned() != 0 => End::Meant,
        Link::Followed | Link::Said(_) => End::Followed,
    };
    let may_be_empty = flags & libc::AT_EMPTY_PATH.cast_unsigned() != 0;
    let text = match request.arguments[path] {
        0 if may_be_empty => Vec::new(),
        address => caller.text(address)?,
    };
    let directory = (path == 1).then(|| number(0).cast_signed());
    match directory {
        Some(libc::AT_FDCWD) if text.is_empty() && may_be_empty => {
            caller.find(b".", directory, End::Followed)
        }
        Some(opened) if text.is_empty() && may_be_empty => {
            caller.descriptor(opened.cast_unsigned())
        }
        _ => caller.find(&text, directory, end),
    }
}

/// What is known of a file that is open.
pub(super) fn stat(file: &OwnedFd) -> Result<Statx, Errno> {
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}
