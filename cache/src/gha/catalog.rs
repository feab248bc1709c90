//! What is there to be read, as it was when a build began to ask.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use wythe_registry::exchange::ServiceAnswer;
use wythe_store::cache_backend::CacheError;
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::side_by_side::side_by_side;

use crate::gha::index::{Index, Place};
use crate::gha::pack::read_index;
use crate::gha::service::{Found, Service};

/// How many questions are asked at once.
const THREADS: usize = 8;
/// So many numbers below the newest pack's, a pack may still come whose build began before.
const WINDOW: u64 = 64;
/// How many hex digits of a scope's digest keys carry: keys are found by their beginning, and no scope's may be that
/// of another's.
const SCOPE_DIGITS: usize = 16;

/// What packs hold, and where those are.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) index: Index,
    /// The highest number that was seen; zero before the first pack.
    pub(super) newest: u64,
    prefix: String,
    /// The signed addresses of packs that were asked for; `None` of those that are gone.
    addresses: Mutex<BTreeMap<u64, Option<String>>>,
}

impl Catalog {
    /// Reads the newest pack's index, and those of packs that it does not know.
    ///
    /// A pack that cannot be understood is passed over, and those before it are looked for.
    pub(super) fn load(service: &Service, scope: &str) -> Result<Self, CacheError> {
        let prefix = prefix(scope);
        let mut catalog =
            Self { index: Index::default(), newest: 0, prefix, addresses: Mutex::default() };
        let Some(found) = service.newest(&catalog.prefix)? else { return Ok(catalog) };
        let Some(number) = catalog.number(&found.key) else { return Ok(catalog) };
        catalog.newest = number;
        catalog.take(service, number, &found);
        let known = &catalog.index.packs;
        let gaps = number.saturating_sub(WINDOW).max(1)..number;
        let gaps: Vec<u64> = gaps.filter(|gap| !known.contains_key(gap)).collect();
        let found = side_by_side(&gaps, THREADS, |gap| {
            // Whatever goes wrong, what the newest pack knows is there.
            let found = service.exactly(&catalog.key(*gap)).ok().flatten()?;
            Some((*gap, read_index(service, *gap, &found.url).ok()?))
        });
        for (number, mut index) in found.into_iter().flatten() {
            // Only its own: what it carries on from others is older than what is known of them, or known.
            index
                .packs
                .retain(|pack, _| *pack == number || !catalog.index.packs.contains_key(pack));
            catalog.index.merge(index);
        }
        Ok(catalog)
    }

    fn take(&mut self, service: &Service, number: u64, found: &Found) {
        match read_index(service, number, &found.url) {
            Ok(index) => {
                self.index = index;
            }
            Err(error) => {
                tracing::warn!(pack = number, %error, "a pack of the cache cannot be read");
            }
        }
        self.addresses().insert(number, Some(found.url.clone()));
    }

    /// The same without a blob, and without the records that need it.
    pub(super) fn without(&self, blob: &Digest) -> Self {
        let (mut index, newest, prefix) = (self.index.clone(), self.newest, self.prefix.clone());
        index.forget(blob);
        Self { index, newest, prefix, addresses: Mutex::new(self.addresses().clone()) }
    }

    /// The key of a pack.
    pub(super) fn key(&self, number: u64) -> String {
        format!("{}{number:010}", self.prefix)
    }

    fn number(&self, key: &str) -> Option<u64> {
        key.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// The records under `keys` all of whose packs are still there.
    pub(super) fn records(
        &self,
        service: &Service,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let found: Vec<_> = keys.iter().map(|key| self.index.records.get(key)).collect();
        let relied = |pack: u64| {
            let needs = self.index.packs.get(&pack).map(|pack| pack.needs.iter().copied());
            needs.into_iter().flatten().chain([pack])
        };
        let packs: BTreeSet<u64> =
            found.iter().flatten().flat_map(|hit| relied(hit.pack)).collect();
        let there = self.present(service, &packs)?;
        let whole = |pack: u64| relied(pack).all(|pack| there.contains(&pack));
        let hit = found.into_iter().map(|hit| hit.filter(|hit| whole(hit.pack)));
        Ok(hit.map(|hit| hit.map(|record| record.bytes.clone())).collect())
    }

    pub(super) fn missing(
        &self,
        service: &Service,
        blobs: &[Digest],
    ) -> Result<Vec<Digest>, CacheError> {
        let there = self.present(service, &self.packs_of(blobs))?;
        let held = |blob: &Digest| {
            self.index.blobs.get(blob).is_some_and(|place| there.contains(&place.pack))
        };
        Ok(blobs.iter().filter(|blob| !held(blob)).copied().collect())
    }

    /// The packs in which these blobs are, or were.
    pub(super) fn packs_of(&self, blobs: &[Digest]) -> BTreeSet<u64> {
        blobs.iter().filter_map(|blob| self.index.blobs.get(blob)).map(|place| place.pack).collect()
    }

    /// Where a blob is in its pack's bytes.
    pub(super) fn place(&self, blob: &Digest) -> Option<Place> {
        let place = self.index.blobs.get(blob)?;
        let data = self.index.packs.get(&place.pack)?.data;
        Some(Place { start: data + place.start, ..*place })
    }

    /// Bytes of a pack. An address that is no longer good is asked for anew, once.
    pub(super) fn fetch(
        &self,
        service: &Service,
        pack: u64,
        range: &Range<u64>,
    ) -> Result<ServiceAnswer, CacheError> {
        let gone = || {
            let detail = format!("pack {pack} is gone");
            service.requests.error(wythe_store::cache_backend::CacheProblem::NotFound { detail })
        };
        let known = self.addresses().get(&pack).cloned();
        let address = match known {
            Some(known) => known,
            None => self.ask(service, pack)?,
        };
        let mut answer = service.range(&address.ok_or_else(gone)?, range)?;
        if matches!(answer.status, 401 | 403) {
            let address = self.ask(service, pack)?.ok_or_else(gone)?;
            answer = service.range(&address, range)?;
        }
        match answer.status {
            200 | 206 => Ok(answer),
            _ => Err(service.requests.refused("reading a pack", answer)),
        }
    }

    /// Which of `packs` are still there. To ask for one is to keep it for another week.
    fn present(
        &self,
        service: &Service,
        packs: &BTreeSet<u64>,
    ) -> Result<BTreeSet<u64>, CacheError> {
        let known = self.addresses().clone();
        let unknown: Vec<u64> =
            packs.iter().filter(|pack| !known.contains_key(pack)).copied().collect();
        for answer in side_by_side(&unknown, THREADS, |pack| self.ask(service, *pack)) {
            answer?;
        }
        let known = self.addresses();
        Ok(packs.iter().filter(|pack| matches!(known.get(pack), Some(Some(_)))).copied().collect())
    }

    fn ask(&self, service: &Service, pack: u64) -> Result<Option<String>, CacheError> {
        let address = service.exactly(&self.key(pack))?.map(|found| found.url);
        self.addresses().insert(pack, address.clone());
        Ok(address)
    }

    /// A panic while it is held leaves what was learnt.
    fn addresses(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Option<String>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With what the keys of a scope's packs begin.
fn prefix(scope: &str) -> String {
    let digest = Digest::of(scope.as_bytes()).hex();
    format!("wythe-1-{}-", &digest[..SCOPE_DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scope_is_the_beginning_of_another() {
        let (one, longer) = (prefix("app"), prefix("app-0"));
        assert!(!longer.starts_with(&one) && one.len() == longer.len());
    }
}
