//! The process that takes up the orphans of a step, and does not end before them.
//!
//! There is no namespace whose end would end them. It is forked while this program has other threads,
//! and so is under the rules of the child of a step: nothing but system calls. All signals are blocked in
//! it, and taken one by one.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, getpid, getppid, kill_process,
    pidfd_send_signal, wait, waitid,
};
use std::mem::MaybeUninit;

use crate::child::Task;
use crate::spawn::Child;
use crate::sys::{self, Shared};

/// What the child of a step says that did not become its command: which operation failed, and the number
/// of the error.
pub(super) type Failure = (usize, i32);

/// Ends all processes of a step at once.
pub(super) const END: Signal = Signal::QUIT;

/// Starts the process, and below it the child that carries out `task`. The calling thread has to
/// live as long as the step: all of it ends with that thread.
pub(super) fn spawn(task: &mut Task<'_>, told: &Shared<Failure>) -> Result<Child, Errno> {
    let parent = getpid();
    let mask = sys::swap_signal_mask(u64::MAX)?;
    let forked = match sys::fork_from_thread() {
        Ok(None) => keep(task, told, parent),
        forked => forked,
    };
    sys::swap_signal_mask(mask)?;
    let pidfd = forked?.ok_or(Errno::CHILD)?;
    Ok(Child { pidfd, end: END })
}

fn keep(task: &mut Task<'_>, told: &Shared<Failure>, parent: Pid) -> ! {
    let is_bound = sys::take_up_orphans().and_then(|()| sys::signal_at_death_of_parent(END));
    if is_bound.is_err() || getppid() != Some(parent) {
        sys::exit_now(FAILED_TO_START);
    }
    match sys::fork_from_thread() {
        Ok(None) => {
            task.interpret();
            if let Some((index, errno)) = task.report.failure {
                told.set((index, errno.raw_os_error()));
            }
            sys::exit_now(FAILED_TO_START)
        }
        Ok(Some(command)) => watch(&command, parent),
        Err(_) => sys::exit_now(FAILED_TO_START),
    }
}

/// Waits for the command, then for all that it left, and ends as the command has ended.
fn watch(command: &OwnedFd, parent: Pid) -> ! {
    // Who reads what the step prints does not wait for this process.
    if sys::duplicate(command.as_raw_fd(), 0).is_err() || sys::close_from(1).is_err() {
        sys::exit_now(FAILED_TO_START);
    }
    let command = sys::lend(0);
    let (mut ended, mut is_over) = (None, false);
    loop {
        if ended.is_none() {
            ended = status_of(command);
        }
        // The command is waited for by its own name, and the others after it.
        if ended.is_some() && orphans_are_gone() {
            end_as(ended);
        }
        is_over |= ended.is_some() || getppid() != Some(parent);
        if is_over {
            end_children();
            sys::take_signal(PAUSE_NANOS);
            continue;
        }
        match sys::take_signal(PATIENCE_NANOS) {
            // It may have ended meanwhile.
            Some(signal) if signal == Signal::TERM.as_raw() => {
                let _ = pidfd_send_signal(command, Signal::TERM);
            }
            Some(signal) if signal == END.as_raw() => is_over = true,
            Some(_) | None => {}
        }
    }
}

/// How the command has ended, if it has.
fn status_of(command: BorrowedFd<'_>) -> Option<WaitIdStatus> {
    waitid(WaitId::PidFd(command), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten()
}

/// Takes note of the orphans that have ended, and says whether there are none left.
fn orphans_are_gone() -> bool {
    loop {
        // Of every process group: `waitpid` without a process means those of ours.
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Kills all children. Their own become ours thereby, and are killed next time.
fn end_children() {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(processes) = openat(CWD, c"/proc", flags, Mode::empty()) else { return };
    let mut space = [MaybeUninit::uninit(); LISTED];
    let mut listed = RawDir::new(&processes, &mut space);
    while let Some(Ok(entry)) = listed.next() {
        let name = entry.file_name().to_bytes();
        if let Some(pid) = number(name).and_then(Pid::from_raw)
            && is_child(processes.as_fd(), name)
        {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Whether a process is a child of this one.
fn is_child(processes: BorrowedFd<'_>, name: &[u8]) -> bool {
    let mut path = [0; LONGEST_NAME];
    let Some(place) = path.get_mut(..name.len() + STAT.len()) else { return false };
    let (start, end) = place.split_at_mut(name.len());
    start.copy_from_slice(name);
    end.copy_from_slice(STAT);
    let Ok(path) = std::ffi::CStr::from_bytes_until_nul(&path) else { return false };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(file) = openat(processes, path, flags, Mode::empty()) else { return false };
    let mut text = [0; STATUS];
    let Ok(length) = rustix::io::read(&file, &mut text) else { return false };
    parent(text.get(..length).unwrap_or(&[])) == Some(getpid().as_raw_nonzero().get())
}

/// The parent of the process that a line of `/proc` is about: the second word behind its name, which
/// may hold anything.
fn parent(line: &[u8]) -> Option<i32> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let mut words = line.get(name_end + 1..)?.split(|byte| *byte == b' ').skip(1);
    number(words.nth(1)?)
}

/// A number in digits.
fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Ends this process as another one has ended.
fn end_as(ended: Option<WaitIdStatus>) -> ! {
    let Some(ended) = ended else { sys::exit_now(FAILED_TO_START) };
    if let Some(signal) = ended.terminating_signal() {
        sys::die_of(signal);
        sys::exit_now(128 + signal);
    }
    sys::exit_now(ended.exit_status().unwrap_or(FAILED_TO_START))
}

/// What a process ends with that did not become a command.
const FAILED_TO_START: i32 = 125;

/// How long to wait for those that were killed before looking again.
const PAUSE_NANOS: i64 = 1_000_000;

/// How long to sleep without looking whether the builder is there. It is told when that ends.
const PATIENCE_NANOS: i64 = 900_000_000;

/// Room for some entries of a directory.
const LISTED: usize = 4096;

/// Room for the digits of a process and the name of a file.
const LONGEST_NAME: usize = 32;

/// What `/proc` says of a process in one line, and the end of a path.
const STAT: &[u8] = b"/stat\0";

/// Room for the words up to the parent: a name has 16 bytes, each of which may be written as four.
const STATUS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_behind_whatever_name_a_process_has() {
        assert_eq!(parent(b"12 (sh) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parent(b"12 (a) S 1 (b) R 42 1"), Some(42));
        assert_eq!(parent(b"12 (sh) S"), None);
        assert_eq!(number(b"12a"), None);
        assert_eq!(number(b""), None);
    }
}
