//! Opening a store: what crashes of other processes or of the machine left is put right first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::WriteError;
use crate::format::{self, FormatError};
use crate::lease::leases;
use crate::recover;
use crate::store::{Create, OpenOptions, Store};
use crate::sys::{self, Disk, Ownership};
use crate::vfs::Vfs;

/// A directory could not be opened as a store.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the store {}", path.display())]
pub struct OpenError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: OpenCause,
}

/// Why a directory could not be opened as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCause {
    /// There is no format file: not a store, or one whose creation was interrupted.
    #[error("not a store")]
    NotAStore,
    /// Its layout is not understood.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Somebody else owns it.
    #[error("owned by user {owner}, not by us")]
    ForeignOwner {
        /// The owner.
        owner: u32,
    },
    /// Others may change it.
    #[error("mode {mode:04o} lets other users write to it")]
    WritableByOthers {
        /// The mode.
        mode: u32,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Reading or repairing what a crash left failed.
    #[error(transparent)]
    Recovery(#[from] WriteError),
}

/// The directories of a store.
const DIRECTORIES: [&str; 12] = [
    "packs",
    "journal",
    "blobs",
    "blobs/sha256",
    "cache",
    "caches",
    "live",
    "work",
    "leases",
    "lock",
    "trash",
    "quarantine",
];

impl Store {
    /// Opens a store, and puts right what crashes of other processes or of the machine left.
    ///
    /// # Errors
    ///
    /// [`OpenCause::NotAStore`] where there is none and `options` forbid making one;
    /// [`OpenCause::WritableByOthers`] and [`OpenCause::ForeignOwner`] where its content cannot be
    /// trusted.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let at = |cause: OpenCause| OpenError { path: path.to_owned(), cause };
        let disk = open_disk(path, options.create).map_err(at)?;
        let absolute = std::path::absolute(path).map_err(|error| at(error.into()))?;
        Self::open_on(Arc::new(disk), absolute, options).map_err(at)
    }

    /// Opens a store on a file system of the caller's, such as a simulated one. `path` is what
    /// [`path`](Self::path) answers.
    ///
    /// # Errors
    ///
    /// If there is no store and none may be made, or it is of another format, or cannot be read.
    pub fn open_on(
        vfs: Arc<dyn Vfs>,
        path: PathBuf,
        options: &OpenOptions,
    ) -> Result<Self, OpenCause> {
        if !format::check(&*vfs)? {
            if options.create == Create::Never {
                return Err(OpenCause::NotAStore);
            }
            create(&*vfs)?;
        } else if !vfs.exists("leases")? {
            // Empty directories do not survive every way of copying a store.
            make_directories(&*vfs)?;
        }
        let store = Self::new(vfs, path, options)?;
        recover::after_reboot(&store)?;
        leases::collect_dead(&**store.vfs());
        Ok(store)
    }
}

fn open_disk(path: &Path, create: Create) -> Result<Disk, OpenCause> {
    use std::os::unix::fs::DirBuilderExt as _;

    let disk = match Disk::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if create == Create::Never {
                return Err(OpenCause::NotAStore);
            }
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            Disk::open(path)?
        }
        disk => disk?,
    };
    let Ownership { uid: owner, mode } = disk.ownership()?;
    if owner != sys::effective_uid() {
        return Err(OpenCause::ForeignOwner { owner });
    }
    if mode & 0o022 != 0 {
        return Err(OpenCause::WritableByOthers { mode });
    }
    Ok(disk)
}

/// Makes a store. Of several processes that find none at once, one writes the format file.
fn create(vfs: &dyn Vfs) -> Result<(), OpenCause> {
    make_directories(vfs)?;
    let _alone = vfs.lock(CREATE_LOCK)?;
    if !format::check(vfs)? {
        format::create(vfs)?;
    }
    Ok(())
}

/// Held by whoever makes the store.
const CREATE_LOCK: &str = "lock/create";

fn make_directories(vfs: &dyn Vfs) -> Result<(), OpenCause> {
    for directory in DIRECTORIES {
        vfs.make_dir(directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Store::open(directory.path(), &OpenOptions::default()).unwrap_err();
        assert!(matches!(error.cause, OpenCause::WritableByOthers { mode: 0o777 }));
    }

    #[test]
    fn no_store_is_made_where_none_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: Create::Never, ..OpenOptions::default() };
        for path in [directory.path().to_owned(), directory.path().join("absent")] {
            let error = Store::open(&path, &options).unwrap_err();
            assert!(matches!(error.cause, OpenCause::NotAStore));
        }
    }
}
