//! What a name in a bucket stands for: one object with the records of its builds, and with the blobs that were seen.
//!
//! A build reads it once and writes it once at most, however many steps it has. Blobs that were seen lately are not
//! asked after again.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use wythe_store::digest::Digest;
use wythe_store::id::{CacheKey, hex, unhex};
use wythe_store::portable_bundle::PortableBundle;
use wythe_store::portable_record::PortableRecord;

/// The form of the object. One of another form is as none, and is written over: who knows the first alone knows no bundles.
const VERSION: u32 = 2;
/// The forms that are read.
const READ: [u32; 2] = [1, VERSION];
/// What the record of a bundle begins with, as it is written here.
const BUNDLE: &[u8] = br#"{"kind":"bundle""#;
/// How long an index may be once it is unpacked.
pub(super) const MAX_INDEX: usize = 32 << 20;
/// How many bytes of records it keeps: the newest.
const MAX_RECORDS: usize = 12 << 20;
/// How many blobs it remembers: the ones that were seen last.
const MAX_BLOBS: usize = 50_000;
const ZSTD_LEVEL: i32 = 3;

/// Records, and blobs that are there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Index {
    pub(super) records: BTreeMap<CacheKey, Record>,
    /// When each was seen or written, in seconds since 1970.
    pub(super) blobs: BTreeMap<Digest, i64>,
}

/// A record, and when it was written, in seconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) written: i64,
    pub(super) bytes: Vec<u8>,
}

#[derive(Deserialize, Serialize)]
struct Written {
    version: u32,
    records: Vec<(String, i64, String)>,
    blobs: Vec<(String, i64)>,
}

impl Index {
    /// Takes over what another index knows. Of what both know, the newer is taken, or else the other's.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, record) in other.records {
            match self.records.get(&key) {
                Some(known) if record.written < known.written => {}
                _ => drop(self.records.insert(key, record)),
            }
        }
        for (digest, seen) in other.blobs {
            let known = self.blobs.entry(digest).or_insert(seen);
            *known = seen.max(*known);
        }
    }

    /// What lies in one blob with others.
    pub(super) fn bundles(&self) -> impl Iterator<Item = PortableBundle> {
        let records = self.records.values().filter(|record| record.bytes.starts_with(BUNDLE));
        records.filter_map(|record| PortableBundle::decode(&record.bytes))
    }

    /// Forgets a blob that is gone, what lay in it, and the records that need any of that.
    pub(super) fn forget(&mut self, gone: &Digest) {
        self.blobs.remove(gone);
        let bundles = self.bundles().filter(|bundle| bundle.blob().digest == *gone);
        let parts: Vec<PortableBundle> = bundles.collect();
        let mut all: BTreeSet<Digest> =
            parts.iter().flat_map(|bundle| bundle.parts().map(|(part, _)| part)).collect();
        all.insert(*gone);
        let needs =
            |record: PortableRecord| record.blobs().iter().any(|blob| all.contains(&blob.digest));
        self.records.retain(|_, one| !PortableRecord::decode(&one.bytes).is_some_and(needs));
    }

    /// Whether it has every record of another, or newer ones.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let newer = |key, record: &Record| {
            self.records.get(key).is_some_and(|known| record.written <= known.written)
        };
        other.records.iter().all(|(key, record)| newer(key, record))
    }

    /// Forgets the oldest beyond what it is to carry.
    fn trim(&mut self) {
        let mut ages: Vec<(i64, CacheKey, usize)> =
            self.records.iter().map(|(key, one)| (one.written, *key, one.bytes.len())).collect();
        ages.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
        let mut sum = 0;
        for (_, key, length) in ages {
            sum += length;
            if MAX_RECORDS < sum {
                self.records.remove(&key);
            }
        }
        let mut ages: Vec<(i64, Digest)> =
            self.blobs.iter().map(|(digest, seen)| (*seen, *digest)).collect();
        ages.sort_by(|one, other| other.cmp(one));
        for (_, digest) in ages.into_iter().skip(MAX_BLOBS) {
            self.blobs.remove(&digest);
        }
    }

    pub(super) fn encode(&mut self) -> std::io::Result<Vec<u8>> {
        self.trim();
        let record = |(key, record): (&CacheKey, &Record)| {
            (hex(key.as_bytes()), record.written, STANDARD_NO_PAD.encode(&record.bytes))
        };
        let written = Written {
            version: VERSION,
            records: self.records.iter().map(record).collect(),
            blobs: self.blobs.iter().map(|(digest, seen)| (digest.to_string(), *seen)).collect(),
        };
        zstd::bulk::compress(&serde_json::to_vec(&written)?, ZSTD_LEVEL)
    }

    /// The index in these bytes; `None` if there is none of this form.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let json = zstd::bulk::decompress(bytes, MAX_INDEX).ok()?;
        let written: Written = serde_json::from_slice(&json).ok()?;
        if !READ.contains(&written.version) {
            return None;
        }
        let mut index = Self::default();
        for (key, time, bytes) in written.records {
            let key = CacheKey::from_bytes(unhex(&key)?);
            let bytes = STANDARD_NO_PAD.decode(bytes).ok()?;
            index.records.insert(key, Record { written: time, bytes });
        }
        for (digest, seen) in written.blobs {
            index.blobs.insert(digest.parse().ok()?, seen);
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(key: &[u8], written: i64, bytes: &[u8]) -> Index {
        let mut index = Index::default();
        index.records.insert(CacheKey::of(key), Record { written, bytes: bytes.to_vec() });
        index.blobs.insert(Digest::of(key), written);
        index
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let mut one = index(b"k", 7, b"record");
        let bytes = one.encode().unwrap();
        assert_eq!(Index::decode(&bytes), Some(one));
        assert_eq!(Index::decode(b"not zstd"), None);
        let other = zstd::bulk::compress(br#"{"version":3,"records":[],"blobs":[]}"#, 1).unwrap();
        assert_eq!(Index::decode(&other), None);
    }

    #[test]
    fn of_two_records_the_newer_counts_in_either_order() {
        let (old, new) = (index(b"k", 1, b"old"), index(b"k", 2, b"new"));
        for (mut one, other) in [(old.clone(), new.clone()), (new.clone(), old.clone())] {
            one.merge(other);
            assert_eq!(one, new);
        }
        assert!(new.holds(&old) && !old.holds(&new));
    }

    #[test]
    fn the_oldest_records_go_where_there_are_too_many() {
        let mut all = index(b"old", 1, &vec![0; MAX_RECORDS]);
        all.merge(index(b"new", 2, b"x"));
        all.encode().unwrap();
        assert_eq!(all.records.keys().collect::<Vec<_>>(), [&CacheKey::of(b"new")]);
    }
}
