//! The process that takes up the orphans of a step, and does not end before them.
//!
//! There is no namespace whose end would end them. It is forked while this program has other threads,
//! and so is under the rules of the child of a step: nothing but system calls. All signals are blocked in
//! it, and taken one by one.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, getpid, getppid,
    pidfd_send_signal, wait, waitid,
};

use super::process::Process;
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
            // One that does not listen is not waited for.
            Some(signal) if signal == Signal::TERM.as_raw() => is_over = !is_told(command),
            Some(signal) if signal == END.as_raw() => is_over = true,
            Some(_) | None => {}
        }
    }
}

/// Tells the command to end, unless that is nothing to it.
fn is_told(command: BorrowedFd<'_>) -> bool {
    let Some(process) = Process::of_pidfd(command) else {
        return pidfd_send_signal(command, Signal::TERM).is_ok();
    };
    if process.ignores(Signal::TERM) {
        return false;
    }
    process.send(Signal::TERM);
    is_bound_again()
}

/// Kills all children. Their own become ours thereby, and are killed next time.
fn end_children() {
    let own = getpid();
    Process::each(|process| {
        if process.parent() == Some(own) {
            process.send(Signal::KILL);
        }
    });
    is_bound_again();
}

/// Has this process told again of its parent's end: whoever has been somebody else is not. Who asks for the parent learns of an
/// end in between.
fn is_bound_again() -> bool {
    sys::signal_at_death_of_parent(END).is_ok()
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
