//! The end of a pack: a sorted table of its objects, a fanout over it, and a tail that vouches
//! for both.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{ReadCause, ReadError};
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::{HEADER_SIZE, PackName};
use crate::sealed::Sealed;
use crate::wire::{read_u32, read_u64};

/// Length of a table entry.
pub(crate) const ENTRY_SIZE: usize = 48;

const FANOUT_SIZE: usize = 256 * 4;
const TAIL_SIZE: usize = 64;
const TAIL_MAGIC: u64 = u64::from_le_bytes(*b"wythePKE");

/// The longest object a table entry can describe.
const MAX_RAW_LEN: u64 = (1 << 48) - 1;

/// One line of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which object.
    pub name: ObjectName,
    /// Where its record begins.
    pub offset: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// Length once decoded.
    pub raw_len: u64,
}

/// The table of a pack, in memory, once its tail has been checked.
#[derive(Clone, Debug)]
pub struct Footer {
    /// The pack's name, as the table hashes.
    pub name: PackName,
    /// Where the records end, and the table begins.
    pub start: u64,
    /// The entries, then the fanout over them.
    bytes: Vec<u8>,
    hash: [u8; 32],
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY_SIZE] {
        let mut bytes = [0; ENTRY_SIZE];
        let codes = u64::from(self.name.kind.code()) << 56 | u64::from(self.encoding.code()) << 48;
        bytes[0..32].copy_from_slice(&self.name.id);
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&(codes | self.raw_len.min(MAX_RAW_LEN)).to_le_bytes());
        bytes
    }

    /// Reads one entry; `None` where a code is unknown.
    pub fn decode(bytes: &[u8; ENTRY_SIZE]) -> Option<Self> {
        let (id, _) = bytes.split_first_chunk()?;
        let packed = read_u64(bytes, 40);
        let [.., encoding, kind] = packed.to_le_bytes();
        Some(Self {
            name: ObjectName { id: *id, kind: Kind::from_code(kind)? },
            offset: read_u64(bytes, 32),
            encoding: Encoding::from_code(encoding)?,
            raw_len: packed & MAX_RAW_LEN,
        })
    }
}

/// The footer's bytes for a pack whose records end at `end`, and the name they give the pack.
pub fn encode(mut entries: Vec<Entry>, end: u64) -> (Vec<u8>, PackName) {
    entries.sort_unstable_by_key(|entry| entry.name);
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_SIZE + FANOUT_SIZE + TAIL_SIZE);
    for entry in &entries {
        bytes.extend_from_slice(&entry.encode());
    }
    for first in 0..=255u8 {
        let upto = entries.partition_point(|entry| entry.name.id[0] <= first);
        bytes.extend_from_slice(&u32::try_from(upto).unwrap_or(u32::MAX).to_le_bytes());
    }
    let hash = *blake3::hash(&bytes).as_bytes();
    let mut tail = [0; TAIL_SIZE];
    tail[0..8].copy_from_slice(&TAIL_MAGIC.to_le_bytes());
    tail[8..16].copy_from_slice(&(entries.len() as u64).to_le_bytes());
    tail[16..24].copy_from_slice(&end.to_le_bytes());
    tail[24..56].copy_from_slice(&hash);
    let check = xxh3_64(&tail[..56]);
    tail[56..64].copy_from_slice(&check.to_le_bytes());
    bytes.extend_from_slice(&tail);
    (bytes, name_of(&hash))
}

impl Footer {
    /// Reads and checks the tail of a pack, and reads its table, which is only checked by
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// If the pack is cut off, or its footer is not what was written.
    pub(crate) fn read(pack: &Sealed) -> Result<Self, ReadError> {
        let at = |cause| ReadError::new(pack.path(), cause);
        let size = pack.size();
        let body = size.checked_sub(TAIL_SIZE as u64).ok_or_else(|| at(ReadCause::Truncated))?;
        let mut tail = [0; TAIL_SIZE];
        pack.read_into(&mut tail, body)?;
        let start = check(&tail, body).map_err(at)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(&tail[24..56]);
        Ok(Self { name: name_of(&hash), start, bytes: pack.read(start..body)?, hash })
    }

    /// The table that a pack with these records should have, which end at `start`.
    pub(crate) fn of(entries: Vec<Entry>, start: u64) -> Self {
        let (mut bytes, name) = encode(entries, start);
        bytes.truncate(bytes.len() - TAIL_SIZE);
        let hash = *blake3::hash(&bytes).as_bytes();
        Self { name, start, bytes, hash }
    }

    /// Whether table and fanout are the bytes the tail vouches for.
    pub fn verify(&self) -> bool {
        *blake3::hash(&self.bytes).as_bytes() == self.hash
    }

    /// Looks an object up.
    pub fn find(&self, name: &ObjectName) -> Option<Entry> {
        self.entry(self.place(name)?)
    }

    /// At which place of the table an object stands.
    pub fn place(&self, name: &ObjectName) -> Option<usize> {
        let (table, fanout) = self.parts();
        let first = usize::from(name.id[0]);
        let below = |slot: usize| read_u32(fanout, slot * 4) as usize;
        let low = if first == 0 { 0 } else { below(first - 1) };
        let (entries, _) = table.as_chunks::<ENTRY_SIZE>();
        let bucket = entries.get(low..below(first))?;
        let key = |entry: &[u8; ENTRY_SIZE]| {
            let mut id = [0; 32];
            id.copy_from_slice(&entry[..32]);
            (id, entry[47])
        };
        let wanted = (name.id, name.kind.code());
        let at = bucket.binary_search_by(|entry| key(entry).cmp(&wanted)).ok()?;
        Some(low + at)
    }

    /// How many entries there are.
    pub fn n_entries(&self) -> usize {
        self.parts().0.len() / ENTRY_SIZE
    }

    /// The entry at a place of the table.
    pub fn entry(&self, at: usize) -> Option<Entry> {
        let (entries, _) = self.parts().0.as_chunks::<ENTRY_SIZE>();
        entries.get(at).and_then(Entry::decode)
    }

    /// All entries, in order of their names.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let (entries, _) = self.parts().0.as_chunks::<ENTRY_SIZE>();
        entries.iter().filter_map(Entry::decode)
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.bytes.len() - FANOUT_SIZE)
    }
}

/// Where the table begins, as a sound tail says that lies at `body`.
fn check(tail: &[u8; TAIL_SIZE], body: u64) -> Result<u64, ReadCause> {
    if read_u64(tail, 0) != TAIL_MAGIC || read_u64(tail, 56) != xxh3_64(&tail[..56]) {
        return Err(ReadCause::Truncated);
    }
    let (n_entries, start) = (read_u64(tail, 8), read_u64(tail, 16));
    let length = n_entries.checked_mul(ENTRY_SIZE as u64);
    let length = length.and_then(|length| length.checked_add(FANOUT_SIZE as u64));
    let end = length.and_then(|length| start.checked_add(length));
    let sound = HEADER_SIZE as u64 <= start && end == Some(body);
    sound.then_some(start).ok_or(ReadCause::Malformed("tail of a pack"))
}

fn name_of(hash: &[u8; 32]) -> PackName {
    let (name, _) = hash.split_first_chunk().expect("a hash is longer than a name");
    PackName::from_bytes(*name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;
    use crate::vfs::Vfs as _;

    fn entry(first: u8, kind: Kind) -> Entry {
        let mut id = [3; 32];
        id[0] = first;
        let name = ObjectName { id, kind };
        Entry { name, offset: 64 + u64::from(first) * 8, encoding: Encoding::Zstd, raw_len: 9 }
    }

    fn read(pack: &[u8]) -> Result<Footer, ReadError> {
        let sim = Sim::default();
        sim.create("pack").unwrap().append(pack).unwrap();
        Footer::read(&Sealed::open(&sim, "pack").unwrap())
    }

    fn pack(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes.extend(encode(entries.to_vec(), 64).0);
        bytes
    }

    #[test]
    fn every_entry_is_found_and_no_other() {
        let entries = [entry(0, Kind::Tree), entry(255, Kind::Body), entry(9, Kind::Run)];
        let pack = pack(&entries);
        let footer = read(&pack).unwrap();
        for entry in entries {
            assert_eq!(footer.find(&entry.name), Some(entry));
        }
        assert_eq!(footer.find(&entry(0, Kind::Body).name), None);
        assert_eq!(footer.find(&entry(10, Kind::Run).name), None);
        assert!(footer.verify());
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        let pack = pack(&[]);
        let footer = read(&pack).unwrap();
        assert_eq!(footer.find(&entry(0, Kind::Body).name), None);
    }

    #[test]
    fn every_shorter_pack_is_refused() {
        let pack = pack(&[entry(1, Kind::Body), entry(2, Kind::Body)]);
        for length in 0..pack.len() {
            assert!(read(&pack[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_of_the_footer_shows() {
        let intact = pack(&[entry(1, Kind::Body), entry(2, Kind::Body)]);
        for bit in 64 * 8..intact.len() * 8 {
            let mut pack = intact.clone();
            pack[bit / 8] ^= 1 << (bit % 8);
            let sound = read(&pack).is_ok_and(|footer| footer.verify());
            assert!(!sound, "bit {bit}");
        }
    }
}
