//! Starting the child of a step.

#![expect(unsafe_code, reason = "a clone that shares memory needs a stack of its own")]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};

use crate::child::Task;
use crate::nest::Nest;
use crate::sys;

/// A step that runs.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its first process, as a descriptor that names no other process later.
    pub(crate) pidfd: OwnedFd,
    /// The signal upon which it ends with all that it has started.
    pub(crate) end: Signal,
}

impl Drop for Child {
    /// Nothing of a step outlives the call that ran it, even if that call panics.
    fn drop(&mut self) {
        if pidfd_send_signal(&self.pidfd, self.end).is_ok() {
            let ended = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
            tracing::debug!(?ended, "killed a step that was given up");
        }
    }
}

/// Clones a child that carries out `task`, and sleeps until it executed its command or failed;
/// `task.report` then says which. It is in `namespaces`, and its process namespace in the nest.
pub(crate) fn spawn(task: &mut Task<'_>, namespaces: c_int, nest: &Nest) -> Result<Child, Errno> {
    let (first, second) = (Stack::new()?, Stack::new()?);
    let start = Start { task, namespaces, stack: second.top(), child: -1, failure: None };
    // A thread of its own, for it can start no other ones afterwards.
    thread::scope(|scope| {
        let cloned = thread::Builder::new().spawn_scoped(scope, || {
            nest.enter()?;
            // What is made for the step is its root's, which need not be who we are.
            set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
            set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
            // No handler of ours may run in the child, whose memory is ours.
            sys::swap_signal_mask(u64::MAX)?;
            clone(&first, start)
        });
        let cloned =
            cloned.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        cloned.join().unwrap_or(Err(Errno::AGAIN))
    })
}

/// What the usher is told, and what it tells.
///
/// The kernel makes a process namespace only below the one that the caller is in. So a process that
/// begins in the nest, the usher, makes the child, as a sibling of its own, and ends.
struct Start<'t, 'p> {
    task: &'t mut Task<'p>,
    namespaces: c_int,
    /// Where the child's first frame goes.
    stack: *mut c_void,
    /// The child as a descriptor, once there is one.
    child: c_int,
    failure: Option<Errno>,
}

fn clone(stack: &Stack, mut start: Start<'_, '_>) -> Result<Child, Errno> {
    // The descriptor of the child has to come into our table.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    let told = ptr::from_mut(&mut start).cast();
    // SAFETY: the stack outlives the call, which returns when the usher has left it; the usher
    // gets the only reference to `start`, which this thread does not touch until then.
    let usher = number(unsafe { libc::clone(usher, stack.top(), flags, told) })?;
    let child = (start.child >= 0).then(|| {
        let pidfd = sys::adopt(start.child);
        Child { pidfd, end: Signal::KILL }
    });
    let ended = loop {
        match waitid(WaitId::Pid(usher), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            ended => break ended?,
        }
    };
    // One that was killed has not waited for the child, which uses our memory until it executes.
    // Given up, it is killed here and now.
    let is_done = ended.is_some_and(|ended| ended.exit_status() == Some(0));
    child.filter(|_| is_done).ok_or(start.failure.unwrap_or(Errno::CHILD))
}

/// The usher: makes the child, which waits for nobody, and sleeps until it executed or ended.
extern "C" fn usher(start: *mut c_void) -> c_int {
    // SAFETY: `clone` was given this pointer to a value that is alive and used by nobody else.
    let start = unsafe { &mut *start.cast::<Start<'_, '_>>() };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::CLONE_PARENT;
    let task = ptr::from_mut(&mut *start.task).cast();
    // SAFETY: as above; the stack is another one, and with CLONE_PIDFD the fifth argument points
    // to a number.
    let cloned = unsafe {
        libc::clone(enter, start.stack, flags | start.namespaces, task, &raw mut start.child)
    };
    start.failure = number(cloned).err();
    sys::exit_now(i32::from(start.failure.is_some()))
}

/// The number of a process just cloned, or why there is none.
fn number(cloned: c_int) -> Result<Pid, Errno> {
    if cloned > 0
        && let Some(pid) = Pid::from_raw(cloned)
    {
        return Ok(pid);
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Where the child starts.
extern "C" fn enter(task: *mut c_void) -> c_int {
    // SAFETY: the usher was given this pointer to a task that is alive and used by nobody else.
    let task = unsafe { &mut *task.cast::<Task<'_>>() };
    task.interpret();
    sys::exit_now(FAILED_TO_START)
}

// SAFETY: the memory is nobody else's, and the child that uses it has left it before it is unmapped.
unsafe impl Send for Stack {}

// SAFETY: sharing it gives away an address and nothing more.
unsafe impl Sync for Stack {}

// SAFETY: the pointers are to a stack, for which see above, and to a task that is lent for good.
unsafe impl Send for Start<'_, '_> {}

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
