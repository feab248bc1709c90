//! Starting the child of a step.

#![expect(unsafe_code, reason = "a clone that shares memory needs a stack of its own")]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::child::Task;
use crate::sys;

/// A step that runs.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its first process, as we number it.
    pub(crate) pid: Pid,
    /// The same, as a descriptor that names no other process later.
    pub(crate) pidfd: OwnedFd,
}

impl Drop for Child {
    /// Nothing of a step outlives the call that ran it, even if that call panics.
    fn drop(&mut self) {
        if pidfd_send_signal(&self.pidfd, Signal::KILL).is_ok() {
            let ended = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
            tracing::debug!(?ended, "killed a step that was given up");
        }
    }
}

/// Clones a child that carries out `task`, and sleeps until it executed its command or failed;
/// `task.report` then says which.
pub(crate) fn spawn(task: &mut Task<'_>, namespaces: c_int) -> Result<Child, Errno> {
    let stack = Stack::new()?;
    // No handler of ours may run in the child, whose memory is ours.
    let mask = sys::swap_signal_mask(u64::MAX)?;
    let cloned = clone(&stack, task, namespaces);
    sys::swap_signal_mask(mask)?;
    cloned
}

fn clone(stack: &Stack, task: &mut Task<'_>, namespaces: c_int) -> Result<Child, Errno> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: c_int = -1;
    // SAFETY: the stack outlives the call, which returns when the child has left it; the child
    // gets the only reference to `task`, which this thread does not touch until then; with
    // CLONE_PIDFD the fifth argument points to a number.
    let pid = unsafe {
        libc::clone(
            enter,
            stack.top(),
            flags | namespaces,
            ptr::from_mut(task).cast(),
            &raw mut pidfd,
        )
    };
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    };
    Ok(Child { pid, pidfd: sys::adopt(pidfd) })
}

/// Where the child starts.
extern "C" fn enter(task: *mut c_void) -> c_int {
    // SAFETY: `clone` was given this pointer to a task that is alive and used by nobody else.
    let task = unsafe { &mut *task.cast::<Task<'_>>() };
    task.interpret();
    sys::exit_now(FAILED_TO_START)
}

/// A stack for the child with an unmapped page below, where an overflow ends.
struct Stack {
    bottom: *mut c_void,
}

impl Stack {
    fn new() -> Result<Self, Errno> {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: asks for new memory wherever there is room.
        let bottom = unsafe {
            libc::mmap(ptr::null_mut(), STACK_SIZE, access, kind | libc::MAP_STACK, -1, 0)
        };
        if bottom == libc::MAP_FAILED {
            return Err(Errno::NOMEM);
        }
        let stack = Self { bottom };
        // SAFETY: the first page of the mapping just made.
        if unsafe { libc::mprotect(bottom, GUARD_SIZE, libc::PROT_NONE) } != 0 {
            return Err(Errno::NOMEM);
        }
        Ok(stack)
    }

    /// Where the first frame goes: stacks grow down.
    fn top(&self) -> *mut c_void {
        self.bottom.wrapping_byte_add(STACK_SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping `new` made; the child has left it.
        unsafe { libc::munmap(self.bottom, STACK_SIZE) };
    }
}

/// Several path buffers and room to spare.
const STACK_SIZE: usize = 256 << 10;

/// One page or more: pages have 4 to 64 KiB.
const GUARD_SIZE: usize = 64 << 10;

/// What a child ends with that could not become its command; the report says why.
const FAILED_TO_START: c_int = 125;
