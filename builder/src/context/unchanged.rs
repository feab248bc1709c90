//! Whether a directory is as an earlier scan met it, without scanning it again.
//!
//! Every entry is asked for its numbers, by its path: one system call each, and directories are
//! not read. The names in a directory are those of then where its own numbers are: on the file
//! systems for which that holds ([`keeps_times`]). What a file holds is never taken from the times
//! of its directory.
//!
//! A path may lead through a link that took a directory's place. What it leads to counts as
//! unchanged only where it is the very same file, so that nothing else can enter a tree.

use std::os::fd::BorrowedFd;

use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rustix::fs::{AtFlags, fstatfs, statat};
use wythe_store::scan_record::ScanRecord;

use super::Context;
use super::stat::facts;

/// Entries looked at in a row by one thread: some 100 microseconds of work, which is also what it
/// takes to wake another one.
const ENTRIES_PER_TASK: usize = 64;

/// Entries that are looked at before all others, those that had changed last: who edits a file mostly
/// edits it again, and then nothing else is looked at.
const LATEST: usize = ENTRIES_PER_TASK;

/// File systems of one machine that take times from its clock and keep them to the nanosecond (or, as old
/// ext4 has it, none of the nanoseconds), and that note in a directory's times when a name in it comes, goes or
/// stands for something else. Overlayfs is none: what a lower layer has may change while it is not
/// mounted.
const KEEPING_TIMES: [u64; 7] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x0102_1994, // tmpfs
    0x2fc1_2fc1, // zfs
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xca45_1a4e, // bcachefs
    0xf2f5_2010, // f2fs
];

impl Context {
    /// Whether everything that the scan behind a record met is as it was then.
    pub fn is_unchanged(&self, record: &ScanRecord, pool: &ThreadPool) -> bool {
        let agrees = |entry| {
            let stat = statat(&self.root, record.path(entry), AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| record.agrees(entry, &facts(&stat)))
        };
        let mut entries = 0..record.n_entries();
        if entries.len() <= ENTRIES_PER_TASK {
            return entries.all(agrees);
        }
        if !record.latest(LATEST).into_iter().all(agrees) {
            return false;
        }
        let entries = entries.into_par_iter().with_min_len(ENTRIES_PER_TASK);
        pool.install(|| entries.all(agrees))
    }
}

/// Whether the times of a directory tell that its names are unchanged.
pub(super) fn keeps_times(directory: BorrowedFd<'_>) -> bool {
    fstatfs(directory).is_ok_and(|about| {
        u64::try_from(about.f_type).is_ok_and(|magic| KEEPING_TIMES.contains(&magic))
    })
}
