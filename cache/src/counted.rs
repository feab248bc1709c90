//! A cache that counts the bytes of the blobs that come from it and go to it.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::reference::Reference;

/// Does what another does, and counts.
pub struct CountedCache {
    inner: Arc<dyn CacheBackend>,
    fetched: AtomicU64,
    sent: AtomicU64,
}

impl CountedCache {
    /// Counts what comes and goes.
    pub fn new(inner: Arc<dyn CacheBackend>) -> Self {
        Self { inner, fetched: AtomicU64::new(0), sent: AtomicU64::new(0) }
    }

    /// How many bytes of blobs were read so far.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// How many bytes of blobs were sent so far, each blob once.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for CountedCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CountedCache").field("name", &self.inner.name()).finish_non_exhaustive()
    }
}

impl CacheBackend for CountedCache {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn repository(&self) -> Option<&Reference> {
        self.inner.repository()
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.inner.records(keys)
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
        let blob = self.inner.blob(blob, range)?;
        Ok(Box::new(CountedBlob { blob, passed: &self.fetched }))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.inner.put_blob(blob)?;
        self.sent.fetch_add(blob.size, Ordering::Relaxed);
        Ok(())
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.inner.put_records(records)
    }

    fn discredit(&self, blob: &Digest) {
        self.inner.discredit(blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        self.inner.finish()
    }

    fn complaints(&self) -> Vec<String> {
        self.inner.complaints()
    }
}

struct CountedBlob<'a> {
    blob: Box<dyn Read + Send + 'a>,
    passed: &'a AtomicU64,
}

impl Read for CountedBlob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.passed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{blob, check, keep, record};
    use crate::local::LocalCache;

    #[test]
    fn it_keeps_to_the_contract_and_counts_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let open = || CountedCache::new(Arc::new(LocalCache::new(folder.path(), "latest")));
        check(&|| Box::new(open()));
        let cache = open();
        keep(&cache, &[77]);
        keep(&cache, &[77]);
        let size = blob(77).len() as u64;
        assert_eq!((cache.sent(), cache.fetched()), (size, 0));
        let mut read = cache.blob(&record(77).blob.digest, 0..size).unwrap();
        io::copy(&mut read, &mut io::sink()).unwrap();
        assert_eq!(cache.fetched(), size);
    }
}
