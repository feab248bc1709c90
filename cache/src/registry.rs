//! `type=registry`: a tag of a repository. It names a small index of packs; each pack is a manifest whose
//! configuration is a document of records and whose layers are the blobs that these need, so that the registry
//! keeps them.
//!
//! ```text
//! tag ──► index, written anew ──► pack ──► document of records
//!                            └──► pack ├─► blobs of layers
//!                                      └─► a bundle of those that are small
//! ```
//!
//! A build adds one pack, which is never changed, and then puts it on the index of the tag. Two jobs that do at
//! once merge: who writes reads the index again before, and looks afterwards whether the other has written over
//! it. The index carries the documents of small packs, so that to read a cache is one request. What is none of ours is
//! left alone: a sibling of the tag is used then.

mod packs;
mod place;
mod pointer;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_blobs::PortableBlobs;

use self::packs::Packs;
use self::place::{Found, Place, Sent};
use self::pointer::{PackEntry, Pointer};
use crate::bundles::{Bundles, SMALL, Sealed, within};
use crate::inline;
use crate::pack::Pack;
use crate::parallel::those;

/// What is added to a tag that has something else than a cache of ours.
const SIBLING: &str = "-wythe";
/// How often a tag is written until it is not written over.
const ATTEMPTS: u32 = 12;
/// How long after writing it is looked whether another job has written over it: longer than any takes
/// from reading to writing. It is four times as long as this job took, and at least this.
const SETTLING: Duration = Duration::from_millis(50);
/// Who took longer to prepare what it writes reads once more before, so that others need wait no longer for it: packs
/// are merged for seconds at times.
const PREPARED: Duration = Duration::from_millis(10);
/// Requests for blobs at a time: as for uploads, registries limit each connection more than each client.
const PARALLEL: usize = 8;

/// A tag of a repository.
#[derive(Debug)]
pub struct RegistryCache {
    place: Place,
    packs: Packs,
    bundles: Bundles,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All records that were there when it was looked at first.
    read: Option<Pack>,
    new: Pack,
    /// Blobs that are not what they are called.
    discredited: BTreeSet<Digest>,
}

impl RegistryCache {
    /// The cache under a name.
    pub fn new(client: Client, reference: Reference) -> Self {
        let reference = reference.without_digest().with_default_tag();
        let sibling = format!("{}:{}{SIBLING}", reference.name(), reference.tag_or_latest());
        let sibling = sibling.parse().unwrap_or_else(|_| reference.clone());
        let name = format!("registry {reference}");
        let delivered = Arc::default();
        let place = Place { name, client, reference, sibling, delivered };
        let (packs, bundles) = (Packs::default(), Bundles::default());
        Self { place, packs, bundles, state: Mutex::default() }
    }

    /// Shares what was delivered with pushes: what one of them sends, or knows to be there, the other need
    /// neither send nor ask for.
    #[must_use]
    pub fn sharing(mut self, delivered: Arc<Delivered>) -> Self {
        self.place.delivered = delivered;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was there when it was looked at first.
    fn at_first<T>(&self, read: impl FnOnce(&Pack) -> T) -> Result<T, CacheError> {
        let mut state = self.state();
        let pack = match &mut state.read {
            Some(pack) => pack,
            unread => unread.insert(self.look()?),
        };
        Ok(read(pack))
    }

    fn look(&self) -> Result<Pack, CacheError> {
        let place = &self.place;
        let found = place.look()?;
        let mut all = self.packs.all(place, &found.pointer)?;
        // The manifests of packs name them, so that the registry keeps them.
        let mut named = all.blobs().into_iter().map(|blob| blob.digest);
        let Place { client, reference, delivered, .. } = place;
        let taken = client.take_for_delivered(reference, &mut named, delivered);
        taken.map_err(|error| place.refused(&error))?;
        if let Some(root) = &found.foreign {
            // It may be an image that carries records of its own.
            all.merge(inline::records(&place.client, &place.reference, root));
        }
        Ok(all)
    }

    /// In which bundle a blob lies, and where in it.
    fn bundle_of(&self, blob: &Digest) -> Result<Option<(Descriptor, Range<u64>)>, CacheError> {
        let read = self.at_first(|pack| pack.bundle_of(blob))?;
        Ok(read.or_else(|| self.state().new.bundle_of(blob)))
    }

    fn put_bundle(&self, sealed: &Sealed) -> Result<(), CacheError> {
        self.place.put_bytes(sealed.0.blob(), &sealed.1)?;
        self.keep_bundle(sealed);
        Ok(())
    }

    fn keep_bundle(&self, (bundle, _): &Sealed) {
        let mut state = self.state();
        state.discredited.remove(&bundle.blob().digest);
        state.new.insert(bundle.key(), &bundle.encode());
    }

    /// What this build has pushed to the repository and no record names: the registry is to keep it as long as it
    /// keeps the pack, so that pushes of later builds know it to be there.
    fn beside(&self, new: &Pack) -> Result<Option<PortableBlobs>, CacheError> {
        let Place { client, reference, delivered, .. } = &self.place;
        let pushed = client.blobs_of_pushed(reference, delivered);
        let mut pushed = pushed.map_err(|error| self.place.refused(&error))?;
        let state = self.state();
        let named = state.read.iter().chain([new]).flat_map(Pack::blobs);
        let named: BTreeSet<Digest> = named.map(|blob| blob.digest).collect();
        pushed.retain(|blob| !named.contains(&blob.digest));
        Ok(PortableBlobs::new(pushed))
    }

    /// Puts what is new, and a bundle of that, beside what is there by now.
    fn write(&self, new: &Pack, bundle: Option<&Sealed>) -> Result<(), CacheError> {
        let own = self.packs.put(&self.place, new.clone().split(), bundle)?;
        for attempt in 0..ATTEMPTS {
            let found = self.place.look()?;
            let read = Instant::now();
            if self.is_there(&found.pointer, &own, new)? {
                return Ok(());
            }
            let Some(took) = self.add(&own, (found, read))? else { continue };
            let unequal = own.first().map_or(0, |pack| pack.digest.as_bytes()[attempt as usize]);
            // Jobs that write in step get out of it.
            let jitter = Duration::from_millis(u64::from(unequal) * u64::from(attempt.min(1)));
            std::thread::sleep(SETTLING.max(took * 4) + jitter);
        }
        if self.is_there(&self.place.look()?.pointer, &own, new)? {
            return Ok(());
        }
        let detail = "other jobs write over it all the time".to_owned();
        Err(self.place.fail(CacheProblem::Network { detail }))
    }

    /// Puts packs on the tag as it was found at a time. Says how long it took from reading the tag to writing it: what
    /// others have written in that time is written over. `None` where they have before, and nothing was written.
    fn add(
        &self,
        own: &[PackEntry],
        (found, mut read): (Found, Instant),
    ) -> Result<Option<Duration>, CacheError> {
        let mut pointer = found.pointer.clone();
        pointer.packs.extend(own.iter().filter(|pack| !found.pointer.lists(pack)).cloned());
        self.packs.compact(&self.place, &mut pointer)?;
        if read.elapsed() > PREPARED {
            if self.place.look()?.pointer != found.pointer {
                return Ok(None);
            }
            read = Instant::now();
        }
        self.point(&found.tag, pointer)?;
        Ok(Some(read.elapsed()))
    }

    /// Whether a pointer leads to all that is new: to the packs, or to those that others have made of them.
    fn is_there(
        &self,
        pointer: &Pointer,
        own: &[PackEntry],
        new: &Pack,
    ) -> Result<bool, CacheError> {
        if own.iter().all(|pack| pointer.lists(pack)) {
            return Ok(true);
        }
        let mut all = self.packs.all(&self.place, pointer)?;
        self.state().discredited.iter().for_each(|blob| all.forget(blob));
        Ok(all.contains(new))
    }

    /// Notes that a blob is gone that a pack names. It was taken for delivered, and others that are named may be gone, too.
    fn lose(&self, blob: &Digest) {
        self.discredit(blob);
        self.place.delivered.forget();
    }

    /// Lets a tag stand for packs, without those that the registry has lost.
    fn point(&self, tag: &Reference, mut pointer: Pointer) -> Result<(), CacheError> {
        let put = |pointer: &Pointer| {
            self.place.put_manifest(tag, &MediaType::INDEX, &pointer.to_bytes())
        };
        match put(&pointer) {
            Err(CacheError {
                problem: CacheProblem::NotFound { .. } | CacheProblem::Protocol { .. },
                ..
            }) => {
                Packs::drop_lost(&self.place, &mut pointer)?;
                put(&pointer)
            }
            done => done,
        }
    }
}

impl CacheBackend for RegistryCache {
    fn name(&self) -> &str {
        &self.place.name
    }

    fn repository(&self) -> Option<&Reference> {
        Some(&self.place.reference)
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.at_first(|pack| keys.iter().map(|key| pack.get(key).map(<[u8]>::to_vec)).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        self.at_first(|_| ())?;
        let Place { client, reference, delivered, .. } = &self.place;
        let is_missing = |blob: &Digest| {
            if self.bundles.has(blob) || self.bundle_of(blob)?.is_some() {
                return Ok(false);
            }
            if self.state().discredited.contains(blob) {
                return Ok(true);
            }
            let is_there = client.has_blob(reference, blob, delivered);
            is_there.map(|is_there| !is_there).map_err(|error| self.place.refused(&error))
        };
        those(blobs, PARALLEL, is_missing)
    }

    fn unasked(&self) -> u64 {
        SMALL
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let read = |digest: &Digest, range| {
            let reader = self.place.client.blob_range(&self.place.reference, digest, range);
            reader.map_err(|error| self.place.refused(&error))
        };
        let opened = match self.bundle_of(blob)? {
            None => read(blob, range),
            Some((bundle, part)) => {
                let (read, part) = (|range| read(&bundle.digest, range), within(&part, &range));
                self.bundles.open(&bundle, part, read, |error| self.place.fail(error))
            }
        };
        opened.inspect_err(|error| {
            if matches!(error.problem, CacheProblem::NotFound { .. }) {
                self.lose(blob);
            }
        })
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.state().discredited.remove(&blob.digest);
        let Place { client, reference, delivered, .. } = &self.place;
        let near = || client.is_at_registry(reference, &blob.digest, delivered);
        // From another repository the registry takes it by itself, which no bundle is worth.
        if blob.size <= SMALL && !near().map_err(|error| self.place.refused(&error))? {
            if self.bundle_of(&blob.digest)?.is_some() {
                return Ok(());
            }
            let full = self.bundles.add(blob).map_err(|error| self.place.fail(error))?;
            return full.map_or(Ok(()), |sealed| self.put_bundle(&sealed));
        }
        let descriptor = Descriptor::new(MediaType::new(blob.media_type), blob.digest, blob.size);
        let put = client.put_blob(reference, &Sent(blob.open), &descriptor, delivered);
        put.map_err(|error| self.place.refused(&error))
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.state().new.add(records);
        Ok(())
    }

    /// A registry takes nothing for a blob that it has: what is made again is another blob, or it stays as it is.
    fn discredit(&self, blob: &Digest) {
        // Whoever has read of it has read the index.
        let bundle = self.bundle_of(blob).ok().flatten();
        let lies_in = bundle.map_or(*blob, |(bundle, _)| bundle.digest);
        self.bundles.forget(&lies_in);
        let mut state = self.state();
        state.read.iter_mut().for_each(|pack| pack.forget(&lies_in));
        state.discredited.extend([*blob, lies_in]);
    }

    fn finish(&self) -> Result<(), CacheError> {
        if self.state().new.is_empty() {
            return Ok(());
        }
        let last = self.bundles.seal();
        if let Some(sealed) = &last {
            self.keep_bundle(sealed);
        }
        let mut new = std::mem::take(&mut self.state().new);
        self.at_first(|read| new.take_bundles_of(read))?;
        if let Some(beside) = self.beside(&new)? {
            new.insert(beside.key(), &beside.encode());
        }
        self.write(&new, last.as_ref())
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}
