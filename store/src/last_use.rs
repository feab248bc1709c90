//! When things of the store were last used, and how large they were found to be: what eviction
//! goes by.
//!
//! One file under `cache/`, to which every process appends what it used when it is done. Nobody
//! waits for it, nobody syncs it, and rows that are damaged or lost only make the collector know
//! less: what it does not know of was last used long ago.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::digest::Digest;
use crate::id::{CacheKey, hex};
use crate::live_record::LiveName;

use crate::store::Store;
use crate::sys;
use crate::timestamp::Timestamp;
use crate::vfs::read_from;
use crate::wire::read_u64;

const PATH: &str = "cache/uses";
const ROW: usize = 40;

/// The file is written anew, with the latest row of each thing, when it is longer than this: it
/// takes a millisecond to read then.
const MAX_FILE: u64 = 1024 * 1024;

/// So many things are remembered when it is written anew, the ones used last: half of what fits,
/// so that it does not happen with each use.
const MAX_ROWS: usize = 13_000;

/// A thing that was used within so many seconds before is not told of again.
const RESOLUTION: i64 = 60;

/// The row of something whose size is not known.
const UNMEASURED: u64 = u64::MAX;

/// Something that eviction may take.
#[derive(Clone, Copy, Debug)]
pub enum Used<'a> {
    /// The remembered result of a step.
    Action(&'a CacheKey),
    /// A directory under `live/`.
    Live(&'a LiveName),
    /// A blob kept as it was received.
    Blob(&'a Digest),
    /// A cache mount, by the name of its folder.
    CacheMount(&'a str),
}

/// What is known of a thing's use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Use {
    /// When it was last used.
    pub last: Timestamp,
    /// The bytes on disk that it took when it was last measured.
    pub bytes: Option<u64>,
}

/// The uses of a store, as far as they are known.
#[derive(Debug, Default)]
pub struct Uses(BTreeMap<Key, Use>);

/// What this process has used and not told yet.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<BTreeMap<Key, Note>>);

type Key = [u8; 16];

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    was_used: bool,
    bytes: Option<u64>,
}

impl Used<'_> {
    fn key(&self) -> Key {
        let (kind, name): (u8, &[u8]) = match self {
            Self::Action(key) => (1, key.as_bytes()),
            Self::Live(name) => (2, name.as_str().as_bytes()),
            Self::Blob(digest) => (3, digest.as_bytes()),
            Self::CacheMount(name) => (4, name.as_bytes()),
        };
        let hash = blake3::Hasher::new().update(&[kind]).update(name).finalize();
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

impl Uses {
    /// What is known of a thing; `None` where nothing is.
    pub fn of(&self, thing: &Used<'_>) -> Option<Use> {
        self.0.get(&thing.key()).copied()
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut uses = Self::default();
        for row in bytes.as_chunks::<ROW>().0 {
            let (Some(key), true) = (row.first_chunk(), xxh3_64(&row[..32]) == read_u64(row, 32))
            else {
                continue;
            };
            let last = Timestamp::from_seconds(read_u64(row, 16).cast_signed());
            let bytes = Some(read_u64(row, 24)).filter(|bytes| *bytes != UNMEASURED);
            let known = uses.0.get(key).and_then(|known: &Use| known.bytes);
            uses.0.insert(*key, Use { last, bytes: bytes.or(known) });
        }
        uses
    }

    fn encode<'a>(rows: impl IntoIterator<Item = (&'a Key, &'a Use)>) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, Use { last, bytes }) in rows {
            let start = out.len();
            out.extend_from_slice(key);
            out.extend_from_slice(&last.seconds.to_le_bytes());
            out.extend_from_slice(&bytes.unwrap_or(UNMEASURED).to_le_bytes());
            let sum = xxh3_64(&out[start..]);
            out.extend_from_slice(&sum.to_le_bytes());
        }
        out
    }

    /// What these notes add. A thing that is measured and was not used keeps its time.
    fn news(&self, notes: &BTreeMap<Key, Note>, now: Timestamp) -> BTreeMap<Key, Use> {
        let mut news = BTreeMap::new();
        for (key, note) in notes {
            let known = self.0.get(key);
            let is_fresh =
                known.is_some_and(|known| (known.last.seconds - now.seconds).abs() < RESOLUTION);
            let last = match known {
                Some(known) if !note.was_used || is_fresh => known.last,
                _ => now,
            };
            let told = Use { last, bytes: note.bytes.or(known.and_then(|known| known.bytes)) };
            if known != Some(&told) {
                news.insert(*key, told);
            }
        }
        news
    }

    /// The rows of the things that were used last.
    fn latest(&self, count: usize) -> Vec<(&Key, &Use)> {
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|(_, used)| std::cmp::Reverse(used.last));
        rows.truncate(count);
        rows
    }
}

impl Store {
    /// Remembers that something was used, until [`keep_uses`](Self::keep_uses) tells the others.
    pub fn note_use(&self, thing: &Used<'_>) {
        self.noted().with(thing, |note| note.was_used = true);
    }

    /// Remembers what something was found to take.
    pub fn note_size(&self, thing: &Used<'_>, bytes: u64) {
        self.noted().with(thing, |note| note.bytes = Some(bytes));
    }

    /// Writes down what this process has used, as of `now`. Failing to is no failure of anything:
    /// what is not written down seems to be older than it is.
    pub fn keep_uses(&self, now: Timestamp) {
        let notes =
            std::mem::take(&mut *self.noted().0.lock().unwrap_or_else(PoisonError::into_inner));
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.write_uses(&notes, now) {
            tracing::debug!(%error, "cannot write down what was used");
        }
    }

    /// What is known of uses. Empty where nothing can be read.
    pub fn uses(&self) -> Uses {
        match self.vfs().open(PATH).and_then(|file| read_from(&*file, 0)) {
            Ok(bytes) => Uses::decode(&bytes),
            Err(error) => {
                tracing::debug!(%error, "no uses are known");
                Uses::default()
            }
        }
    }

    fn write_uses(&self, notes: &BTreeMap<Key, Note>, now: Timestamp) -> io::Result<()> {
        let mut uses = self.uses();
        let news = uses.news(notes, now);
        if news.is_empty() {
            return Ok(());
        }
        let file = match self.vfs().open_append(PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.vfs().create(PATH)?,
            file => file?,
        };
        let size = file.size()?;
        if size > MAX_FILE {
            uses.0.extend(news);
            return self.replace_uses(&uses);
        }
        // After a row that was cut off, rows begin where rows may begin.
        let gap = size.next_multiple_of(ROW as u64) - size;
        let mut bytes = vec![0; usize::try_from(gap).unwrap_or(0)];
        bytes.extend(Uses::encode(&news));
        file.append(&bytes)
    }

    /// What others append meanwhile is lost.
    fn replace_uses(&self, uses: &Uses) -> io::Result<()> {
        let path = format!("{PATH}-{}", hex(&sys::random()?));
        let file = self.vfs().create(&path)?;
        let written = file.append(&Uses::encode(uses.latest(MAX_ROWS)));
        let replaced = written.and_then(|()| self.vfs().replace(&path, PATH));
        if replaced.is_err() {
            self.vfs().unlink(&path)?;
        }
        replaced
    }
}

impl Noted {
    fn with(&self, thing: &Used<'_>, change: impl FnOnce(&mut Note)) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(notes.entry(thing.key()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenOptions;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn trial() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        (directory, store)
    }

    #[test]
    fn what_was_used_is_known_to_others_with_its_time_and_size() {
        let (directory, store) = trial();
        let (a, b) = (CacheKey::of(b"a"), Digest::of(b"a"));
        let (action, blob) = (Used::Action(&a), Used::Blob(&b));
        store.note_use(&action);
        assert_eq!(store.uses().of(&action), None);
        store.keep_uses(at(1000));
        store.note_size(&blob, 7);
        store.note_use(&blob);
        store.keep_uses(at(2000));
        let other = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        assert_eq!(other.uses().of(&action), Some(Use { last: at(1000), bytes: None }));
        assert_eq!(other.uses().of(&blob), Some(Use { last: at(2000), bytes: Some(7) }));
        other.note_use(&blob);
        other.keep_uses(at(3000));
        assert_eq!(store.uses().of(&blob), Some(Use { last: at(3000), bytes: Some(7) }));
    }

    #[test]
    fn measuring_is_no_use_and_uses_of_one_minute_are_one() {
        let (_directory, store) = trial();
        let thing = Used::CacheMount("a");
        store.note_use(&thing);
        store.keep_uses(at(1000));
        let size = |store: &Store| store.vfs().open(PATH).unwrap().size().unwrap();
        let before = size(&store);
        store.note_use(&thing);
        store.keep_uses(at(1000 + RESOLUTION - 1));
        assert_eq!(size(&store), before);
        store.note_size(&thing, 5);
        store.keep_uses(at(9000));
        assert_eq!(store.uses().of(&thing), Some(Use { last: at(1000), bytes: Some(5) }));
    }

    #[test]
    fn a_clock_that_was_ahead_is_forgotten() {
        let (_directory, store) = trial();
        let thing = Used::CacheMount("a");
        for now in [9000, 1000] {
            store.note_use(&thing);
            store.keep_uses(at(now));
        }
        assert_eq!(store.uses().of(&thing), Some(Use { last: at(1000), bytes: None }));
    }

    #[test]
    fn any_damage_costs_the_rows_it_hits_at_most() {
        let (directory, store) = trial();
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        for (name, now) in names.iter().zip(1..) {
            store.note_use(&Used::CacheMount(name));
            store.keep_uses(at(1000 * now));
        }
        let path = directory.path().join(PATH);
        let sound = std::fs::read(&path).unwrap();
        let n_known = || store.uses().0.len();
        for at in (0..sound.len()).step_by(7) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(n_known(), 19);
            std::fs::write(&path, &sound[..at]).unwrap();
            assert_eq!(n_known(), at / ROW);
            store.note_use(&Used::CacheMount("new"));
            store.keep_uses(super::tests::at(5));
            assert_eq!(n_known(), at / ROW + 1, "rows go on after a cut");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(n_known(), 0);
    }

    #[test]
    fn a_long_file_is_written_anew_with_what_was_used_last() {
        let (_directory, store) = trial();
        let rows = usize::try_from(MAX_FILE).unwrap() / ROW;
        for round in 0..3 {
            for n in 0..rows {
                store.note_use(&Used::CacheMount(&format!("{round}-{n}")));
            }
            store.keep_uses(at(round * 1000));
        }
        let size = store.vfs().open(PATH).unwrap().size().unwrap();
        assert!(size <= MAX_FILE, "{size}");
        let uses = store.uses();
        assert!(uses.of(&Used::CacheMount("0-0")).is_none());
        assert!(uses.0.values().all(|used| used.last == at(2000)));
    }
}
