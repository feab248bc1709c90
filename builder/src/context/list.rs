//! The names in one directory.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir};
use wythe_store::tree::entry::Name;

/// One read of a directory: some 500 names of ordinary length.
const BUFFER: usize = 16 * 1024;

/// A name and what the directory says it is.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: Name,
    pub(crate) kind: FileType,
}

/// The names in a directory in the order the file system gives them, without `.` and `..`.
pub(crate) fn list(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<Listed>> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut reader = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(Listed { name: name.into(), kind: entry.file_type() });
        }
    }
    Ok(names)
}
