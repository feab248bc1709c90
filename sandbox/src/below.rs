//! User namespaces below that of a builder that is root of the machine.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::enter::{below_for_programs, below_for_steps, write_maps};
use crate::idmap::IdMap;
use crate::sys;

/// Where those live who are not the builder.
#[derive(Debug)]
pub(crate) struct Below {
    steps: OwnedFd,
    programs: OwnedFd,
}

impl Below {
    /// Makes the namespaces below one with the ids `ids`. Only while there is one thread.
    pub(crate) fn new(ids: &IdMap) -> Result<Self, Errno> {
        let (steps, programs) = (below_for_steps(), below_for_programs(ids));
        Ok(Self { steps: namespace(&steps)?, programs: namespace(&programs)? })
    }

    /// That of steps, which has their ids alone.
    pub(crate) fn steps(&self) -> BorrowedFd<'_> {
        self.steps.as_fd()
    }

    /// That of programs of the machine, where ids have the numbers that they have there.
    pub(crate) fn programs(&self) -> BorrowedFd<'_> {
        self.programs.as_fd()
    }
}

/// A new user namespace. It lives as long as the descriptor.
fn namespace(ids: &IdMap) -> Result<OwnedFd, Errno> {
    let Some(first) = sys::fork()? else { settle() };
    let ended = waitpid(Some(first), WaitOptions::UNTRACED)?;
    let status = ended.map(|(_, status)| status).ok_or(Errno::CHILD)?;
    if !status.stopped() {
        return Err(status.exit_status().map_or(Errno::CHILD, Errno::from_raw_os_error));
    }
    let made = opened(first, ids);
    kill_process(first, Signal::KILL)?;
    waitpid(Some(first), WaitOptions::empty())?;
    made
}

/// The life of its first process: it stops where it is, so that its maps can be written.
fn settle() -> ! {
    let settled = sys::unshare(libc::CLONE_NEWUSER).and_then(|()| sys::die_with_parent());
    // Else the namespace could be looked for by nobody. There is no step yet to look at this copy.
    let settled = settled.and_then(|()| sys::show_memory());
    let settled = settled.and_then(|()| kill_process(rustix::process::getpid(), Signal::STOP));
    sys::exit_now(settled.err().map_or(0, Errno::raw_os_error))
}

fn opened(first: Pid, ids: &IdMap) -> Result<OwnedFd, Errno> {
    write_maps(first, ids)?;
    let path = format!("/proc/{}/ns/user", first.as_raw_nonzero());
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
