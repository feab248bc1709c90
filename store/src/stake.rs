//! What a lease has found in the store and may build on.
//!
//! Collection does not wait for leases: it takes away records and condemns files while others work.
//! So a lease remembers what it has found, and its commits put back what of that has gone since. It
//! finds its own stakes again as well, wherever the journal has no longer got them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::batch::{Batch, Change, Table};

/// The stakes of one lease. Packs are not here: each remembers by itself that it was relied on.
#[derive(Debug)]
pub(crate) struct Stake {
    /// The last group when the lease began. What is condemned later stays while the lease lives.
    since: u64,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Keys with their table in front, and the values they had.
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Blobs and directories.
    paths: BTreeSet<String>,
}

/// The tables whose rows collection takes away from others. Remembered steps are not among them: a
/// step that is forgotten is carried out again.
const COLLECTED: [Table; 4] =
    [Table::Layers, Table::LayersByDiff, Table::LayersByBlob, Table::Live];

impl Stake {
    pub(crate) fn new(since: u64) -> Self {
        Self { since, found: Mutex::default() }
    }

    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Remembers a row; `key` has its table in front.
    pub(crate) fn add_row(&self, key: Vec<u8>, value: Vec<u8>) {
        self.found().rows.insert(key, value);
    }

    /// Remembers a blob or a directory.
    pub(crate) fn add_path(&self, path: &str) {
        let mut found = self.found();
        if !found.paths.contains(path) {
            found.paths.insert(path.to_owned());
        }
    }

    /// Remembers the rows that a batch makes, and forgets those it takes away.
    pub(crate) fn follow(&self, batch: &Batch) {
        let mut found = self.found();
        for change in batch.changes() {
            match change {
                Change::Put { key, value } if is_collected(key) => {
                    found.rows.insert(key.clone(), value.clone());
                }
                Change::Put { .. } => {}
                Change::Delete { key } => {
                    found.rows.remove(key);
                }
            }
        }
    }

    /// Forgets the rows that a batch of another lease of this process takes away.
    pub(crate) fn let_go(&self, batch: &Batch) {
        let mut found = self.found();
        for change in batch.changes() {
            if let Change::Delete { key } = change {
                found.rows.remove(key);
            }
        }
    }

    /// The value a row had.
    pub(crate) fn row(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.found().rows.get(key).cloned()
    }

    /// The rows of a table, with the table in front of their keys.
    pub(crate) fn rows_of(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let found = self.found();
        let rows = found.rows.iter().filter(|(key, _)| key.first() == Some(&table.code()));
        rows.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The rows that `is_there` does not know.
    pub(crate) fn rows_without(
        &self,
        is_there: impl Fn(&[u8]) -> bool,
    ) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let found = self.found();
        let gone = found.rows.iter().filter(|(key, _)| !is_there(key));
        gone.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Whether a blob or a directory was found.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        self.found().paths.contains(path)
    }

    /// How many blobs were found.
    pub(crate) fn n_blobs(&self) -> usize {
        self.found().paths.iter().filter(|path| path.starts_with("blobs/")).count()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_collected(key: &[u8]) -> bool {
    COLLECTED.iter().any(|table| key.first() == Some(&table.code()))
}
