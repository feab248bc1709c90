//! How much space the store takes, and what for.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{At, ReadError};
use crate::store::Store;

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
        let of = |name: &str| disk_size(&self.path().join(name)).reading(name);
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

/// Bytes allocated to a directory and all below it. Directories of image files may be closed to
/// us; those count for themselves alone.
fn disk_size(path: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut pending = vec![path.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if directory != path => {
                tracing::debug!(%error, ?directory, "cannot look into a directory");
                continue;
            }
            // A store of a time when there was no such directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => total += metadata.blocks() * 512,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(total)
}
