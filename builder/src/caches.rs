//! The caches of other machines that a build asks: what they know, and what they cost.
//!
//! A cache never fails a build and never holds one up for long: what does not answer in time, or does
//! not keep what it promised, is not asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wythe_store::cache_backend::CacheBackend;
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::image::blob_origin::CachedLayer;
use wythe_store::patience::{Late, Patience};
use wythe_store::portable_action::PortableAction;
use wythe_store::portable_document::{PortableDocument, document_key};
use wythe_store::portable_mount::{PortableMount, mount_key};
use wythe_store::record_origin::RecordOrigin;

/// How long a cache may take to say what it knows, unless it is said otherwise: longer than any that
/// is well takes for a thousand keys, shorter than anybody waits for a dead one.
pub const LOOKUP_TIME: Duration = Duration::from_secs(20);

/// A cache to read from.
#[derive(Clone)]
pub struct CacheSource {
    /// What is asked.
    pub backend: Arc<dyn CacheBackend>,
    /// How long its answer is waited for.
    pub patience: Patience,
}

/// The caches that builds read from, in the order in which they are asked.
#[derive(Debug, Default)]
pub struct Caches {
    sources: Vec<CacheSource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was asked for, and which cache knew it.
    answers: BTreeMap<CacheKey, Option<(usize, PortableAction)>>,
    /// Cache mounts that were asked for, by where they are found: each with the caches that have it, the one
    /// that was saved last at the end.
    mounts: BTreeMap<CacheKey, Vec<(usize, PortableMount)>>,
    /// Cache mounts that were restored, and from where.
    restored: Vec<(usize, PortableMount)>,
    /// Results whose layers are in use.
    used: BTreeMap<CacheKey, Arc<AtomicBool>>,
    /// Results that are not what they were announced to be.
    distrusted: BTreeSet<CacheKey>,
    /// Caches that are not asked any more.
    given_up: BTreeSet<usize>,
    warnings: Vec<String>,
}

/// A result that a cache knows.
#[derive(Clone, Debug)]
pub(crate) struct CacheHit {
    pub(crate) action: PortableAction,
    pub(crate) layer: CachedLayer,
}

/// A cache mount that a cache has.
#[derive(Clone)]
pub(crate) struct SavedMount {
    at: usize,
    pub(crate) backend: Arc<dyn CacheBackend>,
    pub(crate) mount: PortableMount,
}

impl fmt::Debug for CacheSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CacheSource").field("name", &self.backend.name()).finish_non_exhaustive()
    }
}

impl Caches {
    /// No cache has been asked yet.
    pub fn new(sources: Vec<CacheSource>) -> Self {
        Self { sources, state: Mutex::default() }
    }

    /// Whether there is none to ask.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Asks for all of these at once, but for what is known already: each cache for what those before
    /// it do not know.
    pub(crate) fn ask(&self, keys: &[CacheKey]) {
        let asked = |key: &&CacheKey| !self.state().answers.contains_key(*key);
        let mut open: Vec<CacheKey> = keys.iter().filter(asked).copied().collect();
        for (at, source) in self.sources.iter().enumerate() {
            if open.is_empty() || self.state().given_up.contains(&at) {
                continue;
            }
            match look_up(source, &open) {
                Ok(found) => {
                    let mut state = self.state();
                    for (key, record) in open.iter().zip(found) {
                        if let Some(action) = record.as_deref().and_then(PortableAction::decode) {
                            state.answers.insert(*key, Some((at, action)));
                        }
                    }
                }
                Err(why) => self.give_up(at, why),
            }
            let state = self.state();
            open.retain(|key| !state.answers.contains_key(key));
        }
        let mut state = self.state();
        for key in open {
            state.answers.insert(key, None);
        }
    }

    /// The result under a key that was asked for, if a cache knows one.
    pub(crate) fn hit(&self, key: &CacheKey) -> Option<CacheHit> {
        let mut state = self.state();
        if state.distrusted.contains(key) {
            return None;
        }
        let (at, action) = state.answers.get(key)?.clone()?;
        // What is said of a place is no result.
        if action.latest.is_some() {
            return None;
        }
        let lost = state.used.entry(*key).or_default().clone();
        let layer = CachedLayer {
            backend: self.sources[at].backend.clone(),
            diff_id: action.diff_id,
            content: action.content,
            lost,
        };
        Some(CacheHit { action, layer })
    }

    /// Where and from what the result under a key was made, as far as a cache says so.
    pub(crate) fn origin(&self, key: &CacheKey) -> Option<RecordOrigin> {
        self.state().answers.get(key)?.as_ref()?.1.origin.clone()
    }

    /// The latest result of a place whose [key](PortableAction::latest) was asked for, the key of that result,
    /// and the cache that knows it.
    pub(crate) fn latest(
        &self,
        place: &CacheKey,
    ) -> Option<(PortableAction, CacheKey, Arc<dyn CacheBackend>)> {
        let state = self.state();
        let (at, action) = state.answers.get(place)?.clone()?;
        let key = action.latest?;
        Some((action, key, self.sources[at].backend.clone()))
    }

    /// Distrusts a result before anything relied on it.
    pub(crate) fn distrust(&self, key: &CacheKey) {
        let mut state = self.state();
        if let Some(Some((at, action))) = state.answers.get(key) {
            let warning = not_held(self.sources[*at].backend.name(), &action.step);
            state.warnings.push(warning);
        }
        state.used.remove(key);
        state.distrusted.insert(*key);
    }

    /// Distrusts the results that turned out not to be what was announced. Says whether there are any
    /// that were trusted until now: then what failed for them may be tried again without.
    pub fn distrust_lost(&self) -> bool {
        let mut state = self.state();
        let lost = state.used.iter().filter(|(_, lost)| lost.load(Ordering::Relaxed));
        let lost: Vec<CacheKey> = lost.map(|(key, _)| *key).collect();
        let mut names = BTreeSet::new();
        for key in lost {
            if let Some(Some((at, action))) = state.answers.get(&key) {
                names.insert((*at, action.step.clone()));
            }
            state.used.remove(&key);
            state.distrusted.insert(key);
        }
        for (at, step) in &names {
            state.warnings.push(not_held(self.sources[*at].backend.name(), step));
        }
        !names.is_empty()
    }

    /// The cache mount of this identity and platform as it was saved last, wherever that was; once that was
    /// [refused](Self::refuse_mount), as it was before.
    pub(crate) fn mount(&self, identity: &str, platform: &str) -> Option<SavedMount> {
        let key = mount_key(identity, platform);
        if !self.state().mounts.contains_key(&key) {
            let found = self.ask_for_mount(key);
            self.state().mounts.insert(key, found);
        }
        let (at, mount) = self.state().mounts.get(&key)?.last()?.clone();
        Some(SavedMount { at, backend: self.sources[at].backend.clone(), mount })
    }

    fn ask_for_mount(&self, key: CacheKey) -> Vec<(usize, PortableMount)> {
        let mounts = self.records(key).filter_map(|(at, record)| {
            let mount = PortableMount::decode(&record).filter(|mount| mount.key() == key);
            Some((at, mount?))
        });
        let mut found: Vec<_> = mounts.collect();
        found.sort_by_key(|(_, mount)| mount.created);
        found
    }

    /// The document of a base image with this digest, from the first cache that has it.
    pub(crate) fn document(&self, digest: &Digest) -> Option<PortableDocument> {
        let documents = self.records(document_key(digest));
        let mut documents = documents.filter_map(|(_, record)| PortableDocument::decode(&record));
        documents.find(|document| document.descriptor.digest == *digest)
    }

    /// What each cache has under a key, asked one after another.
    fn records(&self, key: CacheKey) -> impl Iterator<Item = (usize, Vec<u8>)> {
        let asked = |(at, _): &(usize, &CacheSource)| !self.state().given_up.contains(at);
        self.sources.iter().enumerate().filter(asked).filter_map(move |(at, source)| {
            let found = look_up(source, &[key]).map_err(|why| self.give_up(at, why)).ok()?;
            Some((at, found.into_iter().next().flatten()?))
        })
    }

    /// What a cache does not hand over as it was announced is not asked for again.
    pub(crate) fn refuse_mount(&self, saved: &SavedMount) {
        let known = &mut self.state().mounts;
        let same = |(at, mount): &(usize, PortableMount)| *at == saved.at && *mount == saved.mount;
        if let Some(found) = known.get_mut(&saved.mount.key()) {
            found.retain(|one| !same(one));
        }
    }

    /// Notes that a mount was restored.
    pub(crate) fn restored(&self, saved: SavedMount) {
        self.state().restored.push((saved.at, saved.mount));
    }

    /// The cache mounts that were restored, with the name of the cache that had them.
    pub fn restored_mounts(&self) -> Vec<(String, PortableMount)> {
        let name = |at: usize| self.sources[at].backend.name().to_owned();
        let state = self.state();
        state.restored.iter().map(|(at, mount)| (name(*at), mount.clone())).collect()
    }

    /// What deserves a warning since it was asked for last.
    pub fn warnings(&self) -> Vec<String> {
        let own = std::mem::take(&mut self.state().warnings);
        own.into_iter()
            .chain(self.sources.iter().flat_map(|source| source.backend.complaints()))
            .collect()
    }

    /// What a build got from each cache: its name, how many results, and how long their steps took
    /// where they were run.
    pub fn savings(&self) -> Vec<(String, usize, Duration)> {
        let state = self.state();
        let saved = |(at, source): (usize, &CacheSource)| {
            let hits = state.used.keys().filter_map(|key| state.answers.get(key)?.as_ref());
            let own: Vec<_> = hits.filter(|(from, _)| *from == at).collect();
            let time = own.iter().map(|(_, action)| action.duration).sum();
            (source.backend.name().to_owned(), own.len(), time)
        };
        self.sources.iter().enumerate().map(saved).collect()
    }

    fn give_up(&self, at: usize, why: String) {
        let mut state = self.state();
        state.given_up.insert(at);
        state.warnings.push(why);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_held(cache: &str, step: &str) -> String {
    format!("{cache} does not hold what it announced of {step}: it runs")
}

/// Asks, or says why nothing is known.
fn look_up(source: &CacheSource, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, String> {
    let CacheSource { backend, patience } = source;
    let (asked, keys, count) = (backend.clone(), keys.to_vec(), keys.len());
    match patience.wait_for(&**backend, move || asked.records(&keys)) {
        Ok(Ok(found)) if found.len() == count => Ok(found),
        Ok(Ok(_)) => Err(format!("cache {}: it answered for other keys", backend.name())),
        Ok(Err(error)) => Err(format!("{error}; the build goes on without it")),
        Err(Late::Interrupted { backend }) => Err(format!("cache {backend}: interrupted")),
        Err(Late::Time { backend, time }) => {
            Err(format!("cache {backend}: no answer within {time:?}; the build goes on without it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::ops::Range;
    use std::sync::atomic::AtomicUsize;

    use wythe_store::cache_backend::{CacheBlob, CacheError, CacheProblem};
    use wythe_store::digest::{DiffId, Digest};
    use wythe_store::id::ContentId;
    use wythe_store::oci::descriptor::Descriptor;
    use wythe_store::oci::media_type::MediaType;
    use wythe_store::oci::reference::Reference;
    use wythe_store::timestamp::Timestamp;

    use super::*;

    /// A cache that knows one key, after a while, or fails.
    struct One {
        key: CacheKey,
        delay: Duration,
        problem: Option<&'static str>,
        asked: Arc<AtomicUsize>,
    }

    impl CacheBackend for One {
        fn name(&self) -> &'static str {
            "one"
        }

        fn repository(&self) -> Option<&Reference> {
            None
        }

        fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
            self.asked.fetch_add(keys.len(), Ordering::Relaxed);
            std::thread::sleep(self.delay);
            if let Some(detail) = self.problem {
                let problem = CacheProblem::Network { detail: detail.to_owned() };
                return Err(CacheError { backend: "one".to_owned(), problem });
            }
            let record = |key: &CacheKey| (*key == self.key).then(|| action().encode());
            Ok(keys.iter().map(record).collect())
        }

        fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
            Ok(blobs.to_vec())
        }

        fn unasked(&self) -> u64 {
            0
        }

        fn blob(&self, _: &Digest, _: Range<u64>) -> Result<Box<dyn Read + Send + '_>, CacheError> {
            Ok(Box::new(std::io::empty()))
        }

        fn put_blob(&self, _: &CacheBlob<'_>) -> Result<(), CacheError> {
            Ok(())
        }

        fn put_records(&self, _: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
            Ok(())
        }

        fn discredit(&self, _: &Digest) {}

        fn finish(&self) -> Result<(), CacheError> {
            Ok(())
        }

        fn complaints(&self) -> Vec<String> {
            Vec::new()
        }
    }

    fn action() -> PortableAction {
        PortableAction {
            diff_id: DiffId(Digest::of(b"tar")),
            tar_size: 1536,
            blob: Descriptor::of(MediaType::LAYER_GZIP, b"blob"),
            content: ContentId::of(b"files"),
            created: Timestamp::default(),
            duration: Duration::from_secs(3),
            step: "[1/1] RUN make".to_owned(),
            inputs: Vec::new(),
            listings: None,
            latest: None,
            origin: None,
        }
    }

    fn source(
        key: &[u8],
        (delay, problem): (Duration, Option<&'static str>),
    ) -> (CacheSource, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let one = One { key: CacheKey::of(key), delay, problem, asked: asked.clone() };
        let patience = Patience::of(Duration::from_millis(500));
        (CacheSource { backend: Arc::new(one), patience }, asked)
    }

    #[test]
    fn each_cache_is_asked_once_for_what_those_before_it_do_not_know() {
        let soon = (Duration::ZERO, None);
        let ((first, asked_first), (second, asked_second)) =
            (source(b"a", soon), source(b"b", soon));
        let caches = Caches::new(vec![first, second]);
        let [a, b, c] = [&b"a"[..], b"b", b"c"].map(CacheKey::of);
        for _ in 0..2 {
            caches.ask(&[a, b, c]);
        }
        assert!(caches.hit(&a).is_some() && caches.hit(&b).is_some() && caches.hit(&c).is_none());
        assert_eq!(asked_first.load(Ordering::Relaxed), 3);
        assert_eq!(asked_second.load(Ordering::Relaxed), 2);
        let saved = Duration::from_secs(3);
        assert_eq!(caches.savings(), [("one".to_owned(), 1, saved), ("one".to_owned(), 1, saved)]);
    }

    #[test]
    fn a_cache_that_fails_or_is_slow_is_a_warning_and_not_asked_again() {
        for how in [(Duration::ZERO, Some("broken")), (Duration::from_mins(10), None)] {
            let (source, asked) = source(b"a", how);
            let caches = Caches::new(vec![source]);
            let [a, b] = [&b"a"[..], b"b"].map(CacheKey::of);
            caches.ask(&[a]);
            caches.ask(&[b]);
            assert!(caches.hit(&a).is_none());
            assert_eq!(asked.load(Ordering::Relaxed), 1);
            assert_eq!(caches.warnings().len(), 1);
            assert!(caches.warnings().is_empty());
        }
    }

    #[test]
    fn who_is_interrupted_waits_for_no_cache() {
        let (source, _) = source(b"a", (Duration::from_mins(10), None));
        let interrupted = Arc::new(AtomicBool::new(false));
        let asked = interrupted.clone();
        let patience = Patience::of(Duration::from_mins(10));
        let patience = patience.while_it_is_to(move || !asked.load(Ordering::Relaxed));
        let caches = Caches::new(vec![CacheSource { patience, ..source }]);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| caches.ask(&[CacheKey::of(b"a")]));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!asking.is_finished());
            interrupted.store(true, Ordering::Relaxed);
        });
        assert_eq!(caches.warnings().len(), 1);
    }

    #[test]
    fn a_result_that_is_not_what_was_announced_is_distrusted_once_and_for_all() {
        let (source, _) = source(b"a", (Duration::ZERO, None));
        let caches = Caches::new(vec![source]);
        let a = CacheKey::of(b"a");
        caches.ask(&[a]);
        let hit = caches.hit(&a).unwrap();
        assert!(!caches.distrust_lost());
        hit.layer.lost.store(true, Ordering::Relaxed);
        assert!(caches.distrust_lost());
        assert!(!caches.distrust_lost(), "nothing is tried twice for the same reason");
        caches.ask(&[a]);
        assert!(caches.hit(&a).is_none());
        assert!(caches.warnings()[0].contains("RUN make"));
    }
}
