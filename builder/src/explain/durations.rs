//! How long steps took: a note in the store for each result, so that what finding it saved can be told.
//!
//! A note is kept under `took`, a zero and the key of the result (32). It has the time in milliseconds (8,
//! little-endian).

use std::time::Duration;

use wythe_store::id::CacheKey;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::store::Store;

const PREFIX: &[u8] = b"took\0";

/// Notes how long the step took whose result is remembered under a key; nothing where that is not known.
pub(crate) fn note_duration(batch: &mut Batch, key: &CacheKey, time: Duration) {
    if !time.is_zero() {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        batch.put(Table::Notes, &name(key), millis.to_le_bytes().to_vec());
    }
}

/// How long the step took whose result is remembered under a key; zero where that is not known.
pub(crate) fn duration_of(store: &Store, key: &CacheKey) -> Duration {
    let note = store.journal().get(Table::Notes, &name(key));
    let millis = note.and_then(|note| Some(u64::from_le_bytes(note.try_into().ok()?)));
    Duration::from_millis(millis.unwrap_or_default())
}

/// The key that a note is about; `None` for notes of something else.
pub(crate) fn subject(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(PREFIX)
}

fn name(key: &CacheKey) -> Vec<u8> {
    [PREFIX, key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use wythe_store::journal::Durability;
    use wythe_store::store::OpenOptions;

    use super::*;

    #[test]
    fn what_was_noted_is_found_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let [noted, unknown] = [&b"noted"[..], b"unknown"].map(CacheKey::of);
        let mut batch = Batch::new();
        note_duration(&mut batch, &noted, Duration::from_millis(1234));
        note_duration(&mut batch, &unknown, Duration::ZERO);
        store.lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
        assert_eq!(duration_of(&store, &noted), Duration::from_millis(1234));
        assert_eq!(duration_of(&store, &unknown), Duration::ZERO);
        assert_eq!(subject(&name(&noted)), Some(&noted.as_bytes()[..]));
        assert_eq!(subject(b"step\0x"), None);
    }
}
