//! Watching a running step: output, cancel, time, end.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::cancel::Cancel;
use crate::outcome::Outcome;
use crate::output::{Output, Stream};
use crate::spawn::Child;
use crate::supervisor::{Attended, Supervisor};

/// A running step and those who care about it.
pub(crate) struct Watch<'a> {
    pub(crate) child: &'a Child,
    pub(crate) pipes: [(Stream, Option<OwnedFd>); 2],
    /// Who answers the system calls that the filter announces.
    pub(crate) supervisor: Option<Supervisor<'a>>,
    pub(crate) output: &'a dyn Output,
    pub(crate) cancel: &'a Cancel,
    pub(crate) deadline: Option<Instant>,
    pub(crate) grace: Duration,
    /// Why the step is being stopped, and when it is killed.
    pub(crate) stopping: Option<(Outcome, Option<Instant>)>,
}

impl Watch<'_> {
    /// Waits until the first process of the step, and with it all others, is gone, and all it
    /// printed is delivered.
    pub(crate) fn until_end(mut self) -> Result<Outcome, Errno> {
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            let ready = self.wait()?;
            for index in 0..self.pipes.len() {
                self.pump(index, &mut buffer)?;
            }
            self.attend()?;
            if ready == Ready::Ended {
                let outcome = self.reap()?;
                self.drain(&mut buffer)?;
                return Ok(outcome);
            }
            if ready == Ready::Cancelled {
                self.stop(Outcome::Cancelled)?;
            }
            self.check_time()?;
        }
    }

    /// Does what the step leaves to its builder.
    fn attend(&mut self) -> Result<(), Errno> {
        let Some(supervisor) = &self.supervisor else { return Ok(()) };
        match supervisor.attend()? {
            Attended::Fully => {}
            Attended::ForGood => self.supervisor = None,
            Attended::Awaited => {
                self.stopping.get_or_insert((Outcome::MadeDevice, None));
                self.signal(self.child.end)?;
            }
        }
        Ok(())
    }

    /// Sleeps until something happens.
    fn wait(&self) -> Result<Ready, Errno> {
        let mut polled = Vec::with_capacity(5);
        polled.push(PollFd::new(&self.child.pidfd, PollFlags::IN));
        if self.stopping.is_none() {
            polled.push(PollFd::new(self.cancel, PollFlags::IN));
        }
        let open = self.pipes.iter().filter_map(|(_, pipe)| pipe.as_ref());
        polled.extend(open.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let supervisor = self.supervisor.iter().map(|supervisor| &supervisor.listener);
        polled.extend(supervisor.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let timeout = self.next_moment().map(remaining);
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let has_ended = !polled[0].revents().is_empty();
        let is_cancelled = self.stopping.is_none() && !polled[1].revents().is_empty();
        Ok(match (has_ended, is_cancelled) {
            (true, _) => Ready::Ended,
            (false, true) => Ready::Cancelled,
            (false, false) => Ready::Other,
        })
    }

    fn next_moment(&self) -> Option<Instant> {
        match self.stopping {
            Some((_, kill_at)) => kill_at,
            None => self.deadline,
        }
    }

    fn check_time(&mut self) -> Result<(), Errno> {
        let now = Instant::now();
        match self.stopping {
            None if self.deadline.is_some_and(|deadline| deadline <= now) => {
                self.stop(Outcome::TimedOut)
            }
            Some((why, Some(kill_at))) if kill_at <= now => {
                self.stopping = Some((why, None));
                self.signal(self.child.end)
            }
            _ => Ok(()),
        }
    }

    /// Asks the step to end if it listens, else ends it.
    fn stop(&mut self, why: Outcome) -> Result<(), Errno> {
        if self.child.end != Signal::KILL || handles_termination(self.child) {
            self.stopping = Some((why, Some(Instant::now() + self.grace)));
            self.signal(Signal::TERM)
        } else {
            self.stopping = Some((why, None));
            self.signal(self.child.end)
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), Errno> {
        match pidfd_send_signal(&self.child.pidfd, signal) {
            // It ended by itself meanwhile.
            Err(Errno::SRCH) | Ok(()) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn reap(&self) -> Result<Outcome, Errno> {
        let status = status_of(self.child)?;
        Ok(self.stopping.map_or(status, |(why, _)| why))
    }

    /// Delivers what is left in the pipes. Their writers are dead, but for one that got a
    /// descriptor out of the step, and that one is not waited for.
    fn drain(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        for index in 0..self.pipes.len() {
            while self.pump(index, buffer)? {}
        }
        Ok(())
    }

    /// Delivers one bufferful of a pipe, if there is any.
    fn pump(&mut self, index: usize, buffer: &mut [u8]) -> Result<bool, Errno> {
        let (stream, pipe) = &mut self.pipes[index];
        let Some(open) = pipe else {
            return Ok(false);
        };
        match rustix::io::read(open.as_fd(), &mut *buffer) {
            Ok(0) => {
                *pipe = None;
                Ok(false)
            }
            Ok(n_read) => {
                self.output.write(*stream, &buffer[..n_read]);
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(Errno::INTR) => Ok(true),
            Err(errno) => Err(errno),
        }
    }
}

/// What woke the watch.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ready {
    /// The step has ended.
    Ended,
    /// It is to be cancelled.
    Cancelled,
    /// Output, or time.
    Other,
}

/// Waits for the end of a child and takes its status.
fn status_of(child: &Child) -> Result<Outcome, Errno> {
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) | Ok(None) => {}
            Err(errno) => return Err(errno),
            Ok(Some(status)) => {
                let signaled = status.terminating_signal().map(Outcome::Signaled);
                let exited = status.exit_status().map(Outcome::Exited);
                return exited.or(signaled).ok_or(Errno::CHILD);
            }
        }
    }
}

/// Whether `SIGTERM` would mean anything to the first process of a step: the kernel drops it for
/// the first process of a namespace that has no handler.
fn handles_termination(child: &Child) -> bool {
    let status = number_of(child).map(|number| format!("/proc/{number}/status"));
    let status = status.and_then(|path| std::fs::read_to_string(path).ok());
    // Without an answer it is asked to end and killed after its grace.
    status.is_none_or(|status| catches(&status, Signal::TERM))
}

/// The number that `/proc` has for a child.
pub(crate) fn number_of(child: &Child) -> Option<u32> {
    let path = format!("/proc/self/fdinfo/{}", child.pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    number.trim().parse().ok()
}

/// Whether `/proc/PID/status` lists a handler for a signal.
fn catches(status: &str, signal: Signal) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

fn remaining(until: Instant) -> Timespec {
    let left = until.saturating_duration_since(Instant::now());
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}

/// The size of a pipe.
const BUFFER_SIZE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_read_from_the_mask_of_caught_signals() {
        let status = "Name:\tsh\nSigIgn:\t0000000000004000\nSigCgt:\t0000000000010002\n";
        assert!(!catches(status, Signal::TERM));
        assert!(catches(status, Signal::INT));
    }
}
