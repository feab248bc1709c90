//! Sockets of any family.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::{adopt, checked};

/// Opens a socket of any kind that the kernel knows.
pub(crate) fn socket(family: u32, kind: u32, protocol: u32) -> Result<OwnedFd, Errno> {
    let kind = kind | libc::SOCK_CLOEXEC.cast_unsigned();
    // SAFETY: takes numbers only.
    let opened = checked(unsafe { libc::syscall(libc::SYS_socket, family, kind, protocol) })?;
    RawFd::try_from(opened).map(adopt).map_err(|_| Errno::BADF)
}

/// Which process is at the other end of a socket, as we number it.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length =
        libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the kernel writes no more than `length` bytes, which the structure has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_getsockopt,
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            &raw mut found,
            &raw mut length,
        )
    };
    checked(result)?;
    u32::try_from(found.pid).ok().filter(|process| *process > 0).ok_or(Errno::SRCH)
}

/// Gives a socket an address, which is what the kernel takes for one of its family.
pub(crate) fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many bytes as the slice has.
    let result = unsafe {
        libc::syscall(libc::SYS_bind, socket.as_raw_fd(), address.as_ptr(), address.len())
    };
    checked(result).map(drop)
}
