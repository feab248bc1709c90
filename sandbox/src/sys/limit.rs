//! The limit of file locks of other processes, which kernels have kept and not looked at since 2.4.25.

use std::ptr;

use rustix::io::Errno;

use super::checked;

/// What `prlimit64` takes: the limit that counts, and how far it may be raised.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Limit64 {
    soft: u64,
    hard: u64,
}

/// The limit of file locks that counts for a process.
pub(crate) fn lock_limit(process: u32) -> Result<u64, Errno> {
    limit(process, None).map(|limit| limit.soft)
}

/// Sets the limit of file locks that counts for a process.
pub(crate) fn set_lock_limit(process: u32, soft: u64) -> Result<(), Errno> {
    let Limit64 { hard, .. } = limit(process, None)?;
    limit(process, Some(Limit64 { soft, hard })).map(drop)
}

fn limit(process: u32, new: Option<Limit64>) -> Result<Limit64, Errno> {
    let mut old = Limit64 { soft: 0, hard: 0 };
    let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both structures are as the kernel has them and live across the call, which reads the
    // one, if there is one, and writes the other.
    let result = unsafe {
        libc::syscall(libc::SYS_prlimit64, process, libc::RLIMIT_LOCKS, new, &raw mut old)
    };
    checked(result).map(|_| old)
}
