//! A switch that stops steps from any thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

/// A switch that stops every step it was given to. Clones share one state; it stays on.
#[derive(Clone, Debug)]
pub struct Cancel {
    event: Arc<OwnedFd>,
    /// What is readable when this switch or the one above it is on, where there is one above.
    either: Option<Arc<OwnedFd>>,
}

impl Cancel {
    /// A switch that is off.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event: Arc::new(event), either: None })
    }

    /// A switch that is on when this one is, and can be thrown without it.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    pub fn below(&self) -> io::Result<Self> {
        let below = Self::new()?;
        let either = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // The kernel forgets one that is closed: a switch that nobody holds is thrown by nobody.
        for switch in [self.as_fd(), below.as_fd()] {
            epoll::add(&either, switch, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Self { either: Some(Arc::new(either)), ..below })
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
        let switch = self.as_fd();
        let mut event = [PollFd::new(&switch, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut event, Some(&now)), Ok(1..))
    }
}

impl AsFd for Cancel {
    /// Becomes and stays readable when the switch is on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.either.as_ref().unwrap_or(&self.event).as_fd()
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

    #[test]
    fn a_switch_goes_on_with_the_one_above_it_and_not_the_other_way_round() {
        let above = Cancel::new().unwrap();
        let [one, other] = [(); 2].map(|()| above.below().unwrap());
        one.cancel();
        assert!(one.is_cancelled() && !above.is_cancelled() && !other.is_cancelled());
        let lowest = other.below().unwrap();
        above.cancel();
        assert!(other.is_cancelled() && lowest.is_cancelled());
    }
}
