//! A cache of which only what is signed is believed, and to which only what is signed is written.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_document::PortableDocument;

use crate::signature::{Distrust, SigningKey, VerifyKey, sign, verify};

/// Whose records are believed, and who signs.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Signs what is written; nobody does where there is none.
    pub sign: Option<Arc<SigningKey>>,
    /// Have signed what is believed; everything is where there are none.
    pub verify: Vec<VerifyKey>,
}

impl Trust {
    /// Whether nothing is signed and everything believed.
    pub fn is_indifferent(&self) -> bool {
        self.sign.is_none() && self.verify.is_empty()
    }
}

/// A cache, and whose records of it are believed.
pub struct SignedCache {
    inner: Arc<dyn CacheBackend>,
    trust: Trust,
    /// How many records were refused for which reason, since that was last told.
    refused: Mutex<BTreeMap<Distrust, usize>>,
}

impl std::fmt::Debug for SignedCache {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = out.debug_struct("SignedCache");
        out.field("name", &self.inner.name()).field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl SignedCache {
    /// A cache that is used as `trust` says.
    pub fn new(inner: Arc<dyn CacheBackend>, trust: Trust) -> Self {
        Self { inner, trust, refused: Mutex::default() }
    }

    /// What of a record is to be believed.
    fn believed(&self, key: &CacheKey, record: Vec<u8>) -> Option<Vec<u8>> {
        if self.trust.verify.is_empty() {
            return Some(record);
        }
        let verified = verify(key, &record, &self.trust.verify);
        // A document is what its digest says, whoever has kept it.
        let is_document = || PortableDocument::decode(&record).is_some_and(|one| one.key() == *key);
        match verified {
            Ok(believed) => Some(believed),
            Err(_) if is_document() => Some(record),
            Err(why) => {
                self.refuse(why);
                None
            }
        }
    }

    fn refuse(&self, why: Distrust) {
        // A panic while it is held leaves a count.
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
    }
}

impl CacheBackend for SignedCache {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn repository(&self) -> Option<&Reference> {
        self.inner.repository()
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let found = self.inner.records(keys)?;
        let believed = |(key, record): (&CacheKey, Option<Vec<u8>>)| self.believed(key, record?);
        Ok(keys.iter().zip(found).map(believed).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        self.inner.missing(blobs)
    }

    fn unasked(&self) -> u64 {
        self.inner.unasked()
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        self.inner.blob(blob, range)
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.inner.put_blob(blob)
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        let Some(with) = &self.trust.sign else { return self.inner.put_records(records) };
        let signed = |(key, record): &(CacheKey, Vec<u8>)| (*key, sign(key, record, with));
        self.inner.put_records(&records.iter().map(signed).collect::<Vec<_>>())
    }

    fn discredit(&self, blob: &Digest) {
        self.inner.discredit(blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        self.inner.finish()
    }

    fn complaints(&self) -> Vec<String> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = std::mem::take(&mut *refused);
        let told = refused.into_iter().map(|(why, count)| {
            let results = if count == 1 { "1 result that is" } else { "results that are" };
            let count = if count == 1 { String::new() } else { format!("{count} ") };
            format!("cache {}: {count}{results} {why}: not used", self.name())
        });
        told.chain(self.inner.complaints()).collect()
    }
}

#[cfg(test)]
mod tests {
    use wythe_store::oci::media_type::MediaType;
    use wythe_store::portable_mount::PortableMount;
    use wythe_store::timestamp::Timestamp;

    use super::*;
    use crate::contract::{check, keep, mount, record};
    use crate::local::LocalCache;

    fn key(seed: u8) -> Arc<SigningKey> {
        Arc::new(SigningKey::of_seed([seed; 32]))
    }

    /// A directory, as who signs with one key and believes others sees it.
    fn open(place: &std::path::Path, signs: Option<u8>, believes: &[u8]) -> SignedCache {
        let verify = believes.iter().map(|seed| key(*seed).verify_key()).collect();
        let trust = Trust { sign: signs.map(key), verify };
        SignedCache::new(Arc::new(LocalCache::new(place, "latest")), trust)
    }

    fn knows(cache: &SignedCache, number: i64) -> bool {
        let key = CacheKey::of(&number.to_le_bytes());
        cache.records(&[key]).unwrap()[0].is_some()
    }

    #[test]
    fn a_signed_cache_keeps_to_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("not/there");
        check(&|| Box::new(open(&place, Some(1), &[1])));
    }

    #[test]
    fn only_what_a_key_to_believe_has_signed_is_used_and_the_rest_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        keep(&open(folder.path(), None, &[]), &[1, 2]);
        keep(&open(folder.path(), Some(1), &[]), &[3]);
        keep(&open(folder.path(), Some(2), &[]), &[4]);
        for (believes, known) in
            [(&[][..], [1, 1, 1, 1]), (&[1], [0, 0, 1, 0]), (&[1, 2], [0, 0, 1, 1])]
        {
            let cache = open(folder.path(), None, believes);
            for (number, known) in (1..).zip(known) {
                assert_eq!(knows(&cache, number), known == 1, "{believes:?} {number}");
            }
            let others = usize::from(believes.len() == 1);
            let unsigned = usize::from(!believes.is_empty());
            assert_eq!(cache.complaints().len(), others + unsigned, "{believes:?}");
            assert!(cache.complaints().is_empty());
        }
    }

    #[test]
    fn a_document_needs_no_signature_and_another_one_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let document = |bytes: &[u8]| {
            PortableDocument::new(MediaType::CONFIG, bytes, Timestamp::default()).unwrap()
        };
        let (one, other) = (document(b"{}"), document(b"[]"));
        let unsigned = open(folder.path(), None, &[]);
        let forged = CacheKey::of(b"forged");
        unsigned.put_records(&[(one.key(), one.encode()), (forged, other.encode())]).unwrap();
        unsigned.finish().unwrap();
        let cache = open(folder.path(), None, &[1]);
        let found = cache.records(&[one.key(), forged]).unwrap();
        let read = |found: &Option<Vec<u8>>| PortableDocument::decode(found.as_deref()?);
        assert_eq!(found.iter().map(read).collect::<Vec<_>>(), [Some(one), None]);
        assert_eq!(cache.complaints().len(), 1);
    }

    #[test]
    fn a_mount_that_nobody_to_believe_has_signed_is_not_restored_and_a_forged_one_neither() {
        let folder = tempfile::tempdir().unwrap();
        let put = |cache: &SignedCache, (key, bytes): (CacheKey, Vec<u8>)| {
            cache.put_records(&[(key, bytes)]).unwrap();
            cache.finish().unwrap();
        };
        let (key, unsigned) = mount(1);
        put(&open(folder.path(), None, &[]), (key, unsigned));
        let believes = || open(folder.path(), None, &[1]);
        let saved = |cache: &SignedCache| {
            let found = cache.records(&[key]).unwrap().remove(0);
            found.and_then(|bytes| PortableMount::decode(&bytes)).map(|one| one.created.seconds)
        };
        let refusing = believes();
        assert_eq!(saved(&refusing), None);
        assert!(refusing.complaints()[0].contains("not signed"));
        put(&open(folder.path(), Some(1), &[1]), mount(2));
        assert_eq!(saved(&believes()), Some(2));
        // Somebody takes the signature of that for a later state of their own, or signs with a key of their own.
        let raw = LocalCache::new(folder.path(), "latest");
        let signed = raw.records(&[key]).unwrap().remove(0).unwrap();
        let mut members: serde_json::Value = serde_json::from_slice(&signed).unwrap();
        members["created"][0] = 9.into();
        raw.put_records(&[(key, members.to_string().into_bytes())]).unwrap();
        raw.finish().unwrap();
        let refusing = believes();
        assert_eq!(saved(&refusing), None);
        assert!(refusing.complaints()[0].contains("wrongly signed"));
        put(&open(folder.path(), Some(2), &[2]), mount(10));
        assert_eq!(saved(&believes()), None);
    }

    #[test]
    fn what_nobody_to_believe_has_signed_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        keep(&open(folder.path(), None, &[]), &[1]);
        keep(&open(folder.path(), Some(2), &[]), &[1]);
        assert!(!knows(&open(folder.path(), None, &[1]), 1));
        keep(&open(folder.path(), Some(1), &[1]), &[1]);
        assert!(knows(&open(folder.path(), None, &[1]), 1));
        // Who signs with nothing leaves it.
        keep(&open(folder.path(), None, &[]), &[1]);
        assert!(knows(&open(folder.path(), None, &[1]), 1));
        assert!(
            open(folder.path(), None, &[]).missing(&[record(1).blob.digest]).unwrap().is_empty()
        );
    }
}
