//! A switch that stops steps from any thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A switch that stops every step it was given to. Clones share one state; it stays on.
#[derive(Clone, Debug)]
pub struct Cancel {
    event: Arc<OwnedFd>,
}

impl Cancel {
    /// A switch that is off.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event: Arc::new(event) })
    }

    /// Stops all steps that hold this switch, running and future ones.
    pub fn cancel(&self) {
        // The only error is a full counter, and then the switch is on already.
        if let Err(errno) = rustix::io::write(&*self.event, &1u64.to_ne_bytes()) {
            tracing::debug!(%errno, "cancel switch written more often than it counts");
        }
    }

    /// Whether the switch is on.
    pub fn is_cancelled(&self) -> bool {
        let mut event = [PollFd::new(&*self.event, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut event, Some(&now)), Ok(1..))
    }
}

impl AsFd for Cancel {
    /// Becomes and stays readable when the switch is on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_switch_that_stays_on() {
        let first = Cancel::new().unwrap();
        let second = first.clone();
        assert!(!second.is_cancelled());
        first.cancel();
        first.cancel();
        assert!(second.is_cancelled());
        assert!(second.is_cancelled());
    }
}
