//! A cache that several write to one after another, and of which what makes all of that found is written once: an
//! entry at GitHub, or the index of a registry.

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::reference::Reference;
use wythe_store::patience::{Late, Patience};

/// Does what another does, but finishes only when it is told to [settle](Self::settle).
pub struct DeferredCache {
    inner: Arc<dyn CacheBackend>,
    /// Whether somebody who wrote has finished since it was settled.
    is_owed: AtomicBool,
}

/// A cache of which what was written is not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// It could not be written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It was not waited for any longer.
    #[error(transparent)]
    Late(#[from] Late),
}

impl DeferredCache {
    /// One to which nothing was written yet.
    pub fn new(inner: Arc<dyn CacheBackend>) -> Self {
        Self { inner, is_owed: AtomicBool::new(false) }
    }

    /// Writes what is left to write, if anybody has finished, with so much patience. Nothing is put afterwards.
    ///
    /// # Errors
    ///
    /// If the cache fails or takes too long; what other machines have written stays found.
    pub fn settle(&self, patience: &Patience) -> Result<(), SettleError> {
        if !self.is_owed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let inner = self.inner.clone();
        Ok(patience.wait_for(&*self.inner, move || inner.finish())??)
    }
}

impl fmt::Debug for DeferredCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DeferredCache").field("name", &self.inner.name()).finish_non_exhaustive()
    }
}

impl CacheBackend for DeferredCache {
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
        self.inner.blob(blob, range)
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.inner.put_blob(blob)
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.inner.put_records(records)
    }

    fn discredit(&self, blob: &Digest) {
        self.inner.discredit(blob);
    }

    fn finish(&self) -> Result<(), CacheError> {
        self.is_owed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn complaints(&self) -> Vec<String> {
        self.inner.complaints()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contract::{keep, mount};
    use crate::local::LocalCache;

    const TIME: Duration = Duration::from_mins(1);

    #[test]
    fn what_several_have_written_is_found_once_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LocalCache::new(folder.path(), "latest");
        let cache = DeferredCache::new(Arc::new(open()));
        cache.settle(&Patience::of(TIME)).unwrap();
        assert!(!folder.path().join("index.json").exists(), "nobody has written");
        keep(&cache, &[1]);
        let (key, record) = mount(1);
        cache.put_records(&[(key, record)]).unwrap();
        cache.finish().unwrap();
        let keys = [CacheKey::of(&1i64.to_le_bytes()), key];
        assert_eq!(open().records(&keys).unwrap(), [None, None]);
        cache.settle(&Patience::of(TIME)).unwrap();
        assert!(open().records(&keys).unwrap().iter().all(Option::is_some));
    }
}
