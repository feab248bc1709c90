//! Sockets of steps that share a directory with others get their addresses from the builder.
//!
//! An address that is a path makes a file, and who can reach that file can connect and be handed
//! descriptors. Where the path leads is not asked first and acted upon later, for a step can change
//! that in between. The builder binds the very socket to the very address in a copy of the step's
//! mounts, in which nothing can be made in what is shared: there the kernel refuses, wherever the
//! path has come to lead. Only then the socket gets another place ([`apart`](super::apart)).
//!
//! Sockets of other families are bound here, too, for the number of a socket may stand for another
//! one at any time.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;

use super::caller::Caller;
use super::rights::aside;
use super::{Supervisor, low};
use crate::sys::{self, Request};

/// Answers `bind`.
pub(super) fn answer(supervisor: &Supervisor<'_>, request: &Request) -> Result<(), Errno> {
    let caller = Caller::open(request.process)?;
    let [number, at, length, ..] = request.arguments;
    bind((supervisor, request), &caller, (low(number), at, low(length)))
}

/// Answers `bind` of 32-bit programs whose arguments lie in memory.
pub(super) fn answer_distant(supervisor: &Supervisor<'_>, request: &Request) -> Result<(), Errno> {
    let caller = Caller::open(request.process)?;
    let [number, at, length] = caller.words(low(request.arguments[1]).into())?;
    bind((supervisor, request), &caller, (number, at.into(), length))
}

fn bind(
    (supervisor, request): (&Supervisor<'_>, &Request),
    caller: &Caller,
    (number, at, length): (u32, u64, u32),
) -> Result<(), Errno> {
    let socket = caller.opened(request.process, number)?;
    let family = socket_domain(&socket)?;
    let length = usize::try_from(length).map_err(|_| Errno::INVAL)?;
    let (bytes, length) = caller.bytes::<LONGEST_ADDRESS>(at, length)?;
    let address = &bytes[..length];
    let rights = caller.rights()?;
    let path = path(address).filter(|_| family == AddressFamily::UNIX);
    let (directory, path) = path.map_or((None, None), |path| match through(path) {
        Some((directory, rest)) => (Some(directory), Some(rest)),
        None => (None, Some(path)),
    });
    let shortened = path.filter(|_| directory.is_some()).map(address_of);
    let address = shortened.as_deref().unwrap_or(address);
    let place = path.map(|path| caller.place(path, directory)).transpose();
    let place = place.map_err(|errno| if errno == Errno::BADF { Errno::NOENT } else { errno })?;
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(supervisor.listener.as_fd(), request)?;
    let socket = socket.as_fd();
    match (path, place) {
        (Some(path), Some(place)) => {
            let apart = supervisor.apart.as_ref().ok_or(Errno::PERM)?;
            apart.bind((socket, address), path, (&place, &rights))
        }
        _ => aside(|| rights.enter().and_then(|()| sys::bind(socket, address))),
    }
}

/// The path in an address, if it is one of the Unix family: a name without a file begins with a zero.
fn path(address: &[u8]) -> Option<&[u8]> {
    let path = address.get(size_of::<libc::sa_family_t>()..)?;
    let path = path.split(|byte| *byte == 0).next()?;
    (!path.is_empty()).then_some(path)
}

/// A path through a directory that its process has open, as the number of that and the rest:
/// programs name sockets so whose paths would be too long. No link of `/proc` is followed for them.
fn through(path: &[u8]) -> Option<(i32, &[u8])> {
    let rest = |prefix: &[u8]| path.strip_prefix(prefix);
    let (directory, rest) = if let Some(rest) = rest(b"/proc/self/cwd/") {
        (libc::AT_FDCWD, rest)
    } else {
        let rest = rest(b"/proc/self/fd/").or_else(|| rest(b"/dev/fd/"))?;
        let end = rest.iter().position(|byte| *byte == b'/')?;
        let number = std::str::from_utf8(&rest[..end]).ok()?.parse::<u16>().ok()?;
        (number.into(), &rest[end + 1..])
    };
    let rest = &rest[rest.iter().position(|byte| *byte != b'/')?..];
    Some((directory, rest))
}

/// The address of the Unix family with a path.
fn address_of(path: &[u8]) -> Vec<u8> {
    let family = AddressFamily::UNIX.as_raw().to_ne_bytes();
    [&family, path, &[0]].concat()
}

/// `struct sockaddr_storage`: the kernel takes nothing longer.
const LONGEST_ADDRESS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_through_an_open_directory_is_relative_to_it() {
        assert_eq!(through(b"/proc/self/fd/7/a/b"), Some((7, &b"a/b"[..])));
        assert_eq!(through(b"/dev/fd/0//a"), Some((0, &b"a"[..])));
        assert_eq!(through(b"/proc/self/cwd/a"), Some((libc::AT_FDCWD, &b"a"[..])));
        for path in [&b"/proc/self/fd/7"[..], b"/dev/fd/x/a", b"/dev/fd/7/", b"/proc/self/fd/a"] {
            assert_eq!(through(path), None);
        }
    }

    #[test]
    fn a_path_ends_at_a_zero_or_with_its_address() {
        assert_eq!(path(b"\x01\0/a/b"), Some(&b"/a/b"[..]));
        assert_eq!(path(b"\x01\0/a\0b"), Some(&b"/a"[..]));
        assert_eq!(path(b"\x01\0\0name"), None);
        assert_eq!(path(b"\x01\0"), None);
        assert_eq!(path(b""), None);
    }
}
