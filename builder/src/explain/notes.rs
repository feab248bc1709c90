//! Where a step is, and which results steps of that place had: a note in the store for each place.
//!
//! A note is kept under `step`, a zero, 16 bytes of a hash over project and stage, and the number of the
//! step there (2, big-endian). It has a version (1), and of the results, the latest first, what came of
//! it (1: 0 made, 1 failed) and the key (32).

use wythe_store::error::WriteError;
use wythe_store::id::CacheKey;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::lease::Lease;
use wythe_store::store::Store;

use super::durations::subject;
use super::origins;
use crate::egress;

const PREFIX: &[u8] = b"step\0";

/// Notes of older versions, which told no projects apart.
const OLD_PREFIX: &[u8] = b"explain\0";

const VERSION: u8 = 1;

/// How many results of a place are looked at: enough for people who go back and forth between a few
/// branches.
const MAX_RESULTS: usize = 8;

/// So many places are noted before those go of which no result is kept: some hundred projects.
const MAX_PLACES: usize = 4096;

/// Keeps places apart from all other hashes.
const DOMAIN: &str = "wythe 2026 place of a step";

/// What came of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StepOutcome {
    Made,
    Failed,
}

/// A step in the Dockerfile of a project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    stage: [u8; 16],
    number: u16,
}

/// What steps of a place came to, the latest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct PlaceResults(pub(crate) Vec<(CacheKey, StepOutcome)>);

impl Place {
    /// The place of a step in a project, by its name: `[linux/arm64 build 2/3] RUN make`.
    pub(crate) fn of(project: &[u8], name: &str) -> Self {
        let label = name.trim_start_matches('[').split(']').next().unwrap_or_default();
        let (stage, number) = label.rsplit_once(' ').unwrap_or(("", label));
        let number = number.split('/').next().and_then(|number| number.parse().ok());
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        hasher.update(&(project.len() as u64).to_le_bytes()).update(project);
        hasher.update(stage.as_bytes());
        let mut place = Self { stage: [0; 16], number: number.unwrap_or(0) };
        place.stage.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        place
    }

    /// What places of one stage have in common.
    pub(crate) fn stage(self) -> [u8; 16] {
        self.stage
    }

    fn key(self) -> Vec<u8> {
        [PREFIX, &self.stage, &self.number.to_be_bytes()].concat()
    }

    /// Under which key caches of other machines keep the latest result of this place.
    pub(crate) fn shared(self) -> CacheKey {
        CacheKey::of(&self.key())
    }

    /// What is known of this place.
    pub(crate) fn results(self, store: &Store) -> PlaceResults {
        let note = store.journal().get(Table::Notes, &self.key());
        note.and_then(|note| PlaceResults::decode(&note)).unwrap_or_default()
    }

    /// What is known of all places of the stage, in their order.
    pub(crate) fn of_stage(self, store: &Store) -> Vec<(Self, PlaceResults)> {
        let start = [PREFIX, &self.stage].concat();
        let known = |(key, note): (Vec<u8>, Vec<u8>)| {
            let number = u16::from_be_bytes(*key.strip_prefix(&*start)?.first_chunk()?);
            Some((Self { number, ..self }, PlaceResults::decode(&note)?))
        };
        store.journal().scan(Table::Notes).into_iter().filter_map(known).collect()
    }

    /// Notes a result of this place.
    pub(crate) fn note(self, store: &Store, batch: &mut Batch, result: (CacheKey, StepOutcome)) {
        let PlaceResults(mut results) = self.results(store);
        results.retain(|(key, _)| *key != result.0);
        results.insert(0, result);
        results.truncate(MAX_RESULTS);
        batch.put(Table::Notes, &self.key(), PlaceResults(results).encode());
    }
}

impl PlaceResults {
    /// The results of the place where this was one, from it on.
    pub(crate) fn since(store: &Store, key: &CacheKey) -> Option<Self> {
        let notes = store.journal().scan(Table::Notes).into_iter();
        let mut found =
            notes.filter(|(name, _)| name.starts_with(PREFIX)).filter_map(|(_, note)| {
                let Self(mut results) = Self::decode(&note)?;
                let at = results.iter().position(|(known, _)| known == key)?;
                Some(Self(results.split_off(at)))
            });
        found.next()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (key, outcome) in &self.0 {
            out.push(u8::from(*outcome == StepOutcome::Failed));
            out.extend_from_slice(key.as_bytes());
        }
        out
    }

    fn decode(note: &[u8]) -> Option<Self> {
        let (version, rows) = note.split_first()?;
        let (rows, rest) = rows.as_chunks::<33>();
        if *version != VERSION || !rest.is_empty() {
            return None;
        }
        let row = |row: &[u8; 33]| {
            let outcome = if row[0] == 0 { StepOutcome::Made } else { StepOutcome::Failed };
            Some((CacheKey::from_bytes(*row.last_chunk()?), outcome))
        };
        rows.iter().map(row).collect::<Option<_>>().map(Self)
    }
}

/// Forgets places that nothing can be told of, where there are many, and how long steps took whose results
/// are gone.
///
/// # Errors
///
/// If the store cannot be written.
pub(crate) fn forget_old(store: &Store, lease: &Lease) -> Result<(), WriteError> {
    let notes = store.journal().scan(Table::Notes);
    let places = notes.iter().filter(|(key, _)| key.starts_with(PREFIX)).count();
    let is_kept = |(key, _): &(CacheKey, StepOutcome)| {
        store.journal().contains(Table::Actions, key.as_bytes())
    };
    let mut batch = Batch::new();
    for (key, note) in &notes {
        let is_idle =
            || !PlaceResults::decode(note).is_some_and(|known| known.0.iter().any(is_kept));
        let is_old = key.starts_with(OLD_PREFIX);
        let is_stray = subject(key)
            .or_else(|| egress::subject(key))
            .or_else(|| origins::subject(key))
            .is_some_and(|result| !store.journal().contains(Table::Actions, result));
        if is_old || is_stray || (places > MAX_PLACES && key.starts_with(PREFIX) && is_idle()) {
            batch.delete(Table::Notes, key);
        }
    }
    if !batch.is_empty() {
        lease.commit(batch, Durability::Relaxed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wythe_store::store::OpenOptions;

    use super::*;

    #[test]
    fn steps_of_projects_stages_platforms_and_numbers_have_places_of_their_own() {
        let names = ["[2/3] RUN a", "[3/3] RUN a", "[build 2/3] RUN a", "[linux/arm64 2/3] RUN a"];
        let all: Vec<Place> = [b"p", b"q"]
            .into_iter()
            .flat_map(|project| names.map(|name| Place::of(project, name)))
            .collect();
        for (at, place) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(place), "{at}");
        }
        assert_eq!(Place::of(b"p", "[2/3] RUN a"), Place::of(b"p", "[2/4] RUN b"));
    }

    #[test]
    fn the_latest_results_come_first_and_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let (lease, place) = (store.lease().unwrap(), Place::of(b"p", "[2/3] RUN a"));
        let key = |n: u8| CacheKey::of(&[n]);
        for n in [1, 2, 3, 4, 5, 6, 7, 8, 9, 2] {
            let (mut batch, outcome) =
                (Batch::new(), if n == 9 { StepOutcome::Failed } else { StepOutcome::Made });
            place.note(&store, &mut batch, (key(n), outcome));
            lease.commit(batch, Durability::Relaxed).unwrap();
        }
        let PlaceResults(found) = place.results(&store);
        let keys: Vec<CacheKey> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [2, 9, 8, 7, 6, 5, 4, 3].map(key));
        assert_eq!(found[1].1, StepOutcome::Failed);
        assert_eq!(PlaceResults::since(&store, &key(4)).unwrap().0.len(), 2);
    }
}
