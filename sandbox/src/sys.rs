//! System calls that have no safe wrapper, one function each.
//!
//! All of them may be called between `clone` and `execve`: none allocates, locks or panics.
//! glibc's own `setresuid` and friends are avoided, for they signal every thread of the process,
//! and the child of a `CLONE_VM` shares the parent's.

#![expect(
    unsafe_code,
    reason = "raw system calls; each block is one call whose arguments live across it"
)]

mod filter;
mod limit;
mod mount;
mod process;
mod request;
mod socket;

use std::ffi::{CStr, c_char, c_int, c_long};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use rustix::io::Errno;

pub(crate) use filter::{install_filter, install_unheard_filter};
pub(crate) use limit::{lock_limit, set_lock_limit};
pub(crate) use mount::{Depth, release_mount, restrict_attached, restrict_mount, restricts_mounts};
pub(crate) use process::{
    FileUser, Shared, die_of, fork_from_thread, give_up_new_privileges, read_memory,
    signal_at_death_of_parent, take_signal, take_up_orphans,
};
pub(crate) use request::{
    Reply, Request, answer_request, hand_to_caller, is_waiting, next_request, wake_at_once,
};
pub(crate) use socket::{bind, peer, socket};

/// Turns `-1` into the error number of the call just made.
fn checked(result: c_long) -> Result<c_long, Errno> {
    if result == -1 {
        let error = std::io::Error::last_os_error();
        Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    } else {
        Ok(result)
    }
}

/// Closes every descriptor from `first` on, for real.
pub(crate) fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only. Called in a child that uses none of them afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    checked(result).map(drop)
}

/// Closes one descriptor of a forked child that will end without dropping anything.
pub(crate) fn close_descriptor(number: RawFd) -> Result<(), Errno> {
    // SAFETY: takes a number only, and the child never uses its owner again.
    checked(unsafe { libc::syscall(libc::SYS_close, number) }).map(drop)
}

/// Makes `to`, a descriptor of a child that nothing uses any more, a copy of `from` that survives `execve`.
pub(crate) fn duplicate(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only; what `to` was before is used no more in the child.
    let result = unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) };
    checked(result).map(drop)
}

/// Gives every signal its default action, also those Rust and glibc keep for themselves.
pub(crate) fn reset_signals() {
    // The kernel's structure is four words; all zero means the default action, no flags, no mask.
    let default = [0u64; 4];
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: `default` is as large as the kernel's structure; a refusal (SIGKILL, SIGSTOP)
        // changes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null::<u64>(),
                size_of::<u64>(),
            );
        }
    }
}

/// Replaces the signal mask of this thread and returns the previous one.
pub(crate) fn swap_signal_mask(mask: u64) -> Result<u64, Errno> {
    let mut previous = 0u64;
    // SAFETY: both masks are one 64-bit word, and the size says so.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut previous,
            size_of::<u64>(),
        )
    };
    checked(result).map(|_| previous)
}

/// Leaves the session keyring of the builder for a new one.
pub(crate) fn join_new_keyring() -> Result<(), Errno> {
    // SAFETY: no name is given.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<c_char>())
    };
    checked(result).map(drop)
}

/// `prctl` with one number.
fn control(option: c_int, argument: u64) -> Result<c_long, Errno> {
    // SAFETY: the options used in this module take numbers and no pointers.
    let result = unsafe { libc::syscall(libc::SYS_prctl, option, argument, 0, 0, 0) };
    checked(result)
}

/// Takes one capability out of the bounding set; `EINVAL` for one the kernel does not know.
pub(crate) fn drop_from_bounding_set(capability: u32) -> Result<(), Errno> {
    control(libc::PR_CAPBSET_DROP, u64::from(capability)).map(drop)
}

/// Has the kernel kill this process when the thread that made it ends.
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).map(drop)
}

/// Hides this process's memory and descriptors from others of its user.
pub(crate) fn hide_memory() -> Result<(), Errno> {
    control(libc::PR_SET_DUMPABLE, 0).map(drop)
}

/// Shows this process's memory and descriptors to others of its user.
pub(crate) fn show_memory() -> Result<(), Errno> {
    control(libc::PR_SET_DUMPABLE, 1).map(drop)
}

/// Whether set-user-id programs are inert for this process.
pub(crate) fn has_no_new_privileges() -> bool {
    control(libc::PR_GET_NO_NEW_PRIVS, 0) == Ok(1)
}

/// Sets the permitted and effective capabilities, and clears the inheritable ones.
pub(crate) fn set_capabilities(kept: u64) -> Result<(), Errno> {
    let header = [LINUX_CAPABILITY_VERSION_3, 0];
    let [high, low] = [kept >> 32, kept & u64::from(u32::MAX)];
    let [high, low] = [high, low].map(|half| u32::try_from(half).unwrap_or(0));
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: version 3 is a header of two words and two times three words of sets. The kernel looks at
    // no more than two arguments.
    let result = unsafe {
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr(), 0, 0, 0, OF_OURS)
    };
    checked(result).map(drop)
}

/// Keeps this process from connecting to abstract sockets of others than its descendants. Needs
/// `CAP_SYS_ADMIN` here. Kernels before 6.12, and those whose Landlock is off, refuse.
pub(crate) fn scope_abstract_sockets() -> Result<(), Errno> {
    let rules = LandlockRules { file_system: 0, network: 0, scoped: SCOPE_ABSTRACT_UNIX_SOCKET };
    // SAFETY: the structure and its size agree.
    let made = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const rules,
            size_of::<LandlockRules>(),
            0u64,
        )
    };
    let ruleset = adopt(RawFd::try_from(checked(made)?).map_err(|_| Errno::BADF)?);
    // SAFETY: takes numbers only.
    let restricted = unsafe {
        libc::syscall(libc::SYS_landlock_restrict_self, c_long::from(ruleset.as_raw_fd()), 0u64)
    };
    checked(restricted).map(drop)
}

/// `struct landlock_ruleset_attr`
#[repr(C)]
struct LandlockRules {
    file_system: u64,
    network: u64,
    scoped: u64,
}

/// Replaces the program; returns only when that failed.
pub(crate) fn execute(path: &CStr, argv: &PointerList, envp: &PointerList) -> Errno {
    // SAFETY: both lists end with a null pointer and point to strings the plan owns. The kernel looks
    // at no more than three arguments.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execve,
            path.as_ptr(),
            argv.0.as_ptr(),
            envp.0.as_ptr(),
            0,
            0,
            OF_OURS,
        )
    };
    checked(result).err().unwrap_or(Errno::IO)
}

/// What is in the sixth argument where this program executes another one or gives up capabilities, so
/// that a filter lets it through that announces such calls: nobody listens yet to a child that has not
/// executed anything. Who else writes it there gains nothing.
pub(crate) const OF_OURS: u32 = 0x7779_7468;

/// Replaces the program by an open file; returns only when that failed.
pub(crate) fn execute_file(file: BorrowedFd<'_>, argv: &PointerList, envp: &PointerList) -> Errno {
    // SAFETY: both lists end with a null pointer and point to strings their owner keeps.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.0.as_ptr(),
            envp.0.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    checked(result).err().unwrap_or(Errno::IO)
}

/// A list of C strings as `execve` takes it.
#[derive(Debug)]
pub(crate) struct PointerList(Vec<*const c_char>);

impl PointerList {
    /// Points to `strings`, which must stay where they are while the list is used.
    pub(crate) fn new(strings: &[std::ffi::CString]) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr());
        Self(pointers.chain([ptr::null()]).collect())
    }
}

/// Keeps the capabilities of this thread when it becomes another user.
pub(crate) fn keep_capabilities() -> Result<(), Errno> {
    control(libc::PR_SET_KEEPCAPS, 1).map(drop)
}

/// Has a program enter a user namespace before it is executed.
pub(crate) fn enter_users_before_execution(command: &mut Command, users: RawFd) {
    let enter = move || {
        // SAFETY: takes numbers only; `users` is open for as long as this program runs.
        let entered = unsafe { libc::syscall(libc::SYS_setns, users, libc::CLONE_NEWUSER) };
        checked(entered).map(drop).map_err(std::io::Error::from)
    };
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe { command.pre_exec(enter) };
}

/// Has a program end with the thread that starts it.
pub(crate) fn end_with_thread(command: &mut Command) {
    let end = || die_with_parent().map_err(std::io::Error::from);
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe { command.pre_exec(end) };
}

/// Brings the loopback device of the current network namespace up.
pub(crate) fn raise_loopback() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let socket = unsafe {
        libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    };
    let socket = checked(socket)?;
    let mut request = InterfaceRequest {
        name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        flags: INTERFACE_UP,
        rest: [0; 22],
    };
    // SAFETY: the structure has the name, the flags and the size of `struct ifreq`.
    let result =
        unsafe { libc::syscall(libc::SYS_ioctl, socket, libc::SIOCSIFFLAGS, &raw mut request) };
    checked(result).map(drop)
}

/// `struct ifreq` with flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

/// Lends a descriptor known by its number.
///
/// The numbers come from descriptors the caller keeps open: those of the plan, or those a child
/// opened and never closes before `close_from`.
pub(crate) fn lend<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: see above; a wrong number would fail with EBADF and touch no memory.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes over a descriptor the kernel has just made for us.
pub(crate) fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: called once per number that `clone` or `pipe` returned.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Moves this thread into namespaces, or to a view of files, of its own. User namespaces only while
/// there is one thread.
pub(crate) fn unshare(namespaces: c_int) -> Result<(), Errno> {
    // SAFETY: takes a number only; no memory or descriptors are unshared.
    checked(c_long::from(unsafe { libc::unshare(namespaces) })).map(drop)
}

/// Splits into two processes. Only while there is one thread.
pub(crate) fn fork() -> Result<Option<rustix::process::Pid>, Errno> {
    // SAFETY: there is one thread, so that the child finds no lock taken by another.
    let child = checked(c_long::from(unsafe { libc::fork() }))?;
    let child = i32::try_from(child).map_err(|_| Errno::OVERFLOW)?;
    Ok(rustix::process::Pid::from_raw(child))
}

/// Splits into two processes, of which the new one is the first in a process namespace of its own
/// and unknown to whoever waits for any child. Returns a descriptor of it. Only while there is one
/// thread.
pub(crate) fn fork_into_process_namespace() -> Result<Option<OwnedFd>, Errno> {
    // There is one thread, so that the child finds no lock taken by another.
    clone_process(libc::CLONE_NEWPID)
}

/// Splits into two processes as `flags` say, which share no memory. Returns a descriptor of the new one
/// to the old one. Where there are other threads the new one may do nothing but system calls.
fn clone_process(flags: c_int) -> Result<Option<OwnedFd>, Errno> {
    let mut pidfd: c_int = -1;
    // SAFETY: no memory is shared, so that no stack is needed; with CLONE_PIDFD the third argument
    // points to a number.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone,
            c_long::from(flags | libc::CLONE_PIDFD),
            ptr::null::<u8>(),
            &raw mut pidfd,
            0usize,
            0usize,
        )
    };
    Ok((checked(child)? != 0).then(|| adopt(pidfd)))
}

/// Kills a child that [`fork_into_process_namespace`] made, and waits for its end.
pub(crate) fn end_unknown_child(child: BorrowedFd<'_>) {
    let (number, nothing) = (child.as_raw_fd(), ptr::null::<u8>());
    // SAFETY: takes numbers and a null pointer; where the child is gone it does nothing.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, number, libc::SIGKILL, nothing, 0u64) };
    let kinds = libc::WEXITED | libc::__WALL;
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, number, nothing, kinds, nothing) };
}

/// Has `last` called when the program ends in an orderly way.
pub(crate) fn at_exit(last: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the function lives as long as the program.
    if unsafe { libc::atexit(last) } == 0 { Ok(()) } else { Err(Errno::NOMEM) }
}

/// Does nothing until a signal ends the process.
pub(crate) fn sleep_for_good() -> ! {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// Ends a forked child at once, without running what the parent registered for its exit.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Removes a variable from the environment. Only while there is one thread.
pub(crate) fn remove_variable(name: &str) {
    // SAFETY: there is one thread, so that nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) }
}

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;

/// `IFF_UP | IFF_RUNNING`.
const INTERFACE_UP: i16 = 0x41;

/// Signals of every architecture we know are numbered 1 to 64.
const LAST_SIGNAL: c_int = 64;

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;
