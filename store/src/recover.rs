//! After a reboot: what was published without a sync is checked before anybody uses it.

use crate::error::WriteError;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::live_record::{LiveName, LiveRecord, Sync};
use crate::store::Store;

/// Drops or confirms everything that another boot left in doubt. Costs nothing where there is
/// nothing.
pub(crate) fn after_reboot(store: &Store) -> Result<(), WriteError> {
    let boot = *store.journal().boot();
    let mut batch = Batch::new();
    for (name, record) in doubtful_lives(store)? {
        tracing::info!(name = name.as_str(), "dropping a directory from before a reboot");
        batch.remove_live(&name);
        if record.boot == boot {
            continue;
        }
    }
    for (name, found) in store.journal().scan(Table::Unsynced) {
        if found != boot {
            batch.delete(Table::Unsynced, &name);
        }
    }
    if !batch.is_empty() {
        store.journal().commit(&batch, Durability::Durable)?;
    }
    Ok(())
}

fn doubtful_lives(store: &Store) -> Result<Vec<(LiveName, LiveRecord)>, WriteError> {
    let boot = store.journal().boot();
    let doubtful = |record: &LiveRecord| record.sync == Sync::Unsynced && record.boot != *boot;
    Ok(store.lives()?.into_iter().filter(|(_, record)| doubtful(record)).collect())
}
