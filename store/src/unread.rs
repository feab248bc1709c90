//! Which records of a store this program cannot use.

use crate::action;
use crate::id::hex;
use crate::journal::batch::Table;
use crate::journal::unread::Unread;
use crate::layers;
use crate::live_record;
use crate::refs;
use crate::store::Store;

/// A record that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnreadRecord {
    /// Of which table.
    pub table: Table,
    /// Under which key.
    pub key: Vec<u8>,
    /// Why not.
    pub why: Unread,
}

impl UnreadRecord {
    /// What the record is of, for people.
    pub fn name(&self) -> String {
        let text = || String::from_utf8_lossy(&self.key).into_owned();
        match self.table {
            Table::Refs => format!("the name {}", text()),
            Table::Live => format!("the directory live/{}", text()),
            Table::Layers => format!("layer {}", hex(&self.key)),
            Table::Actions => format!("the result of step {}", hex(&self.key)),
            table @ (Table::LayersByDiff
            | Table::LayersByBlob
            | Table::Packs
            | Table::Condemned
            | Table::Notes
            | Table::Boot) => format!("{table:?} {}", hex(&self.key)),
        }
    }
}

/// How a table is read: whether a row of it reads, and the version this program writes.
type Reading = (Table, fn(&[u8], &[u8]) -> bool, u8);

/// A ref has no version: one that does not read is damaged.
const READINGS: [Reading; 4] = [
    (Table::Refs, refs::reads, u8::MAX),
    (Table::Layers, layers::reads, layers::VERSION),
    (Table::Live, live_record::reads, live_record::VERSION),
    (Table::Actions, action::reads, action::VERSION),
];

impl Store {
    /// All records that cannot be used.
    pub fn unread_records(&self) -> Vec<UnreadRecord> {
        let of_table = |(table, reads, version): Reading| {
            let rows = self.journal().scan(table).into_iter();
            let bad = rows.filter(move |(key, value)| !reads(key, value));
            bad.map(move |(key, value)| UnreadRecord {
                table,
                key,
                why: Unread::of(&value, version),
            })
        };
        READINGS.into_iter().flat_map(of_table).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::digest::{DiffId, Digest};
    use crate::error::ReadCause;
    use crate::gc::{GcError, Policy};
    use crate::id::{CacheKey, LayerId};
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layers::LayerRecord;
    use crate::oci::descriptor::Descriptor;
    use crate::oci::media_type::MediaType;
    use crate::store::OpenOptions;

    const TABLES: [Table; 4] = [Table::Refs, Table::Layers, Table::Live, Table::Actions];

    fn open(path: &Path, boot: u8) -> Store {
        Store::open(path, &OpenOptions { boot: [boot; 16], ..OpenOptions::default() }).unwrap()
    }

    /// A store with an image, and in each table a row of these bytes.
    fn store_with(path: &Path, bytes: &[u8]) -> Store {
        let store = open(path, 1);
        let lease = store.lease().unwrap();
        lease.put_document(b"{}").unwrap();
        let mut record = LayerRecord::new(LayerId::of(b"layer"));
        record.diff_id = Some(DiffId(Digest::of(b"{}")));
        let mut batch = Batch::new();
        batch.put_layer(&record).set_ref("app", &Descriptor::of(MediaType::MANIFEST, b"{}"));
        for (n, table) in TABLES.into_iter().enumerate() {
            let key = if table == Table::Live { b"zz".to_vec() } else { vec![b'k'; 32] };
            batch.put(table, &key, bytes.to_vec());
            batch.put(table, &[n.to_le_bytes()[0]], bytes.to_vec());
        }
        batch.put(Table::LayersByDiff, Digest::of(b"lost").as_bytes(), vec![b'k'; 32]);
        lease.commit(batch, Durability::Relaxed).unwrap();
        drop(lease);
        store
    }

    #[test]
    fn a_record_that_makes_no_sense_costs_that_record() {
        for bytes in [&b""[..], b"\x01", b"\x01\x07", b"\x00no", &[1; 40]] {
            let directory = tempfile::tempdir().unwrap();
            let store = store_with(directory.path(), bytes);
            assert_eq!(store.unread_records().len(), 2 * TABLES.len());
            for store in [&store, &open(directory.path(), 2)] {
                assert_eq!(store.layers().unwrap().len(), 1);
                assert_eq!(store.lives().unwrap(), []);
                assert_eq!(store.actions().unwrap(), []);
                assert_eq!(store.list_refs().unwrap().len(), 1);
                assert_eq!(store.layer_of_diff(&DiffId(Digest::of(b"lost"))).unwrap(), None);
                assert_eq!(store.action(&CacheKey::from_bytes([b'k'; 32])).unwrap(), None);
                let lease = store.lease().unwrap();
                lease.commit(Batch::new(), Durability::Durable).unwrap();
                drop(lease);
                store.prune(Policy::ImagesOnly).unwrap();
                assert!(store.document(&Digest::of(b"{}")).unwrap().is_some());
            }
        }
    }

    #[test]
    fn what_a_newer_version_recorded_is_neither_replaced_nor_collected() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_with(directory.path(), b"\x09whatever");
        for store in [&store, &open(directory.path(), 2)] {
            let unread = store.unread_records();
            let newer = unread.iter().filter(|record| record.why == Unread::Newer);
            assert_eq!(newer.count(), 6, "refs have no version");
            assert_eq!(store.layers().unwrap().len(), 1);
            let found = store.layer_of_diff(&DiffId(Digest::of(b"lost")));
            assert!(matches!(found.unwrap_err().cause, ReadCause::Newer(_)));
            let pruned = store.prune(Policy::ImagesOnly);
            let Err(GcError::Damaged(error)) = pruned else { panic!("{pruned:?}") };
            assert!(matches!(error.cause, ReadCause::Newer(_)));
            let lease = store.lease().unwrap();
            lease.commit(Batch::new(), Durability::Durable).unwrap();
        }
    }

    #[test]
    fn what_an_unreadable_name_stood_for_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path(), 1);
        let lease = store.lease().unwrap();
        let digest = lease.put_document(b"{}").unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Refs, b"app", format!("in another form: {digest}").into_bytes());
        lease.commit(batch, Durability::Durable).unwrap();
        drop(lease);
        store.prune(Policy::ImagesOnly).unwrap();
        assert!(store.document(&digest).unwrap().is_some());
    }
}
