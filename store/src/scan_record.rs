//! What a whole scan of a directory met, and what followed from it.
//!
//! Where every entry has the numbers it had then, a scan would find the same, so that its results
//! stand without it. One file under `cache/` per directory and use of it. It is a cache in the
//! strict sense: any defect makes it absent.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ffi::CStr;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{At, WriteError};
use crate::id::hex;
use crate::lease::Lease;
use crate::racy::Racy;
use crate::stat_cache::{FileStat, fingerprint};
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::vfs::read_from;
use crate::wire::{read_u32, read_u64};

const MAGIC: u64 = u64::from_le_bytes(*b"wytheSR1");
const HEADER_SIZE: usize = 32;
const ROW_SIZE: usize = 56;

/// Where in a row the time of the last change is.
const CTIME: usize = 40;

/// How many records of one directory are kept: room for the Dockerfiles that share a context, and
/// a bound for one whose text changes with every build.
const RECORDS_PER_DIRECTORY: usize = 8;

/// Which directory a record is of, and what it was scanned for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordName {
    /// The directory, as a hash.
    pub directory: [u8; 16],
    /// All that decided which entries were looked at, as a hash.
    pub purpose: [u8; 32],
}

/// The entries of a scan, with their numbers, and its results.
#[derive(Clone, Debug)]
pub struct ScanRecord {
    bytes: Vec<u8>,
    n_entries: usize,
    results: usize,
}

/// A record in the making.
#[derive(Clone, Debug, Default)]
pub struct ScanRecordBuilder {
    rows: Vec<u8>,
    paths: Vec<u8>,
    device: Option<u64>,
    newest: Newest,
    flaw: Option<Flaw>,
}

/// The latest changes that were met.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    /// Of those whose times have nanoseconds.
    exact: Timestamp,
    /// Of the others.
    whole: Timestamp,
}

/// Why a scan is not worth a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaw {
    /// Its entries lie on several file systems, not all of which may keep times.
    Devices,
    /// A path that no system call takes, or more of them than numbers reach.
    Paths,
}

impl RecordName {
    fn path(&self) -> String {
        format!("{}{}", self.siblings(), hex(&self.purpose))
    }

    /// What the paths of all records of the directory begin with.
    fn siblings(&self) -> String {
        format!("cache/scan-{}-", hex(&self.directory))
    }
}

impl ScanRecord {
    /// Reads a record.
    pub fn load(store: &Store, name: &RecordName) -> Option<Self> {
        let path = name.path();
        match store.vfs().open(&path).and_then(|file| read_from(&*file, 0)) {
            Ok(bytes) => Self::decode(bytes),
            Err(error) => {
                tracing::debug!(%error, path, "no scan record");
                None
            }
        }
    }

    /// Removes a record that turned out to be wrong. What it speaks of is over: no time of a change comes
    /// again.
    pub fn remove(store: &Store, name: &RecordName) {
        let path = name.path();
        if let Err(error) = store.vfs().unlink(&path) {
            tracing::debug!(%error, path, "cannot remove a scan record");
        }
    }

    /// How many entries the scan met.
    pub fn n_entries(&self) -> usize {
        self.n_entries
    }

    /// The path of an entry from the directory on, as system calls take it.
    pub fn path(&self, entry: usize) -> &CStr {
        let start = read_u32(self.row(entry), 48) as usize;
        let path = self.bytes.get(start..).map(CStr::from_bytes_until_nul);
        path.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether the numbers of an entry are those it had.
    pub fn agrees(&self, entry: usize, stat: &FileStat) -> bool {
        self.row(entry)[..48] == fingerprint(stat)
    }

    /// The entries that had changed last, at most so many, the latest first.
    pub fn latest(&self, count: usize) -> Vec<usize> {
        let mut latest = BinaryHeap::with_capacity(count + 1);
        for entry in 0..self.n_entries {
            latest.push(Reverse((read_u64(self.row(entry), CTIME), entry)));
            if latest.len() > count {
                latest.pop();
            }
        }
        latest.into_sorted_vec().into_iter().map(|Reverse((_, entry))| entry).collect()
    }

    /// What [`ScanRecordBuilder::save`] was given.
    pub fn results(&self) -> &[u8] {
        &self.bytes[self.results..]
    }

    fn row(&self, at: usize) -> &[u8] {
        &self.bytes[HEADER_SIZE + at * ROW_SIZE..][..ROW_SIZE]
    }

    /// `None` for anything but a whole file of ours.
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let header = bytes.get(..HEADER_SIZE)?;
        if read_u64(header, 0) != MAGIC || read_u64(header, 8) != xxh3_64(&bytes[16..]) {
            return None;
        }
        let n_entries = usize::try_from(read_u64(header, 16)).ok()?;
        let results = usize::try_from(read_u64(header, 24)).ok()?;
        let paths = n_entries.checked_mul(ROW_SIZE)?.checked_add(HEADER_SIZE)?;
        (paths <= results && results <= bytes.len()).then_some(Self { bytes, n_entries, results })
    }
}

impl ScanRecordBuilder {
    /// Adds an entry by its path from the directory on, which itself is `.`. The numbers must be
    /// those of before the entry was looked into.
    pub fn add(&mut self, path: &[u8], stat: &FileStat) {
        if *self.device.get_or_insert(stat.device) != stat.device {
            self.flaw = Some(Flaw::Devices);
        }
        let Ok(start) = u32::try_from(self.paths.len()) else {
            self.flaw = Some(Flaw::Paths);
            return;
        };
        let newest =
            if stat.ctime.nanos == 0 { &mut self.newest.whole } else { &mut self.newest.exact };
        *newest = stat.ctime.max(*newest);
        self.rows.extend_from_slice(&fingerprint(stat));
        self.rows.extend_from_slice(&u64::from(start).to_le_bytes());
        self.paths.extend_from_slice(path);
        self.paths.push(0);
    }

    /// Keeps the record of a scan to which some times prove nothing, with what followed from it.
    ///
    /// Nothing is kept where something has such a time. Only `ctime` tells: it cannot be set, and moves
    /// with everything else.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn save(
        self,
        lease: &Lease,
        name: &RecordName,
        racy: Racy,
        results: &[u8],
    ) -> Result<(), WriteError> {
        let Some(bytes) = self.encode(racy, results) else { return Ok(()) };
        let (vfs, scratch, path) = (lease.store().vfs(), lease.scratch_path(), name.path());
        let file = vfs.create(&scratch).writing(&scratch)?;
        file.append(&bytes).writing(&scratch)?;
        vfs.replace(&scratch, &path).writing(&path)?;
        make_room(lease.store(), name);
        Ok(())
    }

    fn encode(mut self, racy: Racy, results: &[u8]) -> Option<Vec<u8>> {
        let paths = HEADER_SIZE + self.rows.len();
        let end = u32::try_from(paths + self.paths.len()).ok();
        let Newest { exact, whole } = self.newest;
        let is_racy = |time| racy.covers(self.device.unwrap_or_default(), time);
        if self.flaw.is_some() || is_racy(exact) || is_racy(whole) || end.is_none() {
            return None;
        }
        for row in self.rows.chunks_exact_mut(ROW_SIZE) {
            let start = u32::try_from(paths).ok()? + read_u32(row, 48);
            row[48..52].copy_from_slice(&start.to_le_bytes());
        }
        let mut bytes = vec![0; HEADER_SIZE];
        for part in [&self.rows, &self.paths, results] {
            bytes.extend_from_slice(part);
        }
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[16..24].copy_from_slice(&((self.rows.len() / ROW_SIZE) as u64).to_le_bytes());
        bytes[24..32].copy_from_slice(&((paths + self.paths.len()) as u64).to_le_bytes());
        let check = xxh3_64(&bytes[16..]);
        bytes[8..16].copy_from_slice(&check.to_le_bytes());
        Some(bytes)
    }
}

/// Removes records of the same directory where there are too many; which, their hashes decide.
fn make_room(store: &Store, name: &RecordName) {
    let (vfs, prefix, ours) = (store.vfs(), name.siblings(), name.path());
    let all = vfs.list("cache").unwrap_or_default().into_iter().map(|name| format!("cache/{name}"));
    let others: Vec<String> =
        all.filter(|path| path.starts_with(&prefix) && *path != ours).collect();
    for path in others.iter().skip(RECORDS_PER_DIRECTORY - 1) {
        if let Err(error) = vfs.unlink(path) {
            tracing::debug!(%error, path, "cannot remove a scan record");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenOptions;

    fn racy() -> Racy {
        Racy::of_scan(Timestamp::from_seconds(100))
    }

    fn stat(seconds: i64) -> FileStat {
        let time = Timestamp { seconds, nanos: 5 };
        FileStat { device: 1, inode: 2, size: 3, mode: 0o100_644, mtime: time, ctime: time }
    }

    fn builder(stats: &[(&str, FileStat)]) -> ScanRecordBuilder {
        let mut builder = ScanRecordBuilder::default();
        for (path, stat) in stats {
            builder.add(path.as_bytes(), stat);
        }
        builder
    }

    fn sample() -> Vec<u8> {
        builder(&[(".", stat(10)), ("a/b", stat(97))]).encode(racy(), b"results").unwrap()
    }

    #[test]
    fn entries_and_results_read_back() {
        let record = ScanRecord::decode(sample()).unwrap();
        assert_eq!((record.n_entries(), record.results()), (2, b"results".as_slice()));
        assert_eq!([record.path(0), record.path(1)], [c".", c"a/b"]);
        assert!(record.agrees(0, &stat(10)) && record.agrees(1, &stat(97)));
    }

    #[test]
    fn what_changed_last_is_named_first() {
        let stats = [(".", stat(20)), ("a", stat(10)), ("b", stat(40)), ("c", stat(30))];
        let bytes = builder(&stats).encode(racy(), b"").unwrap();
        let record = ScanRecord::decode(bytes).unwrap();
        assert_eq!(record.latest(2), [2, 3]);
        assert_eq!(record.latest(9), [2, 3, 0, 1]);
        assert!(record.latest(0).is_empty());
    }

    #[test]
    fn any_other_number_disagrees() {
        let record = ScanRecord::decode(sample()).unwrap();
        let (old, time) = (stat(10), Timestamp { seconds: 10, nanos: 6 });
        let others = [
            FileStat { device: 9, ..old },
            FileStat { inode: 9, ..old },
            FileStat { size: 9, ..old },
            FileStat { mode: 0o100_755, ..old },
            FileStat { mtime: time, ..old },
            FileStat { ctime: time, ..old },
        ];
        for other in others {
            assert!(!record.agrees(0, &other), "{other:?}");
        }
    }

    #[test]
    fn a_scan_that_met_something_young_or_two_devices_leaves_no_record() {
        let young = FileStat { ctime: Timestamp::from_seconds(98), ..stat(10) };
        let dated_ahead = FileStat { mtime: Timestamp::from_seconds(5000), ..stat(10) };
        let elsewhere = FileStat { device: 2, ..stat(10) };
        let kept = |other| builder(&[(".", stat(10)), ("a", other)]).encode(racy(), b"").is_some();
        assert!(kept(dated_ahead));
        assert!(!kept(young));
        assert!(!kept(elsewhere));
    }

    #[test]
    fn a_scan_that_knows_what_changes_get_as_their_time_keeps_what_is_older() {
        let stamp = Timestamp { seconds: 100, nanos: 7 };
        let at = |seconds, nanos| FileStat { ctime: Timestamp { seconds, nanos }, ..stat(10) };
        let kept = |other| {
            let racy = racy().with_stamp(1, stamp);
            builder(&[(".", stat(10)), ("a", other)]).encode(racy, b"").is_some()
        };
        assert!(kept(at(100, 6)) && kept(at(97, 0)));
        assert!(!kept(at(100, 7)) && !kept(at(99, 0)));
    }

    #[test]
    fn any_defect_makes_it_absent() {
        let intact = sample();
        for bit in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(ScanRecord::decode(bytes).is_none(), "bit {bit}");
        }
        for length in 0..intact.len() {
            assert!(ScanRecord::decode(intact[..length].to_vec()).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn a_directory_keeps_a_few_records_and_the_newest_is_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let other = RecordName { directory: [9; 16], purpose: [0; 32] };
        let names = (0..20).map(|n| RecordName { directory: [1; 16], purpose: [n; 32] });
        for name in std::iter::once(other).chain(names) {
            builder(&[(".", stat(10))]).save(&lease, &name, racy(), b"").unwrap();
            assert!(ScanRecord::load(&store, &name).is_some());
        }
        assert!(ScanRecord::load(&store, &other).is_some());
        assert_eq!(store.vfs().list("cache").unwrap().len(), RECORDS_PER_DIRECTORY + 1);
        ScanRecord::remove(&store, &other);
        assert!(ScanRecord::load(&store, &other).is_none());
    }
}
