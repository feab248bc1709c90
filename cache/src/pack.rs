//! All records of a cache in one document, with the blobs that they need beside it: what registries
//! and layouts keep as one image manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Map, Value};
use wythe_store::digest::Digest;
use wythe_store::id::{CacheKey, hex, unhex};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_bundle::PortableBundle;
use wythe_store::portable_mount::PortableMount;
use wythe_store::portable_record::PortableRecord;

use crate::signature::stands_for;

/// The type of the document of records, by which a pack is known among other manifests.
pub(crate) const PACK_TYPE: &str = "application/vnd.wythe.cache.pack.v1+json";
/// How many records a pack holds. A registry takes manifests of 4 MiB, and each blob is listed in one; a
/// large build has a hundred steps.
pub(crate) const MAX_RECORDS: usize = 2000;
/// How many bytes of records a pack holds that is written: a quarter of what is read.
const MAX_WRITTEN: usize = 8 << 20;
/// The longest document of records that is read.
pub(crate) const MAX_PACK: u64 = 32 << 20;

/// A record: what it says, and its bytes.
type Kept = (PortableRecord, Vec<u8>);

/// Whether a record takes the place of one that is there: a newer state, which whoever signed that one has signed.
fn is_newer(new: &Kept, there: &Kept) -> bool {
    new.0.replaces(&there.0) && stands_for(&new.1, &there.1) && stands_for(&there.1, &new.1)
}

/// Records by key, each with what it needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pack {
    records: BTreeMap<CacheKey, Kept>,
}

impl Pack {
    /// The record under a key.
    pub(crate) fn get(&self, key: &CacheKey) -> Option<&[u8]> {
        self.records.get(key).map(|(_, bytes)| &**bytes)
    }

    /// Adds a record; one that cannot be read is none.
    pub(crate) fn insert(&mut self, key: CacheKey, bytes: &[u8]) {
        if let Some(record) = PortableRecord::decode(bytes) {
            self.records.insert(key, (record, bytes.to_vec()));
        }
    }

    /// Adds records, as they are put.
    pub(crate) fn add(&mut self, records: &[(CacheKey, Vec<u8>)]) {
        for (key, bytes) in records {
            self.insert(*key, bytes);
        }
    }

    /// Adds those of another that this one lacks or has in an older state.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, theirs) in other.records {
            // What somebody has signed is not given up for what nobody has.
            let stays = self.records.get(&key).is_some_and(|own| {
                let does = stands_for(&own.1, &theirs.1) && !is_newer(&theirs, own);
                does || !stands_for(&theirs.1, &own.1)
            });
            if !stays {
                self.records.insert(key, theirs);
            }
        }
    }

    fn bundles(&self) -> impl Iterator<Item = &PortableBundle> {
        self.records.values().filter_map(|(record, _)| match record {
            PortableRecord::Bundle(bundle) => Some(&**bundle),
            PortableRecord::Action(_)
            | PortableRecord::Mount(_)
            | PortableRecord::Document(_)
            | PortableRecord::Blobs(_) => None,
        })
    }

    /// In which bundle a blob lies, and where in it.
    pub(crate) fn bundle_of(&self, blob: &Digest) -> Option<(Descriptor, Range<u64>)> {
        self.bundles().find_map(|bundle| {
            let part = bundle.parts().find(|(digest, _)| digest == blob);
            part.map(|(_, part)| (bundle.blob().clone(), part))
        })
    }

    /// The small blobs that lie in its bundles: which bundle, which blob, and where in that it is.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Digest, Digest, Range<u64>)> {
        self.bundles().flat_map(|bundle| {
            bundle.parts().map(|(part, range)| (bundle.blob().digest, part, range))
        })
    }

    /// Takes the bundles of another in which blobs of its records lie.
    pub(crate) fn take_bundles_of(&mut self, other: &Self) {
        let mut open: BTreeSet<Digest> = self.blobs().iter().map(|blob| blob.digest).collect();
        for bundle in other.bundles() {
            let lacking = open.len();
            for (part, _) in bundle.parts() {
                open.remove(&part);
            }
            if open.len() < lacking {
                self.insert(bundle.key(), &bundle.encode());
            }
        }
    }

    /// Drops the oldest, where there are more than one pack holds, and the bundles that nothing needs then.
    pub(crate) fn keep_newest(&mut self) {
        let bundles = self.take_bundles();
        let mut by_age: Vec<_> =
            self.records.iter().map(|(key, one)| (one.0.created(), *key, one.1.len())).collect();
        by_age.sort_by_key(|(created, key, _)| (created.seconds, created.nanos, *key));
        let (mut count, mut bytes) = (0, 0);
        for (_, key, length) in by_age.iter().rev() {
            count += 1;
            bytes += length;
            if MAX_RECORDS < count || MAX_WRITTEN < bytes {
                self.records.remove(key);
            }
        }
        self.take_bundles_of(&bundles);
    }

    /// Its bundles, which it has no more.
    fn take_bundles(&mut self) -> Self {
        let is_bundle = |_: &CacheKey, one: &mut Kept| matches!(one.0, PortableRecord::Bundle(_));
        Self { records: self.records.extract_if(.., is_bundle).collect() }
    }

    /// Forgets what cannot be had without a blob that is gone: records that need it, and where it is a bundle, those
    /// that need one of its parts.
    pub(crate) fn forget(&mut self, gone: &Digest) {
        let mut all = BTreeSet::from([*gone]);
        for bundle in self.bundles().filter(|bundle| bundle.blob().digest == *gone) {
            all.extend(bundle.parts().map(|(part, _)| part));
        }
        let needs = |one: &Kept| one.0.blobs().iter().any(|blob| all.contains(&blob.digest));
        self.records.retain(|_, one| !needs(one));
    }

    /// Keeps the records that another has as well.
    pub(crate) fn retain_those_of(&mut self, other: &Self) {
        self.records.retain(|key, _| other.records.contains_key(key));
    }

    /// Its records, under their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CacheKey, &[u8])> {
        self.records.iter().map(|(key, (_, bytes))| (key, &**bytes))
    }

    /// The same records in as many packs as they need, each with the bundles of its blobs. Bundles that none needs
    /// are left out.
    pub(crate) fn split(mut self) -> Vec<Self> {
        let bundles = self.take_bundles();
        let records = self.records;
        let (mut packs, mut bytes) = (Vec::<Self>::new(), 0);
        for (key, record) in records {
            bytes += record.1.len();
            let last = packs
                .last_mut()
                .filter(|last| last.records.len() < MAX_RECORDS && bytes <= MAX_WRITTEN);
            if let Some(last) = last {
                last.records.insert(key, record);
            } else {
                bytes = record.1.len();
                packs.push(Self { records: BTreeMap::from([(key, record)]) });
            }
        }
        for pack in &mut packs {
            pack.take_bundles_of(&bundles);
        }
        packs
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds every record of another, or one in its place that will do. Where blobs lie it knows itself.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let holds = |key, new: &Kept| {
            if matches!(new.0, PortableRecord::Bundle(_)) {
                return true;
            }
            let there = self.records.get(key);
            there.is_some_and(|there| stands_for(&there.1, &new.1) && !is_newer(new, there))
        };
        other.records.iter().all(|(key, new)| holds(key, new))
    }

    /// The cache mounts among them.
    pub(crate) fn mounts(&self) -> Vec<PortableMount> {
        let mount = |(record, _): &Kept| match record {
            PortableRecord::Mount(mount) => Some((**mount).clone()),
            PortableRecord::Action(_)
            | PortableRecord::Document(_)
            | PortableRecord::Blobs(_)
            | PortableRecord::Bundle(_) => None,
        };
        self.records.values().filter_map(mount).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What has to be there for its records, each blob once: instead of those that lie in a bundle, that.
    pub(crate) fn blobs(&self) -> Vec<&Descriptor> {
        let parts = self.bundles().flat_map(|bundle| bundle.parts().map(|(part, _)| part));
        let parts: BTreeSet<Digest> = parts.collect();
        let lies_apart = |record: &PortableRecord, blob: &Descriptor| match record {
            PortableRecord::Blobs(_) | PortableRecord::Bundle(_) => true,
            PortableRecord::Action(_) | PortableRecord::Mount(_) | PortableRecord::Document(_) => {
                !parts.contains(&blob.digest)
            }
        };
        let blobs = self.records.values().flat_map(|(record, _)| {
            record.blobs().into_iter().filter(|blob| lies_apart(record, blob))
        });
        let unique: BTreeMap<_, _> = blobs.map(|blob| (blob.digest, blob)).collect();
        unique.into_values().collect()
    }

    /// How long a blob is that a record speaks of.
    pub(crate) fn size_of(&self, digest: &Digest) -> Option<u64> {
        let mut blobs = self.records.values().flat_map(|(record, _)| record.blobs());
        blobs.find(|blob| blob.digest == *digest).map(|blob| blob.size)
    }

    /// The document of records: an object from keys to records, which are kept as they came.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let entry = |(key, (_, bytes)): (&CacheKey, &Kept)| {
            let record = serde_json::from_slice::<Value>(bytes).ok()?;
            Some((hex(key.as_bytes()), record))
        };
        let records: Map<String, Value> = self.records.iter().filter_map(entry).collect();
        Value::Object(records).to_string().into_bytes()
    }

    /// Reads a document of records. What cannot be read of it is left out.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let records: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let mut pack = Self::default();
        for (key, record) in records {
            if let Some(key) = unhex(&key) {
                pack.insert(CacheKey::from_bytes(key), record.to_string().as_bytes());
            }
        }
        Some(pack)
    }

    /// The manifest that keeps the document and all blobs alive.
    pub(crate) fn manifest(&self, document: &[u8]) -> Vec<u8> {
        let config = Descriptor::of(MediaType::new(PACK_TYPE), document);
        Manifest::new(config, self.blobs().into_iter().cloned().collect()).to_bytes()
    }
}

/// The document of records that a manifest has; `None` where it is somebody else's.
pub(crate) fn document_of(manifest: &[u8]) -> Option<Descriptor> {
    let manifest = Manifest::parse(manifest).ok()?;
    let is_ours = manifest.config.media_type.as_str() == PACK_TYPE;
    (is_ours && manifest.config.size <= MAX_PACK).then_some(manifest.config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::record;

    fn pack(numbers: impl IntoIterator<Item = i64>) -> Pack {
        let mut pack = Pack::default();
        for number in numbers {
            pack.insert(CacheKey::of(&number.to_le_bytes()), &record(number).encode());
        }
        pack
    }

    #[test]
    fn a_pack_reads_back_and_is_the_same_bytes_whoever_writes_it() {
        let one = pack([1, 2]);
        let bytes = one.to_bytes();
        assert_eq!(Pack::of_bytes(&bytes).unwrap().to_bytes(), bytes);
        assert_eq!(
            document_of(&one.manifest(&bytes)).unwrap().digest,
            wythe_store::digest::Digest::of(&bytes)
        );
    }

    #[test]
    fn of_a_mount_the_newest_record_stays_whoever_merges() {
        let saved = |second| {
            let (key, bytes) = crate::contract::mount(second);
            let mut pack = Pack::default();
            pack.insert(key, &bytes);
            pack
        };
        let (old, new) = (saved(1), saved(2));
        for (mut one, other) in [(old.clone(), new.clone()), (new.clone(), old.clone())] {
            one.merge(other);
            assert_eq!(one, new);
        }
        assert!(new.contains(&old) && !old.contains(&new));
        assert_eq!(new.mounts().len(), 1);
    }

    #[test]
    fn of_too_many_records_the_newest_stay_or_there_are_more_packs() {
        let many = i64::try_from(MAX_RECORDS).unwrap();
        let mut one = pack(0..=many);
        let packs = one.clone().split();
        assert_eq!(packs.iter().map(Pack::len).collect::<Vec<_>>(), [MAX_RECORDS, 1]);
        assert!(packs.iter().all(|part| one.contains(part)));
        one.keep_newest();
        assert_eq!(one.len(), MAX_RECORDS);
        assert!(one.contains(&pack([1, many])) && !one.contains(&pack([0])));
    }
}
