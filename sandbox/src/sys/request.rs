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

/// Has a system call return a number, or an error.
pub(crate) fn answer_request(
    listener: BorrowedFd<'_>,
    request: &Request,
    answer: Result<i64, Errno>,
) -> Result<(), Errno> {
    let error = answer.err().map_or(0, |errno| -errno.raw_os_error());
    let val = answer.unwrap_or(0);
    let response = libc::seccomp_notif_resp { id: request.id, val, error, flags: 0 };
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
