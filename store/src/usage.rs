//! How much space the store takes, and what for.

pub(crate) mod measure;

use crate::error::ReadError;
use crate::store::Store;
use crate::usage::measure::{Measured, Tally, tree};

/// Bytes on disk, by class.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Objects: file bodies, trees, recipes, fragments, documents.
    pub packs: u64,
    /// Blobs kept as they were received.
    pub blobs: u64,
    /// The journal.
    pub journal: u64,
    /// Unpacked layers.
    pub live: u64,
    /// Work of live leases, and what awaits deletion.
    pub temporary: u64,
    /// Caches that can be deleted at any time.
    pub cache: u64,
    /// Directories that steps keep between builds.
    pub cache_mounts: u64,
}

impl Usage {
    /// All of it.
    pub fn total(&self) -> u64 {
        [
            self.packs,
            self.blobs,
            self.journal,
            self.live,
            self.temporary,
            self.cache,
            self.cache_mounts,
        ]
        .into_iter()
        .sum()
    }
}

impl Store {
    /// Measures the store's directories. Costs a walk of the unpacked layers.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn usage(&self) -> Result<Usage, ReadError> {
        let of = |name: &str| match tree(&self.path().join(name), &mut Tally::default(), &|| true) {
            Ok(Measured::Bytes(bytes)) => Ok(bytes),
            Ok(Measured::Unknown) => Ok(0),
            Err(error) => Err(ReadError::new(name, error)),
        };
        Ok(Usage {
            packs: of("packs")? + of("quarantine")?,
            blobs: of("blobs")?,
            journal: of("journal")?,
            live: of("live")?,
            temporary: of("work")? + of("trash")?,
            cache: of("cache")?,
            cache_mounts: of("caches")?,
        })
    }
}
