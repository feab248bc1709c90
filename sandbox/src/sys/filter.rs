//! Installing system call filters.

use std::os::fd::RawFd;

use rustix::io::Errno;

use super::checked;

/// Installs a system call filter for good, and returns the number of the descriptor where the
/// calls can be received that it leaves to a listener. Needs `CAP_SYS_ADMIN` here, so that programs
/// that gain privileges keep working.
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> Result<RawFd, Errno> {
    let (listener, killable) =
        (libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    match filter_with(program, listener | killable) {
        // Before 5.19 a signal may have a call made again that was answered already.
        Err(Errno::INVAL) => filter_with(program, listener),
        installed => installed,
    }
}

/// As [`install_filter`], for one that leaves nothing to a listener.
pub(crate) fn install_unheard_filter(program: &[libc::sock_filter]) -> Result<(), Errno> {
    filter_with(program, 0).map(drop)
}

fn filter_with(program: &[libc::sock_filter], flags: libc::c_ulong) -> Result<RawFd, Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies `len` instructions, which the slice has.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    RawFd::try_from(checked(result)?).map_err(|_| Errno::BADF)
}
