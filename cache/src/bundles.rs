//! Small blobs, which lie in one: for each a server would be asked once to three times, which takes longer than to
//! send it. So those of a build are one upload, and who needs some of them reads all of them at once.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wythe_store::cache_backend::{CacheBlob, CacheError};
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::portable_bundle::{MAX_PARTS, PortableBundle};

/// Blobs up to this lie in bundles: three requests, of 20 ms each, take as long as to send this on a line of 5 MB/s.
pub(crate) const SMALL: u64 = 256 << 10;
/// A bundle is sent when it has grown to this, or the build has ended. Until then it is kept in memory.
const FULL: usize = 8 << 20;
/// Bundles up to this are read whole, and kept for who needs another part. That is a request for thirty layers
/// which each would take one.
const READ_WHOLE: u64 = 1 << 20;

/// Those of a cache.
#[derive(Debug, Default)]
pub(crate) struct Bundles {
    draft: Mutex<Draft>,
    read: Mutex<BTreeMap<Digest, Arc<[u8]>>>,
}

/// One that grows.
#[derive(Debug, Default)]
struct Draft {
    bytes: Vec<u8>,
    parts: Vec<(Digest, u64)>,
}

/// One that is to be sent, and its bytes.
pub(crate) type Sealed = (PortableBundle, Vec<u8>);

impl Bundles {
    /// Whether a blob waits to be sent.
    pub(crate) fn has(&self, blob: &Digest) -> bool {
        lock(&self.draft).has(blob)
    }

    /// Adds a small blob. Where there are enough by now, they are to be sent.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not what it is said to be, which a server would find out.
    pub(crate) fn add(&self, blob: &CacheBlob<'_>) -> io::Result<Option<Sealed>> {
        let mut bytes = Vec::new();
        (blob.open)()?.take(SMALL + 1).read_to_end(&mut bytes)?;
        if Digest::of(&bytes) != blob.digest {
            let detail = format!("{} is not what it is said to be", blob.digest);
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        let mut draft = lock(&self.draft);
        if !draft.has(&blob.digest) {
            draft.parts.push((blob.digest, bytes.len() as u64));
            draft.bytes.append(&mut bytes);
        }
        let is_full = FULL <= draft.bytes.len() || draft.parts.len() == MAX_PARTS;
        Ok(if is_full { draft.seal() } else { None })
    }

    /// Forgets the bytes of a bundle that are not what they are to be.
    pub(crate) fn forget(&self, bundle: &Digest) {
        lock(&self.read).remove(bundle);
    }

    /// What waits.
    pub(crate) fn seal(&self) -> Option<Sealed> {
        lock(&self.draft).seal()
    }

    /// A reader of some bytes of a bundle, of which `read` gives any.
    pub(crate) fn open<'a>(
        &self,
        bundle: &Descriptor,
        part: Range<u64>,
        read: impl Fn(Range<u64>) -> Result<Box<dyn Read + Send + 'a>, CacheError>,
        fail: impl Fn(io::Error) -> CacheError,
    ) -> Result<Box<dyn Read + Send + 'a>, CacheError> {
        if READ_WHOLE < bundle.size {
            return read(part);
        }
        // Who needs another part of it meanwhile waits for this.
        let mut known = lock(&self.read);
        let bytes = if let Some(bytes) = known.get(&bundle.digest) {
            bytes.clone()
        } else {
            let mut bytes = Vec::new();
            read(0..bundle.size)?.read_to_end(&mut bytes).map_err(fail)?;
            let bytes: Arc<[u8]> = bytes.into();
            known.insert(bundle.digest, bytes.clone());
            bytes
        };
        // What was cut short has no such bytes, and no such digest.
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes[within(part.start)..within(part.end)].to_vec();
        Ok(Box::new(io::Cursor::new(part)))
    }
}

/// The bytes `range` of a part of a bundle, by where the part lies in that.
pub(crate) fn within(part: &Range<u64>, range: &Range<u64>) -> Range<u64> {
    let at = |at: u64| part.start.saturating_add(at).min(part.end);
    at(range.start)..at(range.end)
}

impl Draft {
    fn has(&self, blob: &Digest) -> bool {
        self.parts.iter().any(|(digest, _)| digest == blob)
    }

    fn seal(&mut self) -> Option<Sealed> {
        let Self { bytes, parts } = std::mem::take(self);
        PortableBundle::new(&bytes, parts).map(|bundle| (bundle, bytes))
    }
}

/// A panic while one is held leaves what was there.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
