//! The process namespace around all steps of a builder.
//!
//! Its first process is one of ours, which does nothing but die with the builder. When it is gone
//! the kernel kills all that is in the namespace, the process namespaces of steps included. No
//! program of a step can get out of that: not by becoming another user, and not by clearing its
//! own death signal. The builder stays outside, so that its processes keep their numbers.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::below::Below;
use crate::enter::is_split;
use crate::idmap::IdMap;
use crate::sys;

/// Where steps are started.
#[derive(Debug)]
pub(crate) struct Nest {
    /// Whose it is.
    owner: Pid,
    /// The first process of the namespace.
    keeper: OwnedFd,
    /// Where steps have ids apart from those of the machine.
    below: Option<Below>,
    /// How many ids they have.
    ownership: Ownership,
}

/// Who says whose the files of steps are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ownership {
    /// The kernel.
    #[default]
    Kept,
    /// We: the kernel knows one user here.
    Emulated,
}

impl Nest {
    /// Makes the namespace and its first process, which lives as long as the calling thread, in a
    /// user namespace with the ids `ids`. Only while there is one thread.
    pub(crate) fn new(ids: &IdMap) -> Result<Self, Errno> {
        let ownership = if ids.is_single() { Ownership::Emulated } else { Ownership::Kept };
        let below = is_split(ids).then(|| Below::new(ids)).transpose()?;
        let builder = pidfd_open(getpid(), PidfdFlags::empty())?;
        match sys::fork_into_process_namespace()? {
            Some(keeper) => Ok(Self { owner: getpid(), keeper, below, ownership }),
            None => keep(&builder),
        }
    }

    /// Has processes that this thread makes from now on begin in the namespace. It can start no
    /// threads any more.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        move_into_thread_name_spaces(self.keeper.as_fd(), ThreadNameSpaceType::PROCESS_ID)
    }

    /// Who says whose the files of steps are.
    pub(crate) fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// The user namespaces below, where there are some.
    pub(crate) fn below(&self) -> Option<&Below> {
        self.below.as_ref()
    }

    /// Ends all that is in the namespace, unless this is a copy in a process that was forked.
    pub(crate) fn end(&self) {
        if getpid() == self.owner {
            sys::end_unknown_child(self.keeper.as_fd());
        }
    }

    /// Whether nothing can be started any more, because somebody killed the first process.
    pub(crate) fn is_lost(&self) -> bool {
        has_ended(&self.keeper)
    }
}

/// The life of the first process.
fn keep(builder: &OwnedFd) -> ! {
    // The builder may have ended before its death was watched. Without its descriptors nobody who
    // reads what it prints waits for this process.
    let is_bound = sys::die_with_parent().is_ok() && !has_ended(builder);
    if is_bound && sys::close_from(0).is_ok() {
        sys::sleep_for_good();
    }
    sys::exit_now(1)
}

impl Drop for Nest {
    /// Who takes up orphans need not be one that waits for them: containers have such.
    fn drop(&mut self) {
        self.end();
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)) != Ok(0)
}
