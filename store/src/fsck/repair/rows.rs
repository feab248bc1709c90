//! The journal, its records, and the rows that follow from them.

use crate::error::WriteError;
use crate::fsck::repair::Repaired;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::journal::unread::Unread;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::store::Store;

/// Writes the journal anew where its files have damage.
pub(super) fn journal(store: &Store, done: &mut Vec<Repaired>) -> Result<(), WriteError> {
    if !store.journal().reread()?.is_empty() {
        store.journal().rebuild()?;
        done.push(Repaired::Journal);
    }
    Ok(())
}

/// Drops records that make no sense, and makes the ways to find layers from their records.
pub(super) fn records(lease: &Lease, done: &mut Vec<Repaired>) -> Result<(), WriteError> {
    let (store, mut batch) = (lease.store(), Batch::new());
    let unread = store.unread_records().into_iter();
    for record in unread.filter(|record| record.why == Unread::Damaged) {
        batch.delete(record.table, &record.key);
        done.push(Repaired::Record { what: record.name() });
    }
    let mut n_rows = 0;
    for record in store.layers()? {
        if !ways(&record).all(|(table, key)| leads(store, table, key, &record)) {
            batch.put_layer(&record);
            n_rows += 1;
        }
    }
    for table in [Table::LayersByDiff, Table::LayersByBlob] {
        for (key, id) in store.journal().scan(table) {
            if !store.journal().contains(Table::Layers, &id) {
                batch.delete(table, &key);
                n_rows += 1;
            }
        }
    }
    if 0 < n_rows {
        done.push(Repaired::Ways { n_rows });
    }
    if !batch.is_empty() {
        lease.commit(batch, Durability::Durable)?;
    }
    Ok(())
}

/// The rows by which a layer is found.
fn ways(record: &LayerRecord) -> impl Iterator<Item = (Table, &[u8])> {
    let by_diff = record.diff_id.iter().map(|id| (Table::LayersByDiff, &id.0.as_bytes()[..]));
    let by_blob = record.blobs.iter();
    by_diff.chain(by_blob.map(|blob| (Table::LayersByBlob, &blob.descriptor.digest.as_bytes()[..])))
}

/// Whether a row leads to a layer: to this one, or to another that is there.
fn leads(store: &Store, table: Table, key: &[u8], record: &LayerRecord) -> bool {
    let found = store.journal().get(table, key);
    found.is_some_and(|id| {
        id == record.id.as_bytes() || store.journal().contains(Table::Layers, &id)
    })
}
