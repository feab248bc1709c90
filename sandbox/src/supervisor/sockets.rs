//! Sockets that 32-bit programs open through `socketcall`.
//!
//! Which family they ask for lies in their memory, where no filter can look, and where it may
//! change between a look and the call. So the numbers are read once, and the socket is opened here.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::caller::Caller;
use super::rights::aside;
use super::{Supervisor, low};
use crate::seccomp;
use crate::sys::{self, Request};

/// Opens the socket that a process asks for, and returns its number there.
pub(super) fn open(supervisor: &Supervisor<'_>, request: &Request) -> Result<i64, Errno> {
    let caller = Caller::open(request.process)?;
    let [family, kind, protocol] = caller.words(low(request.arguments[1]).into())?;
    let surroundings = caller.surroundings()?;
    let listener = supervisor.listener.as_fd();
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(listener, request)?;
    if seccomp::refuses_family(family) {
        return Err(Errno::PERM);
    }
    // A thread of its own, for it gives up what the process does not have.
    let opened = aside(|| surroundings.enter().and_then(|()| sys::socket(family, kind, protocol)));
    let flags = kind & libc::SOCK_CLOEXEC.cast_unsigned();
    sys::hand_to_caller(listener, request, opened?.as_fd(), flags)
}
