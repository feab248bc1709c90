//! System calls that a filter leaves to whoever listens.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::checked;

/// A system call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    id: u64,
    /// The thread that made it, as we number it.
    pub(crate) process: u32,
    /// Whose numbers the call has (`AUDIT_ARCH_*`).
    pub(crate) architecture: u32,
    /// The number of the call.
    pub(crate) number: i32,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// Receives a system call that a filter left to its listener; `ENOENT` when its caller is gone.
pub(crate) fn next_request(listener: BorrowedFd<'_>) -> Result<Request, Errno> {
    let data = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
    let mut request = libc::seccomp_notif { id: 0, pid: 0, flags: 0, data };
    // SAFETY: the command fits the structure, which is all zero as the kernel demands.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut request,
        )
    };
    checked(result)?;
    Ok(Request {
        id: request.id,
        process: request.pid,
        architecture: request.data.arch,
        number: request.data.nr,
        arguments: request.data.args,
    })
}

/// Has the kernel switch at once between who asks and who answers. Kernels before 6.6 cannot.
pub(crate) fn wake_at_once(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the command takes a number of flags.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP,
        )
    };
    checked(result).map(drop)
}

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`
const SYNC_WAKE_UP: u64 = 1;

/// Fails with `ENOENT` when the caller of a request does not wait any more.
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, request: &Request) -> Result<(), Errno> {
    // SAFETY: the command fits the number it is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const request.id,
        )
    };
    checked(result).map(drop)
}

/// Gives the caller of a request a descriptor, and returns its number there.
pub(crate) fn hand_to_caller(
    listener: BorrowedFd<'_>,
    request: &Request,
    descriptor: BorrowedFd<'_>,
    flags: u32,
) -> Result<i64, Errno> {
    let srcfd = u32::try_from(descriptor.as_raw_fd()).map_err(|_| Errno::BADF)?;
    let gift =
        libc::seccomp_notif_addfd { id: request.id, flags: 0, srcfd, newfd: 0, newfd_flags: flags };
    // SAFETY: the command fits the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const gift,
        )
    };
    checked(result)
}

/// What becomes of an announced system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// It returns a number.
    Return(i64),
    /// It fails.
    Fail(Errno),
    /// It runs, as if it had not been announced.
    Run,
}

/// Says what becomes of a system call.
pub(crate) fn answer_request(
    listener: BorrowedFd<'_>,
    request: &Request,
    reply: Reply,
) -> Result<(), Errno> {
    let (val, error, flags) = match reply {
        Reply::Return(number) => (number, 0, 0),
        Reply::Fail(errno) => (0, -errno.raw_os_error(), 0),
        Reply::Run => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
    };
    let flags = u32::try_from(flags).map_err(|_| Errno::INVAL)?;
    let response = libc::seccomp_notif_resp { id: request.id, val, error, flags };
    // SAFETY: the command fits the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    };
    checked(result).map(drop)
}
