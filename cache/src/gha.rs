//! The cache of GitHub Actions: one pack of blobs and records for each build.
//!
//! The service keeps few, large, immutable entries under keys, hands out the newest of a prefix, and limits how
//! many are made. So a build writes one entry, a *pack*: its blobs, one behind another, and an index of them and of
//! all that older packs hold. What a later build needs is the newest pack's index, and ranges of those packs.
//!
//! ```text
//! records, missing ── catalog ── newest pack's index ── packs that were written beside it
//! blob ───────────── catalog ── pack by its exact key ── a range of its bytes
//! put_blob ───────── pack ───── parts, sent while the build goes on
//! finish ─────────── pack ───── index, made an entry
//! ```
//!
//! Packs are numbered, and a number can be taken once: two builds at once write two packs, and whoever reads the one
//! sees by the missing number that there is another.

mod catalog;
mod index;
mod mode;
mod pack;
mod service;
#[cfg(test)]
mod tests;
mod token;
mod writer;

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wythe_registry::client::Client;
use wythe_registry::settings::Timing;
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::reference::Reference;

use crate::busy_time::BusyTime;
use crate::gha::catalog::Catalog;
pub use crate::gha::mode::GhaMode;
pub use crate::gha::service::GhaService;
use crate::gha::service::Service;
use crate::gha::writer::Writer;
use crate::ranged::RangedReader;
use crate::requests::{Busy, Requests};

/// How long reading, and how long writing, may keep a build waiting.
pub const GHA_BUDGET: Duration = Duration::from_mins(10);

/// Where the cache of a job is, and as whom it is asked.
#[derive(Clone)]
pub struct GhaOptions {
    /// Which service, and where.
    pub service: GhaService,
    /// `ACTIONS_RUNTIME_TOKEN`
    pub token: String,
    /// `ACTIONS_CACHE_MODE`
    pub mode: GhaMode,
    /// Keeps the caches of several images of a repository apart. Branches are kept apart by the service.
    pub scope: String,
    /// How long reading, and how long writing, may keep a build waiting in all.
    pub budget: Duration,
}

impl std::fmt::Debug for GhaOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = out.debug_struct("GhaOptions");
        out.field("service", &self.service).field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The cache of GitHub Actions, as one job sees it.
#[derive(Debug)]
pub struct GhaCache {
    service: Service,
    scope: String,
    reading: BusyTime,
    writing: BusyTime,
    /// What the packs hold, once they were looked at.
    catalog: Mutex<Option<Arc<Catalog>>>,
    writer: Mutex<Writer>,
    /// What ended all further use, in its own words.
    closed: Mutex<Option<Closed>>,
}

/// Why the service is not asked any more.
#[derive(Clone, Debug)]
enum Closed {
    Limited(String),
    Failed(String),
}

impl GhaCache {
    /// A cache that is asked with `client`. Nothing is connected before the first question.
    pub fn new(client: Client, timing: Arc<dyn Timing>, options: GhaOptions) -> Self {
        let GhaOptions { service, token, mode, scope, budget } = options;
        let name = format!("gha {scope}");
        let requests = Requests::new(client, timing.clone(), name, Busy::GiveUp);
        Self {
            service: Service::new(requests, service, (&token, mode)),
            scope,
            reading: BusyTime::new(budget, timing.clone()),
            writing: BusyTime::new(budget, timing),
            catalog: Mutex::default(),
            writer: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    /// Does something with the service within a budget, unless it has had enough.
    fn within<T>(
        &self,
        budget: &BusyTime,
        work: impl FnOnce() -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        if let Some(closed) = lock(&self.closed).clone() {
            return Err(self.service.requests.error(closed.into()));
        }
        let Some(_running) = budget.begin() else {
            let minutes = budget.limit().as_secs_f64() / 60.0;
            let detail = format!("the time for it is used up ({minutes:.1} min)");
            return Err(self.service.requests.error(CacheProblem::Network { detail }));
        };
        work().inspect_err(|error| {
            if let Some(closed) = Closed::by(&error.problem) {
                lock(&self.closed).get_or_insert(closed);
            }
        })
    }

    fn catalog(&self) -> Result<Arc<Catalog>, CacheError> {
        let mut known = lock(&self.catalog);
        if let Some(catalog) = &*known {
            return Ok(catalog.clone());
        }
        self.service.check_may_read()?;
        let loaded = Arc::new(Catalog::load(&self.service, &self.scope)?);
        Ok(known.insert(loaded).clone())
    }
}

impl Closed {
    /// Whether a problem ends all use: one that would meet every further request.
    fn by(problem: &CacheProblem) -> Option<Self> {
        if let CacheProblem::RateLimited { detail, .. } = problem {
            return Some(Self::Limited(detail.clone()));
        }
        let CacheProblem::Network { detail } = problem else { return None };
        Some(Self::Failed(detail.clone()))
    }
}

impl From<Closed> for CacheProblem {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Limited(detail) => Self::RateLimited { detail, after: None },
            Closed::Failed(detail) => Self::Network { detail },
        }
    }
}

impl CacheBackend for GhaCache {
    fn name(&self) -> &str {
        self.service.requests.name()
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.within(&self.reading, || self.catalog()?.records(&self.service, keys))
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        self.within(&self.reading, || {
            let catalog = self.catalog()?;
            let missing = catalog.missing(&self.service, blobs)?;
            let mut writer = lock(&self.writer);
            writer.relies_on(catalog.packs_of(blobs));
            Ok(missing.into_iter().filter(|blob| !writer.has(blob)).collect())
        })
    }

    fn unasked(&self) -> u64 {
        0
    }

    fn blob(
        &self,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        self.within(&self.reading, || {
            let catalog = self.catalog()?;
            let place = catalog.place(blob).ok_or_else(|| {
                let detail = blob.to_string();
                self.service.requests.error(CacheProblem::NotFound { detail })
            })?;
            let within = |at: u64| place.start + at.min(place.length);
            let range = within(range.start)..within(range.end);
            let timing = self.service.requests.timing();
            let fetch = move |piece: Range<u64>| catalog.fetch(&self.service, place.pack, &piece);
            let reader = RangedReader::open(range, timing, Box::new(fetch))?;
            Ok(Box::new(reader) as Box<dyn Read + Send + '_>)
        })
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.within(&self.writing, || {
            let catalog = self.catalog()?;
            writer::put_blob(&self.writer, &self.service, &catalog, blob)
        })
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.service.check_may_write()?;
        lock(&self.writer).keep(records);
        Ok(())
    }

    /// Entries stay as they are: what is made again goes into a pack that is newer, and counts before.
    fn discredit(&self, blob: &Digest) {
        if let Some(catalog) = &mut *lock(&self.catalog) {
            *catalog = Arc::new(catalog.without(blob));
        }
    }

    fn finish(&self) -> Result<(), CacheError> {
        if lock(&self.writer).is_empty() {
            return Ok(());
        }
        self.within(&self.writing, || {
            let catalog = self.catalog()?;
            lock(&self.writer).finish(&self.service, &catalog)
        })
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A panic while one of these is held leaves what was put so far.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
