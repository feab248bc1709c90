//! Naming the directories of an overlay to the kernel.
//!
//! It takes them as strings of up to 255 bytes in which a backslash has a meaning of its own, and
//! as descriptors only from 6.13 on. So each is opened, and named by its descriptor. Called in the
//! child, under its rules.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::fsconfig_set_string;
use rustix::path::DecInt;

/// Gives an overlay the directory at a path.
pub(crate) fn add_path(context: BorrowedFd<'_>, key: &CStr, path: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty())?;
    add(context, key, directory.as_fd())
}

/// Gives an overlay a directory.
pub(crate) fn add(
    context: BorrowedFd<'_>,
    key: &CStr,
    directory: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let number = DecInt::new(directory.as_raw_fd());
    let mut name = [0; DESCRIPTORS.len() + LONGEST_NUMBER];
    let (start, rest) = name.split_at_mut(DESCRIPTORS.len());
    start.copy_from_slice(DESCRIPTORS);
    for (place, digit) in rest.iter_mut().zip(number.as_bytes()) {
        *place = *digit;
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::NAMETOOLONG)?;
    fsconfig_set_string(context, key, name)
}

const DESCRIPTORS: &[u8] = b"/proc/self/fd/";

/// Room for the digits of a descriptor and a zero.
const LONGEST_NUMBER: usize = 12;
