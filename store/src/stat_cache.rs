//! What the files of a directory held when they were last read, by what the file system says of
//! them: a file whose numbers have not changed is not read again.
//!
//! One file under `cache/` per directory, read and indexed at once. It is a cache in the strict
//! sense: any defect makes it empty.

use xxhash_rust::xxh3::Xxh3;

use crate::error::{At, WriteError};
use crate::id::{BodyId, hex};
use crate::lease::Lease;
use crate::racy::Racy;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::vfs::read_from;
use crate::wire::{read_u32, read_u64};

const MAGIC: u64 = u64::from_le_bytes(*b"wytheSC2");
const HEADER_SIZE: usize = 24;
const ROW_SIZE: usize = 88;

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileStat {
    /// The device it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// Its length.
    pub size: u64,
    /// Type and permissions.
    pub mode: u32,
    /// When its content changed.
    pub mtime: Timestamp,
    /// When anything about it changed.
    pub ctime: Timestamp,
}

/// The files of one directory, as last remembered.
#[derive(Clone, Debug, Default)]
pub struct StatCache {
    bytes: Vec<u8>,
    n_rows: usize,
    /// A hash table of rows by inode: each slot is a row's number and one, or zero.
    slots: Vec<u32>,
}

/// The next version of a cache, collected during a scan.
#[derive(Clone, Debug)]
pub struct StatCacheBuilder {
    racy: Racy,
    rows: Vec<(Vec<u8>, [u8; 48], BodyId)>,
}

impl StatCache {
    /// Reads the cache of a directory, named by 32 bytes of the caller's choice.
    pub fn load(store: &Store, context: &[u8; 32]) -> Self {
        let path = path(context);
        match store.vfs().open(&path).and_then(|file| read_from(&*file, 0)) {
            Ok(bytes) => Self::decode(bytes).unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, path, "no stat cache");
                Self::default()
            }
        }
    }

    /// The body a file had, if its numbers are those of then.
    pub fn lookup(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
        self.find(path, stat).map(|(_, body)| body)
    }

    /// As [`Self::lookup`], with the row it was found in, below [`Self::n_files`].
    pub fn find(&self, path: &[u8], stat: &FileStat) -> Option<(usize, BodyId)> {
        let wanted = fingerprint(stat);
        let mut slot = self.slot(&wanted);
        while let Some(row) = self.slots.get(slot).and_then(|row| row.checked_sub(1)) {
            let row = row as usize;
            let (id, rest) = self.row(row).split_first_chunk()?;
            if rest[..wanted.len()] == wanted && self.path_of(row) == path {
                return Some((row, BodyId::from_bytes(*id)));
            }
            slot = (slot + 1) % self.slots.len();
        }
        None
    }

    /// How many files are remembered.
    pub fn n_files(&self) -> usize {
        self.n_rows
    }

    fn row(&self, at: usize) -> &[u8] {
        &self.bytes[HEADER_SIZE + at * ROW_SIZE..][..ROW_SIZE]
    }

    fn path_of(&self, at: usize) -> &[u8] {
        let row = self.row(at);
        let start = read_u32(row, 80) as usize;
        self.bytes.get(start..start + read_u32(row, 84) as usize).unwrap_or(&[])
    }

    /// Where the search for a row begins: by inode, so that paths are compared only once.
    fn slot(&self, fingerprint: &[u8]) -> usize {
        let mixed = read_u64(fingerprint, 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(mixed).unwrap_or(0) & self.slots.len().wrapping_sub(1)
    }

    /// Half of the slots stay empty, so that every search ends soon.
    fn index(&mut self) {
        self.slots = vec![0; (self.n_rows * 2).next_power_of_two()];
        for row in 0..self.n_rows {
            let mut slot = self.slot(&self.row(row)[32..]);
            while self.slots[slot] != 0 {
                slot = (slot + 1) % self.slots.len();
            }
            self.slots[slot] = u32::try_from(row + 1).unwrap_or(0);
        }
    }

    /// `None` for anything but a whole file of ours.
    fn decode(bytes: Vec<u8>) -> Option<Self> {
        let header = bytes.get(..HEADER_SIZE)?;
        if read_u64(header, 0) != MAGIC || read_u64(header, 16) != checksum(&bytes) {
            return None;
        }
        let n_rows = usize::try_from(read_u64(header, 8)).ok()?;
        if n_rows.checked_mul(ROW_SIZE)?.checked_add(HEADER_SIZE)? > bytes.len() {
            return None;
        }
        let mut cache = Self { bytes, n_rows, slots: Vec::new() };
        cache.index();
        Some(cache)
    }
}

impl StatCacheBuilder {
    /// A builder for a scan to which some times prove nothing.
    pub fn new(racy: Racy) -> Self {
        Self { racy, rows: Vec::new() }
    }

    /// Remembers a file, unless it was changed so lately that its times prove nothing.
    pub fn add(&mut self, path: &[u8], stat: &FileStat, body: BodyId) {
        let is_racy = |time| self.racy.covers(stat.device, time);
        if !is_racy(stat.mtime) && !is_racy(stat.ctime) {
            self.rows.push((path.to_vec(), fingerprint(stat), body));
        }
    }

    /// Keeps a row of an earlier cache. A file that is added too replaces it if added before.
    pub fn keep(&mut self, earlier: &StatCache, row: usize) {
        if let Some((id, rest)) = earlier.row(row).split_first_chunk()
            && let Some(numbers) = rest.first_chunk()
        {
            self.rows.push((earlier.path_of(row).to_vec(), *numbers, BodyId::from_bytes(*id)));
        }
    }

    /// Puts what was collected in place of the directory's cache.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn save(mut self, lease: &Lease, context: &[u8; 32]) -> Result<(), WriteError> {
        let (vfs, scratch) = (lease.store().vfs(), lease.scratch_path());
        let file = vfs.create(&scratch).writing(&scratch)?;
        file.append(&self.encode()).writing(&scratch)?;
        let path = path(context);
        vfs.replace(&scratch, &path).writing(&path)
    }

    fn encode(&mut self) -> Vec<u8> {
        self.rows.sort_by(|a, b| a.0.cmp(&b.0));
        self.rows.dedup_by(|a, b| a.0 == b.0);
        let names = HEADER_SIZE + self.rows.len() * ROW_SIZE;
        let mut bytes = vec![0; HEADER_SIZE];
        let mut at = names;
        for (path, numbers, body) in &self.rows {
            bytes.extend_from_slice(body.as_bytes());
            bytes.extend_from_slice(numbers);
            for number in [at, path.len()] {
                bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
            }
            at += path.len();
        }
        for (path, ..) in &self.rows {
            bytes.extend_from_slice(path);
        }
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&(self.rows.len() as u64).to_le_bytes());
        let check = checksum(&bytes);
        bytes[16..24].copy_from_slice(&check.to_le_bytes());
        bytes
    }
}

/// The numbers that must be the same.
pub(crate) fn fingerprint(stat: &FileStat) -> [u8; 48] {
    let mut bytes = [0; 48];
    let times = |time: Timestamp| {
        time.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(time.nanos)).cast_unsigned()
    };
    let mode = u64::from(stat.mode);
    let numbers = [stat.device, stat.inode, stat.size, mode, times(stat.mtime), times(stat.ctime)];
    for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&bytes[..16]);
    hasher.update(&bytes[HEADER_SIZE..]);
    hasher.digest()
}

fn path(context: &[u8; 32]) -> String {
    format!("cache/stat-{}", hex(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(seconds: i64) -> FileStat {
        let time = Timestamp { seconds, nanos: 5 };
        FileStat { device: 1, inode: 2, size: 3, mode: 0o100_644, mtime: time, ctime: time }
    }

    fn sample() -> Vec<u8> {
        let mut builder = StatCacheBuilder::new(Racy::of_scan(Timestamp::from_seconds(100)));
        builder.add(b"b/c", &stat(10), BodyId::of(b"2"));
        builder.add(b"a", &stat(10), BodyId::of(b"1"));
        builder.encode()
    }

    #[test]
    fn a_file_is_known_by_its_path_and_all_its_numbers() {
        let cache = StatCache::decode(sample()).unwrap();
        assert_eq!(cache.lookup(b"a", &stat(10)), Some(BodyId::of(b"1")));
        assert_eq!(cache.lookup(b"b/c", &stat(10)), Some(BodyId::of(b"2")));
        assert_eq!(cache.lookup(b"b", &stat(10)), None);
        assert_eq!(cache.lookup(b"a", &stat(11)), None);
        assert_eq!(cache.lookup(b"a", &FileStat { inode: 9, ..stat(10) }), None);
    }

    #[test]
    fn a_file_as_young_as_the_scan_is_not_trusted() {
        let mut builder = StatCacheBuilder::new(Racy::of_scan(Timestamp::from_seconds(100)));
        builder.add(b"young", &stat(98), BodyId::of(b"1"));
        builder.add(b"old", &stat(97), BodyId::of(b"2"));
        let cache = StatCache::decode(builder.encode()).unwrap();
        assert_eq!(cache.lookup(b"young", &stat(98)), None);
        assert!(cache.lookup(b"old", &stat(97)).is_some());
    }

    #[test]
    fn a_kept_row_gives_way_to_a_file_added_before_it() {
        let earlier = StatCache::decode(sample()).unwrap();
        let mut builder = StatCacheBuilder::new(Racy::of_scan(Timestamp::from_seconds(100)));
        builder.add(b"a", &stat(11), BodyId::of(b"3"));
        for row in 0..earlier.n_files() {
            builder.keep(&earlier, row);
        }
        let cache = StatCache::decode(builder.encode()).unwrap();
        assert_eq!(cache.lookup(b"a", &stat(11)), Some(BodyId::of(b"3")));
        assert_eq!(cache.find(b"b/c", &stat(10)), Some((1, BodyId::of(b"2"))));
    }

    #[test]
    fn any_defect_makes_it_empty() {
        let intact = sample();
        for bit in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(StatCache::decode(bytes).is_none(), "bit {bit}");
        }
        for length in 0..intact.len() {
            assert!(StatCache::decode(intact[..length].to_vec()).is_none(), "{length} bytes");
        }
    }
}
