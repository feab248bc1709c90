//! Packs that are there and could not be opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ReadError;
use crate::pack::PackName;

/// Why packs that are there could not be opened. What only they hold is as if it were not there.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<BTreeMap<PackName, Arc<ReadError>>>);

impl Refused {
    pub(super) fn all(&self) -> Vec<Arc<ReadError>> {
        self.met().values().cloned().collect()
    }

    pub(super) fn add(&self, name: PackName, error: ReadError) {
        self.met().insert(name, Arc::new(error));
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<PackName, Arc<ReadError>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
