//! Processes of a step as the kernel tells of them in `/proc`, read without allocating, and signals to them.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{Uid, set_thread_res_uid};

/// A process that is not taken note of before it is forgotten here, so that its number stays its own.
pub(super) struct Process {
    pid: Pid,
    status: [u8; STATUS],
    length: usize,
}

impl Process {
    /// Shows all that there are.
    pub(super) fn each(mut see: impl FnMut(&Self)) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(processes) = openat(CWD, c"/proc", flags, Mode::empty()) else { return };
        let mut space = [MaybeUninit::uninit(); LISTED];
        let mut listed = RawDir::new(&processes, &mut space);
        while let Some(Ok(entry)) = listed.next() {
            let pid = number(entry.file_name().to_bytes(), 10).and_then(pid);
            if let Some(process) = pid.and_then(|pid| Self::read(processes.as_fd(), pid)) {
                see(&process);
            }
        }
    }

    /// The one that a descriptor is of.
    pub(super) fn of_pidfd(pidfd: BorrowedFd<'_>) -> Option<Self> {
        let mut text = [0; STATUS];
        let mut space = [0; DIGITS];
        let name = [b"/proc/self/fdinfo/", digits(pidfd.as_raw_fd(), &mut space)?].into_iter();
        let length = content(CWD, name, &mut text)?;
        let pid = words(text.get(..length)?, b"Pid:").next()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let processes = openat(CWD, c"/proc", flags, Mode::empty()).ok()?;
        Self::read(processes.as_fd(), number(pid, 10).and_then(self::pid)?)
    }

    fn read(processes: BorrowedFd<'_>, pid: Pid) -> Option<Self> {
        let mut status = [0; STATUS];
        let mut space = [0; DIGITS];
        let name = [digits(pid.as_raw_nonzero().get(), &mut space)?, b"/status"].into_iter();
        let length = content(processes, name, &mut status)?;
        Some(Self { pid, status, length })
    }

    fn words(&self, key: &[u8]) -> impl Iterator<Item = &[u8]> {
        words(self.status.get(..self.length).unwrap_or(&[]), key)
    }

    pub(super) fn parent(&self) -> Option<Pid> {
        self.words(b"PPid:").next().and_then(|word| number(word, 10)).and_then(pid)
    }

    /// Whether a signal is nothing to it.
    pub(super) fn ignores(&self, signal: Signal) -> bool {
        let mask = self.words(b"SigIgn:").next().and_then(|word| number(word, 16));
        mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
    }

    /// Sends a signal to it, if it has not ended. Root that lacks `CAP_KILL`, as in a container that is left what an image takes to
    /// build and no more, may send them to itself only, and is for that moment whom the process began as. Nobody gets into this
    /// process by that, for its real and saved user stay root.
    pub(super) fn send(&self, signal: Signal) {
        if kill_process(self.pid, signal) != Err(Errno::PERM) {
            return;
        }
        let user = self.words(b"Uid:").next().and_then(|word| number(word, 10));
        let Some(user) = user.and_then(|user| u32::try_from(user).ok()) else { return };
        if set_thread_res_uid(Uid::ROOT, Uid::from_raw(user), Uid::ROOT).is_ok() {
            // It may be somebody else by now: whoever wants it gone looks again.
            let _ = kill_process(self.pid, signal);
            let _ = set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT);
        }
    }
}

/// The words behind a key, which begins a line. The kernel writes no other line that begins so, whatever name a process has: what
/// would end a line is escaped there.
fn words<'t>(text: &'t [u8], key: &[u8]) -> impl Iterator<Item = &'t [u8]> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(key)).unwrap_or(&[]);
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Reads a file whose path is given in pieces, as far as there is room.
fn content<'p>(
    below: BorrowedFd<'_>,
    pieces: impl Iterator<Item = &'p [u8]>,
    text: &mut [u8],
) -> Option<usize> {
    let mut path = [0; LONGEST_PATH];
    let mut end = 0;
    for piece in pieces {
        path.get_mut(end..end + piece.len())?.copy_from_slice(piece);
        end += piece.len();
    }
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(below, path, flags, Mode::empty()).ok()?;
    rustix::io::read(&file, text).ok()
}

/// A number in digits.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// The digits of a number that is not negative.
fn digits(number: i32, space: &mut [u8; DIGITS]) -> Option<&[u8]> {
    let mut rest = u32::try_from(number).ok()?;
    let mut start = space.len();
    loop {
        start = start.checked_sub(1)?;
        *space.get_mut(start)? = b'0' + u8::try_from(rest % 10).ok()?;
        rest /= 10;
        if rest == 0 {
            return space.get(start..);
        }
    }
}

fn pid(number: u64) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Room for some entries of a directory.
const LISTED: usize = 4096;

/// The digits of the largest number of 32 bits.
const DIGITS: usize = 10;

/// Room for a directory of `/proc`, the digits of a number, and the name of a file.
const LONGEST_PATH: usize = 64;

/// Room for what `/proc` says of a process, with some hundreds of groups.
const STATUS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Process {
        let mut status = [0; STATUS];
        status[..text.len()].copy_from_slice(text.as_bytes());
        Process { pid: rustix::process::getpid(), status, length: text.len() }
    }

    #[test]
    fn the_parent_is_read_whatever_name_a_process_has() {
        let named = told("Name:\tPPid:\\t1 \\nPPid: 1\nPPid:\t42\nUid:\t7\t0\t0\t0\n");
        assert_eq!(named.parent().map(|pid| pid.as_raw_nonzero().get()), Some(42));
        assert_eq!(told("Name:\tsh\n").parent(), None);
        assert_eq!(number(b"12a", 10), None);
        assert_eq!(number(b"", 10), None);
    }

    #[test]
    fn a_signal_that_is_ignored_is_read_from_its_mask() {
        let deaf = told("SigIgn:\t0000000000004000\nSigCgt:\t0000000000000002\n");
        assert!(deaf.ignores(Signal::TERM));
        assert!(!deaf.ignores(Signal::INT));
        assert!(!told("").ignores(Signal::TERM));
    }

    #[test]
    fn a_process_is_found_by_its_number_and_by_its_descriptor() {
        let own = rustix::process::getpid();
        let flags = rustix::process::PidfdFlags::empty();
        let pidfd = rustix::process::pidfd_open(own, flags).unwrap();
        let parent = Process::of_pidfd(pidfd.as_fd()).unwrap().parent();
        assert_eq!(parent, rustix::process::getppid());
        let mut n_found = 0;
        Process::each(|process| n_found += usize::from(process.pid == own));
        assert_eq!(n_found, 1);
    }
}
