//! Answers to system calls that the filter of a step announces instead of letting them run.
//!
//! What is done for a process is done by a thread in its place, with no more than its rights.

mod caller;
mod devices;
mod sockets;

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::seccomp::{self, Announced};
use crate::sys::{self, Request};

/// Whoever answers for one step.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    /// Where the kernel announces calls.
    pub(crate) listener: OwnedFd,
    /// The attribute of files that stand for devices.
    pub(crate) attribute: &'a [u8],
}

impl Supervisor<'_> {
    /// Answers a call if one waits; whether there will be more.
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
        let answer = self.serve(&request);
        match sys::answer_request(self.listener.as_fd(), &request, answer) {
            Err(Errno::NOENT) => Ok(()),
            answered => answered,
        }
    }

    fn serve(&self, request: &Request) -> Result<i64, Errno> {
        match seccomp::announced(request.architecture, request.number) {
            Some(Announced::Device { mode }) => devices::make(self, request, mode).map(|()| 0),
            Some(Announced::Socket) => sockets::open(self, request),
            None => Err(Errno::NOSYS),
        }
    }
}

/// The half of an argument that the kernel looks at where it takes an `int`.
#[expect(clippy::cast_possible_truncation, reason = "the other half means nothing")]
fn low(argument: u64) -> u32 {
    argument as u32
}
