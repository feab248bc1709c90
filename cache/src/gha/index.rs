//! What packs hold: the index that each pack carries, of itself and of those before it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use wythe_store::digest::Digest;
use wythe_store::id::{CacheKey, hex, unhex};
use wythe_store::portable_record::PortableRecord;

/// How many packs an index speaks of: those of some weeks, and the service removes what is not used for a week.
pub(super) const MAX_PACKS: usize = 64;
/// How long an index may be once it is unpacked.
pub(super) const MAX_INDEX: usize = 32 << 20;
/// How many bytes of records an index carries on from older packs.
const MAX_RECORDS: usize = 12 << 20;
const ZSTD_LEVEL: i32 = 3;

/// What some packs hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Index {
    pub(super) packs: BTreeMap<u64, PackEntry>,
    pub(super) blobs: BTreeMap<Digest, Place>,
    pub(super) records: BTreeMap<CacheKey, Record>,
}

/// A pack, by its number.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct PackEntry {
    /// Where in its bytes its blobs begin.
    pub(super) data: u64,
    /// Other packs that hold blobs of its records.
    pub(super) needs: BTreeSet<u64>,
}

/// Where a blob is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) pack: u64,
    /// From where the pack's blobs begin.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// A record, and the pack that brought it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) pack: u64,
    pub(super) bytes: Vec<u8>,
}

/// An index as JSON, for zstd to make small.
#[derive(Deserialize, Serialize)]
struct Written {
    packs: Vec<(u64, u64, Vec<u64>)>,
    blobs: Vec<(Digest, u64, u64, u64)>,
    records: Vec<(String, u64, String)>,
}

impl Index {
    /// Takes over what another index knows. Of what both know, the higher pack's is taken.
    pub(super) fn merge(&mut self, other: Self) {
        self.packs.extend(other.packs);
        for (digest, place) in other.blobs {
            let known = self.blobs.entry(digest).or_insert(place);
            if known.pack < place.pack {
                *known = place;
            }
        }
        for (key, record) in other.records {
            match self.records.get(&key) {
                Some(known) if record.pack <= known.pack => {}
                _ => drop(self.records.insert(key, record)),
            }
        }
    }

    /// Forgets a blob, and the records that need it.
    pub(super) fn forget(&mut self, gone: &Digest) {
        self.blobs.remove(gone);
        let needs = |record: PortableRecord| record.blobs().iter().any(|blob| blob.digest == *gone);
        self.records.retain(|_, one| !PortableRecord::decode(&one.bytes).is_some_and(needs));
    }

    /// Forgets the oldest packs beyond what an index is to carry.
    pub(super) fn trim(&mut self) {
        let mut bytes: usize = self.records.values().map(|record| record.bytes.len()).sum();
        while self.packs.len() > MAX_PACKS || (bytes > MAX_RECORDS && self.packs.len() > 1) {
            let Some((oldest, _)) = self.packs.pop_first() else { break };
            self.blobs.retain(|_, place| place.pack != oldest);
            let gone = |pack: u64| {
                pack == oldest
                    || self.packs.get(&pack).is_none_or(|pack| pack.needs.contains(&oldest))
            };
            self.records.retain(|_, record| !gone(record.pack));
            bytes = self.records.values().map(|record| record.bytes.len()).sum();
        }
    }

    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let pack = |(number, pack): (&u64, &PackEntry)| {
            (*number, pack.data, pack.needs.iter().copied().collect())
        };
        let blob =
            |(digest, place): (&Digest, &Place)| (*digest, place.pack, place.start, place.length);
        let record = |(key, record): (&CacheKey, &Record)| {
            (hex(key.as_bytes()), record.pack, STANDARD_NO_PAD.encode(&record.bytes))
        };
        let written = Written {
            packs: self.packs.iter().map(pack).collect(),
            blobs: self.blobs.iter().map(blob).collect(),
            records: self.records.iter().map(record).collect(),
        };
        zstd::bulk::compress(&serde_json::to_vec(&written)?, ZSTD_LEVEL)
    }

    /// The index in these bytes; `None` if there is none, or one that contradicts itself.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let json = zstd::bulk::decompress(bytes, MAX_INDEX).ok()?;
        let written: Written = serde_json::from_slice(&json).ok()?;
        let packs = written.packs.into_iter().map(|(number, data, needs)| {
            (number, PackEntry { data, needs: needs.into_iter().collect() })
        });
        let mut index = Self { packs: packs.collect(), ..Self::default() };
        for (digest, pack, start, length) in written.blobs {
            start.checked_add(length)?.checked_add(index.packs.get(&pack)?.data)?;
            index.blobs.insert(digest, Place { pack, start, length });
        }
        for (key, pack, bytes) in written.records {
            let (key, bytes) =
                (CacheKey::from_bytes(unhex(&key)?), STANDARD_NO_PAD.decode(bytes).ok()?);
            index.records.insert(key, Record { pack, bytes });
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(pack: u64, record: &[u8]) -> Index {
        let needs = BTreeSet::from([pack - 1]);
        let mut index = Index::default();
        index.packs.insert(pack, PackEntry { data: 64, needs });
        index.blobs.insert(Digest::of(b"b"), Place { pack, start: 3, length: 1 });
        index.records.insert(CacheKey::of(b"k"), Record { pack, bytes: record.to_vec() });
        index
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let index = index(7, b"record");
        assert_eq!(Index::decode(&index.encode().unwrap()), Some(index));
    }

    #[test]
    fn what_is_no_index_or_leads_out_of_every_pack_is_none() {
        assert_eq!(Index::decode(b"not zstd"), None);
        let mut without = index(7, b"");
        without.packs.clear();
        assert_eq!(Index::decode(&without.encode().unwrap()), None);
        let mut beyond = index(7, b"");
        beyond.blobs.insert(Digest::of(b"x"), Place { pack: 7, start: u64::MAX, length: 1 });
        assert_eq!(Index::decode(&beyond.encode().unwrap()), None);
    }

    #[test]
    fn of_two_packs_the_newer_counts_in_either_order() {
        for (mut one, other) in
            [(index(7, b"old"), index(9, b"new")), (index(9, b"new"), index(7, b"old"))]
        {
            one.merge(other);
            assert_eq!(one.packs.len(), 2);
            assert_eq!(one.blobs[&Digest::of(b"b")].pack, 9);
            assert_eq!(one.records[&CacheKey::of(b"k")].bytes, b"new");
        }
    }

    #[test]
    fn the_oldest_packs_go_with_what_relied_on_them() {
        let mut all = Index::default();
        for pack in 1..=(MAX_PACKS as u64 + 1) {
            all.packs.insert(pack, PackEntry { data: 0, needs: BTreeSet::from([pack - 1]) });
            let place = Place { pack, start: 0, length: 1 };
            all.blobs.insert(Digest::of(&pack.to_le_bytes()), place);
            let record = Record { pack, bytes: Vec::new() };
            all.records.insert(CacheKey::of(&pack.to_le_bytes()), record);
        }
        all.trim();
        assert_eq!(all.packs.keys().next(), Some(&2));
        assert_eq!((all.blobs.len(), all.records.len()), (MAX_PACKS, MAX_PACKS - 1));
    }
}
