//! Processes that are forked while there are other threads.

use std::os::fd::OwnedFd;
use std::ptr;

use rustix::io::Errno;

use super::{c_long, checked, clone_process, control};

/// Splits into two processes, of which the new one has a copy of the memory, and of all threads only the
/// one that calls. It may do nothing but system calls: any lock may be held for good there. Returns a
/// descriptor of it.
pub(crate) fn fork_from_thread() -> Result<Option<OwnedFd>, Errno> {
    clone_process(libc::SIGCHLD)
}

/// Reads what there is at an address of another process, as far as there is any. Whose process it is shows nowhere: its number may
/// mean another one by now.
pub(crate) fn read_memory(process: u32, address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    let process = libc::pid_t::try_from(process).map_err(|_| Errno::SRCH)?;
    let address = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let theirs =
        libc::iovec { iov_base: ptr::without_provenance_mut(address), iov_len: bytes.len() };
    // SAFETY: the kernel writes to no more than `bytes`; the other address is looked up in the other process.
    let read =
        unsafe { libc::process_vm_readv(process, &raw const ours, 1, &raw const theirs, 1, 0) };
    checked(c_long::try_from(read).unwrap_or(-1))
        .and_then(|read| usize::try_from(read).map_err(|_| Errno::IO))
}

/// Makes this process the parent of its descendants whose own parents end.
pub(crate) fn take_up_orphans() -> Result<(), Errno> {
    control(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

/// Has the kernel send a signal to this process when the thread that made it ends.
pub(crate) fn signal_at_death_of_parent(signal: rustix::process::Signal) -> Result<(), Errno> {
    let number = u64::try_from(signal.as_raw()).unwrap_or(0);
    control(libc::PR_SET_PDEATHSIG, number).map(drop)
}

/// Gives up that programs gain privileges.
pub(crate) fn give_up_new_privileges() -> Result<(), Errno> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Takes the next signal that waits, all of which are blocked, for so many nanoseconds at most, less than
/// a second.
pub(crate) fn take_signal(nanos: i64) -> Option<i32> {
    let (all, timeout) = (u64::MAX, [0i64, nanos]);
    // SAFETY: the set is one word, as the size says, and the time two.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const all,
            ptr::null::<u8>(),
            timeout.as_ptr(),
            size_of::<u64>(),
        )
    };
    checked(taken).ok().and_then(|number| i32::try_from(number).ok())
}

/// Ends this process by a signal, unless that does not end any.
pub(crate) fn die_of(signal: i32) {
    super::reset_signals();
    if super::swap_signal_mask(0).is_ok() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: takes numbers only.
        unsafe { libc::syscall(libc::SYS_kill, own, signal) };
    }
}

/// A place in memory that processes which are forked have in common.
#[derive(Debug)]
pub(crate) struct Shared<T: Copy> {
    place: *mut Option<T>,
}

impl<T: Copy> Shared<T> {
    /// An empty one.
    pub(crate) fn new() -> Result<Self, Errno> {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: asks for new memory wherever there is room.
        let place =
            unsafe { libc::mmap(ptr::null_mut(), size_of::<Option<T>>(), access, kind, -1, 0) };
        if place == libc::MAP_FAILED {
            return Err(Errno::NOMEM);
        }
        let place = place.cast::<Option<T>>();
        // SAFETY: the memory is large enough, and a page begins where any value may.
        unsafe { place.write(None) };
        Ok(Self { place })
    }

    /// Says something, once.
    pub(crate) fn set(&self, value: T) {
        // SAFETY: one process writes, and others read once it has ended.
        unsafe { self.place.write_volatile(Some(value)) };
    }

    /// What was said by a process that has ended.
    pub(crate) fn get(&self) -> Option<T> {
        // SAFETY: as above; what is not written is `None`.
        unsafe { self.place.read_volatile() }
    }
}

impl<T: Copy> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `new` made.
        unsafe { libc::munmap(self.place.cast(), size_of::<Option<T>>()) };
    }
}

/// Has this thread look at files as a user, until it is dropped.
#[derive(Debug)]
pub(crate) struct FileUser {
    before: [c_long; 2],
}

impl FileUser {
    /// Becomes a user and a group for files. Whoever may not stays what it is, which shows when it
    /// looks.
    pub(crate) fn become_user(uid: u32, gid: u32) -> Self {
        // The group first: afterwards it may not be changed.
        let group = set_for_files(libc::SYS_setfsgid, gid.into());
        let user = set_for_files(libc::SYS_setfsuid, uid.into());
        Self { before: [user, group] }
    }
}

impl Drop for FileUser {
    fn drop(&mut self) {
        let [user, group] = self.before;
        set_for_files(libc::SYS_setfsuid, user);
        set_for_files(libc::SYS_setfsgid, group);
    }
}

/// Sets one of the ids that files are looked at with, and returns what it was.
fn set_for_files(call: c_long, id: c_long) -> c_long {
    // SAFETY: takes a number only, and always returns one.
    unsafe { libc::syscall(call, id) }
}
