//! What files held in earlier scans of the same directory, kept in the store's stat cache.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::lease::Lease;
use wythe_store::racy::Racy;
use wythe_store::stat_cache::{FileStat, StatCache, StatCacheBuilder};

use super::body::Bodies;

/// Keeps the names of caches apart from all other hashes. They are never part of a key.
const DOMAIN: &str = "wythe 2026 context directory";

/// How many rows that this scan did not meet are kept for each one it met. Different Dockerfiles
/// read different parts of a directory, but what was deleted must not stay for ever.
const UNMET_PER_MET: usize = 2;

/// Bodies of a directory that is scanned again and again.
///
/// A file is read when its numbers are not those of the last time, or when it was so young then that
/// they prove nothing. Whether the store still holds its bytes is for those to find out who need
/// them: a build that changes nothing does not.
#[derive(Debug)]
pub struct Recall<'a> {
    lease: &'a Lease,
    cache: [u8; 32],
    earlier: StatCache,
    /// One bit for each row of `earlier`: whether this scan met it.
    met: Vec<AtomicU64>,
    racy: Racy,
    read: Mutex<Vec<(Vec<u8>, FileStat, BodyId)>>,
}

impl<'a> Recall<'a> {
    /// What is known of a directory, given by its canonical path, for a scan to which some times prove
    /// nothing.
    pub fn new(lease: &'a Lease, directory: &[u8], racy: Racy) -> Self {
        let cache = blake3::derive_key(DOMAIN, directory);
        let earlier = StatCache::load(lease.store(), &cache);
        let met = (0..earlier.n_files().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { lease, cache, earlier, met, racy, read: Mutex::default() }
    }

    /// Keeps what this scan learnt for the next one. Nothing is written where nothing was read.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub fn save(self) -> Result<(), WriteError> {
        let read = self.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        if read.is_empty() {
            return Ok(());
        }
        let is_met =
            |row: &usize| self.met[row / 64].load(Ordering::Relaxed) & (1 << (row % 64)) != 0;
        let (met, unmet): (Vec<usize>, Vec<usize>) = (0..self.earlier.n_files()).partition(is_met);
        let n_met = met.len() + read.len();
        let mut next = StatCacheBuilder::new(self.racy);
        for (path, stat, body) in read {
            next.add(&path, &stat, body);
        }
        let unmet = unmet.into_iter().take(n_met * UNMET_PER_MET);
        for row in met.into_iter().chain(unmet) {
            next.keep(&self.earlier, row);
        }
        next.save(self.lease, &self.cache)
    }
}

impl Bodies for Recall<'_> {
    fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
        let (row, body) = self.earlier.find(path, stat)?;
        self.met[row / 64].fetch_or(1 << (row % 64), Ordering::Relaxed);
        Some(body)
    }

    fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError> {
        Bodies::store(self.lease, file, size)
    }

    fn remember(&self, path: &[u8], stat: &FileStat, body: BodyId) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.push((path.to_vec(), *stat, body));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;

    use wythe_store::journal::Durability;
    use wythe_store::journal::batch::Batch;
    use wythe_store::store::{OpenOptions, Store};
    use wythe_store::timestamp::Timestamp;

    use super::*;
    use crate::context::Context;
    use crate::copy::route::Route;
    use crate::ignore::Rules;

    struct Counting<'a> {
        recall: Recall<'a>,
        reads: AtomicUsize,
    }

    impl Bodies for Counting<'_> {
        fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
            self.recall.recall(path, stat)
        }

        fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.recall.store(file, size)
        }

        fn remember(&self, path: &[u8], stat: &FileStat, body: BodyId) {
            self.recall.remember(path, stat, body);
        }
    }

    struct Room {
        directory: tempfile::TempDir,
        store: Store,
        _store_directory: tempfile::TempDir,
    }

    fn room(files: &[&str]) -> Room {
        let (directory, at) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let store = Store::open(at.path(), &OpenOptions::default()).unwrap();
        Room { directory, store, _store_directory: at }
    }

    impl Room {
        fn path(&self) -> &Path {
            self.directory.path()
        }

        /// Scans, saves, and says how many files were read.
        fn reads(&self, source: &str, later: i64, lease: &Lease) -> usize {
            // A clock that runs by the file system's own stamps needs no sleep.
            let ctime = fs::metadata(self.path()).unwrap().ctime();
            let now = Timestamp::from_seconds(ctime + later);
            let name = self.path().as_os_str().as_encoded_bytes();
            let recall = Recall::new(lease, name, Racy::of_scan(now));
            let bodies = Counting { recall, reads: AtomicUsize::new(0) };
            let context = Context::open(self.path(), Rules::default()).unwrap();
            context.scan(&[Route::flat(source).unwrap()], &bodies).unwrap();
            bodies.recall.save().unwrap();
            bodies.reads.into_inner()
        }

        fn committed_reads(&self, source: &str, later: i64) -> usize {
            let lease = self.store.lease().unwrap();
            let reads = self.reads(source, later, &lease);
            lease.commit(Batch::new(), Durability::Relaxed).unwrap();
            reads
        }
    }

    #[test]
    fn an_unchanged_tree_is_not_read_again() {
        let room = room(&["a", "d/b", "d/c"]);
        assert_eq!(room.committed_reads("", 10), 3);
        assert_eq!(room.committed_reads("", 10), 0);
        fs::write(room.path().join("d/b"), "other").unwrap();
        assert_eq!(room.committed_reads("", 10), 1);
        assert_eq!(room.committed_reads("", 10), 0);
    }

    #[test]
    fn a_file_as_young_as_the_scan_is_read_again() {
        let room = room(&["a"]);
        assert_eq!(room.committed_reads("", 0), 1);
        assert_eq!(room.committed_reads("", 0), 1);
    }

    #[test]
    fn what_another_scan_read_is_kept() {
        let room = room(&["a", "b"]);
        assert_eq!(room.committed_reads("a", 10), 1);
        assert_eq!(room.committed_reads("b", 10), 1);
        assert_eq!(room.committed_reads("", 10), 0);
    }
}
