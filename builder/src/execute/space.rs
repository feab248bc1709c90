//! Whether a step that failed had a disk to write to.

use std::io;
use std::path::Path;

use rustix::fs::{StatVfs, statvfs};

/// A disk with less is full to whoever writes: file systems keep some blocks to themselves.
const NEXT_TO_NOTHING: u64 = 1 << 20;

/// The error that a step ran into, if the disk that holds `directory` is full now.
///
/// A step tells of it in words of its own, if at all. What it wrote is still there when it has ended,
/// unless it took it away itself.
pub(super) fn missing(directory: &Path) -> Option<io::Error> {
    // What cannot be asked is not known to be full.
    let text = words(&statvfs(directory).ok()?)?;
    Some(io::Error::new(io::ErrorKind::StorageFull, text))
}

fn words(disk: &StatVfs) -> Option<String> {
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    if left < NEXT_TO_NOTHING {
        return Some(format!("the disk that the step writes to is full: {left} bytes are left"));
    }
    // File systems that make inodes as they need them count none.
    let exhausted = 0 < disk.f_files && disk.f_favail == 0;
    exhausted.then(|| "the disk that the step writes to is full: no inode is left".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(bytes: u64, inodes: (u64, u64)) -> StatVfs {
        let mut disk = statvfs("/").unwrap();
        (disk.f_frsize, disk.f_bavail) = (1, bytes);
        (disk.f_files, disk.f_favail) = inodes;
        disk
    }

    #[test]
    fn a_disk_is_full_without_blocks_or_without_inodes() {
        assert_eq!(words(&disk(NEXT_TO_NOTHING, (9, 1))), None);
        assert_eq!(words(&disk(NEXT_TO_NOTHING, (0, 0))), None);
        assert!(words(&disk(NEXT_TO_NOTHING - 1, (9, 9))).unwrap().contains("1048575 bytes"));
        assert!(words(&disk(NEXT_TO_NOTHING, (9, 0))).unwrap().contains("inode"));
    }
}
