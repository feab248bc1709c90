//! `type=registry`: a tag of a repository. It names one manifest, whose configuration is the document of
//! records and whose layers are the blobs that these need, so that the registry keeps them.
//!
//! Two jobs that write at once merge: who writes reads again before, and looks afterwards whether the
//! other has written over it. What is none of ours is left alone: a sibling of the tag is used then.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wythe_registry::client::Client;
use wythe_registry::error::RegistryError;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource as _, SourceError, SourceErrorClass};

use crate::inline;
use crate::pack::{MAX_PACK, PACK_TYPE, Pack, document_of};
use crate::parallel::those;

/// What is added to a tag that has something else than a cache of ours.
const SIBLING: &str = "-wythe";
/// How often a pack is written until it is not written over.
const ATTEMPTS: u32 = 12;
/// How long after writing it is looked whether another job has written over it: longer than any takes
/// from reading to writing. It is four times as long as this job took, and at least this.
const SETTLING: Duration = Duration::from_millis(150);
/// Requests for blobs at a time: as for uploads, registries limit each connection more than each client.
const PARALLEL: usize = 8;

/// A tag of a repository.
#[derive(Debug)]
pub struct RegistryCache {
    name: String,
    client: Client,
    reference: Reference,
    sibling: Reference,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    read: Option<Found>,
    new: Pack,
}

/// What is under the tag, or beside it.
#[derive(Clone, Debug)]
struct Found {
    pack: Pack,
    /// The tag that is ours to write.
    tag: Reference,
}

impl RegistryCache {
    /// The cache under a name.
    pub fn new(client: Client, reference: Reference) -> Self {
        let reference = reference.without_digest().with_default_tag();
        let sibling = format!("{}:{}{SIBLING}", reference.name(), reference.tag_or_latest());
        let sibling = sibling.parse().unwrap_or_else(|_| reference.clone());
        let name = format!("registry {reference}");
        Self { name, client, reference, sibling, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, problem: impl Into<CacheProblem>) -> CacheError {
        CacheError { backend: self.name.clone(), problem: problem.into() }
    }

    fn refused(&self, error: &RegistryError) -> CacheError {
        let detail = error.to_string();
        self.fail(match error.status() {
            Some(401 | 403) => CacheProblem::Unauthorized { detail },
            Some(404) => CacheProblem::NotFound { detail },
            Some(429) => {
                let after = error.retry_after().map(Duration::from_secs);
                CacheProblem::RateLimited { detail, after }
            }
            Some(413 | 507) => CacheProblem::Full { detail },
            Some(_) => CacheProblem::Protocol { detail },
            None => CacheProblem::Network { detail },
        })
    }

    /// What is under the tag now, or where that is none of ours, under its sibling.
    fn look(&self) -> Result<Found, CacheError> {
        if let Some(found) = self.read(&self.reference)? {
            return Ok(found);
        }
        // Where the sibling is taken as well, what is there is left alone.
        let taken = || self.fail(CacheProblem::Protocol { detail: taken(&self.sibling) });
        let mut found = self.read(&self.sibling)?.ok_or_else(taken)?;
        if let Ok((_, root)) = self.client.manifest(&self.reference) {
            // It may be an image that carries records of its own.
            found.pack.merge(inline::records(&self.client, &self.reference, &root));
        }
        Ok(found)
    }

    /// The pack under a tag, an empty one where there is nothing; `None` where something else is.
    fn read(&self, tag: &Reference) -> Result<Option<Found>, CacheError> {
        let empty = || Some(Found { pack: Pack::default(), tag: tag.clone() });
        let manifest = match self.client.manifest(tag) {
            Ok((_, manifest)) => manifest,
            Err(error) if error.class() == SourceErrorClass::NotFound => return Ok(empty()),
            Err(error) => return Err(self.unread(&error)),
        };
        let Some(document) = document_of(&manifest) else { return Ok(None) };
        let mut bytes = Vec::new();
        let blob = self.client.blob(tag, &document);
        let blob = blob.map_err(|error| self.unread(&error))?;
        blob.take(MAX_PACK).read_to_end(&mut bytes).map_err(|error| self.fail(error))?;
        if Digest::of(&bytes) != document.digest {
            let detail = format!("{} is not what its digest says", document.digest);
            return Err(self.fail(CacheProblem::Protocol { detail }));
        }
        let pack = Pack::of_bytes(&bytes).unwrap_or_default();
        Ok(Some(Found { pack, tag: tag.clone() }))
    }

    fn unread(&self, error: &SourceError) -> CacheError {
        let detail = error.problem.to_string();
        self.fail(match error.class() {
            SourceErrorClass::Unauthorized => CacheProblem::Unauthorized { detail },
            SourceErrorClass::NotFound | SourceErrorClass::Absent => {
                CacheProblem::NotFound { detail }
            }
            SourceErrorClass::Network | SourceErrorClass::Local => CacheProblem::Network { detail },
            SourceErrorClass::Refused | SourceErrorClass::Unsupported => {
                CacheProblem::Protocol { detail }
            }
        })
    }

    /// Reads what was there when it was looked at first.
    fn at_first<T>(&self, read: impl FnOnce(&Pack) -> T) -> Result<T, CacheError> {
        let mut state = self.state();
        let found = match &mut state.read {
            Some(found) => found,
            unread => unread.insert(self.look()?),
        };
        Ok(read(&found.pack))
    }

    /// Puts what is new over what is there by now.
    fn write(&self, new: &Pack) -> Result<(), CacheError> {
        for _ in 0..ATTEMPTS {
            let started = Instant::now();
            let found = self.look()?;
            if found.pack.contains(new) {
                return Ok(());
            }
            let mut all = new.clone();
            all.merge(found.pack);
            let document = all.to_bytes();
            let config = Descriptor::of(MediaType::new(PACK_TYPE), &document);
            let content = Sent(&|| Ok(Box::new(io::Cursor::new(document.clone()))));
            let refused = |error: RegistryError| self.refused(&error);
            self.client.put_blob(&found.tag, &content, &config).map_err(refused)?;
            let manifest = all.manifest(&document);
            self.client
                .put_manifest(&found.tag, &MediaType::MANIFEST, &manifest)
                .map_err(refused)?;
            std::thread::sleep(SETTLING.max(started.elapsed() * 4));
        }
        let found = self.look()?;
        let detail = "other jobs write over it all the time".to_owned();
        if found.pack.contains(new) {
            Ok(())
        } else {
            Err(self.fail(CacheProblem::Network { detail }))
        }
    }
}

fn taken(sibling: &Reference) -> String {
    format!("there is something else than a cache of wythe, and under {sibling} as well")
}

/// Content of which there is one.
struct Sent<'a>(&'a (dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync));

impl Content for Sent<'_> {
    fn open(&self, _: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        (self.0)()
    }
}

impl CacheBackend for RegistryCache {
    fn name(&self) -> &str {
        &self.name
    }

    fn repository(&self) -> Option<&Reference> {
        Some(&self.reference)
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.at_first(|pack| keys.iter().map(|key| pack.get(key).map(<[u8]>::to_vec)).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        // The manifest names them, so that the registry keeps them.
        let named: BTreeSet<Digest> =
            self.at_first(|pack| pack.blobs().iter().map(|blob| blob.digest).collect())?;
        let open: Vec<Digest> =
            blobs.iter().filter(|blob| !named.contains(blob)).copied().collect();
        let is_missing = |blob: &Digest| {
            let is_there = self.client.has_blob(&self.reference, blob);
            is_there.map(|is_there| !is_there).map_err(|error| self.refused(&error))
        };
        those(&open, PARALLEL, is_missing)
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        let reader = self.client.blob_range(&self.reference, blob, range);
        reader.map_err(|error| self.refused(&error))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        let descriptor = Descriptor::new(MediaType::new(blob.media_type), blob.digest, blob.size);
        let put = self.client.put_blob(&self.reference, &Sent(blob.open), &descriptor);
        put.map_err(|error| self.refused(&error))
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.state().new.add(records);
        Ok(())
    }

    fn finish(&self) -> Result<(), CacheError> {
        let new = std::mem::take(&mut self.state().new);
        if new.is_empty() { Ok(()) } else { self.write(&new) }
    }
}

#[cfg(test)]
mod tests {
    use wythe_registry::fake::{FakeRegistry, Quirks};
    use wythe_registry::settings::Settings;

    use super::*;
    use crate::contract::{check, keep};

    fn cache(registry: &FakeRegistry) -> RegistryCache {
        let reference = format!("{}/app:cache", registry.host()).parse().unwrap();
        RegistryCache::new(Client::new(Settings::default()), reference)
    }

    #[test]
    fn it_keeps_to_the_contract() {
        let registry = FakeRegistry::start(Quirks::default()).unwrap();
        check(&|| Box::new(cache(&registry)));
    }

    #[test]
    fn jobs_that_write_at_once_lose_nothing() {
        let registry = FakeRegistry::start(Quirks::default()).unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let cache = cache(&registry);
                scope.spawn(move || keep(&cache, &[number]));
            }
        });
        let keys: Vec<_> = (0..4i64).map(|number| CacheKey::of(&number.to_le_bytes())).collect();
        let found = cache(&registry).records(&keys).unwrap();
        assert!(found.iter().all(Option::is_some));
    }

    #[test]
    fn an_image_under_the_tag_is_left_alone() {
        let registry = FakeRegistry::start(Quirks::default()).unwrap();
        let own = cache(&registry);
        let config =
            Descriptor::of(MediaType::new("application/vnd.buildkit.cacheconfig.v0"), b"{}");
        let content = Sent(&|| Ok(Box::new(&b"{}"[..])));
        own.client.put_blob(&own.reference, &content, &config).unwrap();
        let manifest = wythe_store::oci::manifest::Manifest::new(config, Vec::new());
        let bytes = wythe_store::oci::document::Document::to_bytes(&manifest);
        own.client.put_manifest(&own.reference, &MediaType::MANIFEST, &bytes).unwrap();
        keep(&own, &[1]);
        assert_eq!(own.client.manifest(&own.reference).unwrap().1, bytes);
        let found = cache(&registry).records(&[CacheKey::of(&1i64.to_le_bytes())]).unwrap();
        assert!(found[0].is_some());
    }
}
