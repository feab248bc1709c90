//! The sorted state a log starts from: an immutable file, held in memory.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{At, ReadError};
use crate::vfs::{Vfs, read_from};
use crate::wire::{read_u32, read_u64};

const MAGIC: u64 = u64::from_le_bytes(*b"wytheJB1");
const HEADER_SIZE: usize = 64;
const ENTRY_HEADER_SIZE: usize = 16;
const ALIGNMENT: usize = 8;

/// Keys and values in order of the keys.
#[derive(Debug)]
pub struct JournalBase {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    sequence: u64,
    intact: bool,
}

impl JournalBase {
    /// Reads a base and checks all of it. Where that fails, what is intact is still found.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn open(vfs: &dyn Vfs, path: &str) -> Result<Self, ReadError> {
        let bytes = vfs.open(path).and_then(|file| read_from(&*file, 0)).reading(path)?;
        if let Some((sequence, offsets)) = whole(&bytes) {
            return Ok(Self { bytes, offsets, sequence, intact: true });
        }
        let offsets = salvage(&bytes);
        let sequence = if bytes.len() < HEADER_SIZE { 0 } else { read_u64(&bytes, 8) };
        Ok(Self { bytes, offsets, sequence, intact: false })
    }

    /// The number of the last group that went into it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether all of it is as it was written.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Length of the file.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let at = self.offsets.binary_search_by(|&offset| self.entry(offset).0.cmp(key)).ok()?;
        Some(self.entry(self.offsets[at]).1)
    }

    /// The entries whose keys begin with `prefix`.
    pub fn range<'base>(
        &'base self,
        prefix: &'base [u8],
    ) -> impl Iterator<Item = (&'base [u8], &'base [u8])> {
        let from = self.offsets.partition_point(|&offset| self.entry(offset).0 < prefix);
        let entries = self.offsets[from..].iter().map(|&offset| self.entry(offset));
        entries.take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn entry(&self, offset: usize) -> (&[u8], &[u8]) {
        let (key, value) = parts(&self.bytes, offset).unwrap_or((0..0, 0..0));
        (&self.bytes[key], &self.bytes[value])
    }
}

/// The bytes of a base. Keys must come sorted and each once.
pub fn encode<'entry>(
    sequence: u64,
    entries: impl Iterator<Item = (&'entry [u8], &'entry [u8])>,
) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_SIZE];
    let mut offsets = Vec::new();
    for (key, value) in entries {
        offsets.push(bytes.len() as u64);
        encode_entry(key, value, &mut bytes);
    }
    let table = bytes.len() as u64;
    for offset in &offsets {
        bytes.extend_from_slice(&offset.to_le_bytes());
    }
    bytes[0..8].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[8..16].copy_from_slice(&sequence.to_le_bytes());
    bytes[16..24].copy_from_slice(&table.to_le_bytes());
    let body = xxh3_64(&bytes[HEADER_SIZE..]);
    bytes[24..32].copy_from_slice(&body.to_le_bytes());
    let head = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&head.to_le_bytes());
    bytes
}

fn encode_entry(key: &[u8], value: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&length(key));
    bytes.extend_from_slice(&length(value));
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    let check = xxh3_64(&bytes[start + 8..]);
    bytes[start..start + 8].copy_from_slice(&check.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Sequence and offsets of a base whose checksums hold.
fn whole(map: &[u8]) -> Option<(u64, Vec<usize>)> {
    let header = map.get(..HEADER_SIZE)?;
    let sound = read_u64(header, 0) == MAGIC
        && read_u64(header, 56) == xxh3_64(&header[..56])
        && read_u64(header, 24) == xxh3_64(&map[HEADER_SIZE..]);
    if !sound {
        return None;
    }
    let table = map.get(usize::try_from(read_u64(header, 16)).ok()?..)?;
    let (offsets, _) = table.as_chunks::<8>();
    let offsets = offsets.iter().map(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).ok());
    Some((read_u64(header, 8), offsets.collect::<Option<_>>()?))
}

/// Offsets of the entries of a damaged base whose own checksums hold.
fn salvage(map: &[u8]) -> Vec<usize> {
    let mut offsets: Vec<usize> = Vec::new();
    let mut at = HEADER_SIZE;
    while at < map.len() {
        match intact_entry(map, at) {
            Some(end) => {
                offsets.push(at);
                at = end.next_multiple_of(ALIGNMENT);
            }
            None => at += ALIGNMENT,
        }
    }
    let key = |&offset: &usize| parts(map, offset).map(|(key, _)| &map[key]);
    offsets.sort_by(|a, b| key(a).cmp(&key(b)));
    offsets.dedup_by(|a, b| key(a) == key(b));
    offsets
}

fn intact_entry(map: &[u8], at: usize) -> Option<usize> {
    let (key, value) = parts(map, at)?;
    let sound = !key.is_empty() && read_u64(map, at) == xxh3_64(&map[at + 8..value.end]);
    sound.then_some(value.end)
}

fn parts(map: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let start = at + ENTRY_HEADER_SIZE;
    let header = map.get(at..start)?;
    let key = start..start + read_u32(header, 8) as usize;
    let value = key.end..key.end + read_u32(header, 12) as usize;
    (value.end <= map.len()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;

    const ENTRIES: [(&[u8], &[u8]); 3] = [(b"\x01a", b"1"), (b"\x01b", b"22"), (b"\x02a", b"333")];

    fn open(bytes: &[u8]) -> JournalBase {
        let sim = Sim::default();
        sim.create("base").unwrap().append(bytes).unwrap();
        JournalBase::open(&sim, "base").unwrap()
    }

    #[test]
    fn every_entry_is_found_by_key_and_by_prefix() {
        let base = open(&encode(5, ENTRIES.into_iter()));
        assert!(base.is_intact());
        for (key, value) in ENTRIES {
            assert_eq!(base.get(key), Some(value));
        }
        assert_eq!(base.get(b"\x01c"), None);
        assert_eq!(base.range(b"\x01").count(), 2);
    }

    #[test]
    fn a_flipped_bit_costs_at_most_the_entry_it_is_in() {
        let intact = encode(5, ENTRIES.into_iter());
        for bit in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let base = open(&bytes);
            assert!(!base.is_intact(), "bit {bit}");
            let found = ENTRIES.iter().filter(|(key, value)| base.get(key) == Some(value));
            assert!(found.count() >= 2, "bit {bit}");
        }
    }

    #[test]
    fn a_base_cut_anywhere_gives_what_is_left() {
        let intact = encode(5, ENTRIES.into_iter());
        for length in 0..intact.len() {
            let base = open(&intact[..length]);
            assert!(!base.is_intact(), "{length} bytes");
            for (key, value) in ENTRIES {
                assert!(base.get(key).is_none_or(|found| found == value), "{length} bytes");
            }
        }
    }
}
