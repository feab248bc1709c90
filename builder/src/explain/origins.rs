//! Where results of other machines were made: a note in the store for each that says so.
//!
//! A note is kept under `origin`, a zero and the key of the result (32). It has when that was made, in seconds (8) and
//! nanoseconds (4, both little-endian), and the origin as the record has it: a result that was made under the same key
//! here, later, is another.

use wythe_store::action::ActionRecord;
use wythe_store::id::CacheKey;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::record_origin::RecordOrigin;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;

const PREFIX: &[u8] = b"origin\0";

/// Notes where and from what a result was made.
pub(crate) fn note_origin(
    batch: &mut Batch,
    key: &CacheKey,
    created: Timestamp,
    origin: &RecordOrigin,
) {
    batch.put(Table::Notes, &name(key), [&time(created)[..], &origin.encode()].concat());
}

/// Where and from what a result was made, if another machine has made it and said so.
pub(crate) fn origin_of(store: &Store, result: &ActionRecord) -> Option<RecordOrigin> {
    let note = store.journal().get(Table::Notes, &name(&result.key))?;
    RecordOrigin::decode(note.strip_prefix(&time(result.created)[..])?)
}

/// The key that a note is about; `None` for notes of something else.
pub(crate) fn subject(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(PREFIX)
}

fn name(key: &CacheKey) -> Vec<u8> {
    [PREFIX, key.as_bytes()].concat()
}

fn time(Timestamp { seconds, nanos }: Timestamp) -> Vec<u8> {
    [&seconds.to_le_bytes()[..], &nanos.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use wythe_store::journal::Durability;
    use wythe_store::store::OpenOptions;

    use super::*;

    #[test]
    fn what_was_noted_is_told_of_that_result_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let source = Some("https://example.org/a".to_owned());
        let origin = RecordOrigin { source, ..RecordOrigin::default() };
        let result = |key: &[u8], seconds| {
            let (key, created) = (CacheKey::of(key), Timestamp::from_seconds(seconds));
            ActionRecord { key, layer: None, created, inputs: Vec::new() }
        };
        let noted = result(b"noted", 5);
        let mut batch = Batch::new();
        note_origin(&mut batch, &noted.key, noted.created, &origin);
        store.lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
        assert_eq!(origin_of(&store, &noted), Some(origin));
        assert_eq!(origin_of(&store, &result(b"noted", 6)), None, "made again, here");
        assert_eq!(origin_of(&store, &result(b"unknown", 5)), None);
        assert_eq!(subject(&name(&noted.key)), Some(&noted.key.as_bytes()[..]));
        assert_eq!(subject(b"took\0x"), None);
    }
}
