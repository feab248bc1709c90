//! Opening a store: what crashes of other processes or of the machine left is put right first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::WriteError;
use crate::format::{self, Features, FormatError};
use crate::lease::leases;
use crate::place::{self, PlaceError};
use crate::read_only::ReadOnly;
use crate::recover;
use crate::reserve;
use crate::store::{Access, Create, OpenOptions, Store};
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
    /// It cannot lie there.
    #[error(transparent)]
    Place(#[from] PlaceError),
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
pub(crate) const DIRECTORIES: [&str; 12] = [
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
        place::check_file_system(path).map_err(|error| at(error.into()))?;
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
        let features = match format::read(&*vfs)? {
            Some(features) => features,
            None if options.create == Create::Never => return Err(OpenCause::NotAStore),
            None => create(&*vfs)?,
        };
        if let Some(refusal) = read_only(&*vfs, &features)? {
            if options.access == Access::Write {
                return Err(refusal);
            }
            let vfs = Arc::new(ReadOnly::new(vfs, refusal.to_string()));
            return Ok(Self::new(vfs, path, options, (features, Access::Read))?);
        }
        let store = Self::new(vfs, path, options, (features, Access::Write))?;
        recover::after_reboot(&store)?;
        leases::collect_dead(&**store.vfs());
        Ok(store)
    }
}

/// Why a store may only be read, if it may.
fn read_only(vfs: &dyn Vfs, features: &Features) -> Result<Option<OpenCause>, OpenCause> {
    if let Some(refusal) = features.read_only() {
        return Ok(Some(refusal.into()));
    }
    if !vfs.exists("leases")? {
        // Empty directories do not survive every way of copying a store.
        make_directories(vfs)?;
    }
    match place::check_locks(vfs) {
        Err(refusal @ PlaceError::ReadOnly) => Ok(Some(refusal.into())),
        tried => Ok(tried.map(|()| None)?),
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
fn create(vfs: &dyn Vfs) -> Result<Features, OpenCause> {
    make_directories(vfs)?;
    place::check_locks(vfs)?;
    let _alone = vfs.lock(format::LOCK)?;
    if let Some(features) = format::read(vfs)? {
        return Ok(features);
    }
    // A format file is the word that all of these are there, also after a power cut.
    vfs.sync_dir("blobs")?;
    vfs.sync_dir(".")?;
    format::write(vfs, &Features::default())?;
    reserve::keep(vfs);
    Ok(Features::default())
}

fn make_directories(vfs: &dyn Vfs) -> Result<(), OpenCause> {
    for directory in DIRECTORIES {
        vfs.make_dir(directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Feature;
    use crate::id::BodyId;
    use crate::journal::Durability;
    use crate::journal::batch::{Batch, Table};
    use crate::sim::crash::Fate;

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

    /// A store with a body and a name, that a newer version has then given a feature.
    fn of_newer_version(features: &str) -> (tempfile::TempDir, BodyId) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let body = lease.put_body(b"kept").unwrap();
        let mut batch = Batch::new();
        batch.put(Table::Notes, b"key", b"value".to_vec());
        lease.commit(batch, Durability::Durable).unwrap();
        drop(lease);
        let text = format!("wythe-store 1\n{features}\n");
        std::fs::write(directory.path().join("FORMAT"), text).unwrap();
        (directory, body)
    }

    /// Every file with its bytes.
    fn content(of: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(of).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(content(&path));
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn an_unknown_feature_that_is_compatible_changes_nothing() {
        let (directory, body) = of_newer_version("compat: shiny");
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        assert_eq!(&*store.body(&body).unwrap().unwrap().load().unwrap(), b"kept");
        store.lease().unwrap().put_body(b"more").unwrap();
    }

    #[test]
    fn an_unknown_feature_of_writers_leaves_reading_and_nothing_else() {
        let (directory, body) = of_newer_version("ro-compat: shiny");
        let refused = Store::open(directory.path(), &OpenOptions::default()).unwrap_err();
        let OpenCause::Format(FormatError::ReadOnly { name }) = refused.cause else { panic!() };
        assert_eq!(name, "shiny");
        let before = content(directory.path());
        // Another boot, after which a store that may be written is put right.
        let options = OpenOptions { access: Access::Read, boot: [9; 16], ..OpenOptions::default() };
        let store = Store::open(directory.path(), &options).unwrap();
        assert_eq!(store.access(), Access::Read);
        assert_eq!(&*store.body(&body).unwrap().unwrap().load().unwrap(), b"kept");
        assert!(store.verify(crate::fsck::Depth::Full).unwrap().is_empty());
        store.usage().unwrap();
        let lease = store.lease().unwrap();
        assert_eq!(lease.put_body(b"kept").unwrap(), body);
        lease.put_body(b"more").unwrap_err();
        let mut batch = Batch::new();
        batch.put(Table::Notes, b"key", b"other".to_vec());
        let refused = lease.commit(batch, Durability::Relaxed).unwrap_err();
        let told = std::error::Error::source(&refused).unwrap().to_string();
        assert!(told.contains("\"shiny\""), "{told}");
        drop(lease);
        store.prune(crate::gc::Policy::default()).unwrap_err();
        assert!(content(directory.path()) == before);
    }

    #[test]
    fn an_unknown_feature_of_all_is_refused_by_name() {
        let (directory, _) = of_newer_version("incompat: shiny");
        for access in [Access::Read, Access::Write] {
            let options = OpenOptions { access, ..OpenOptions::default() };
            let refused = Store::open(directory.path(), &options).unwrap_err();
            let OpenCause::Format(FormatError::UnknownFeature { name }) = refused.cause else {
                panic!()
            };
            assert_eq!(name, "shiny");
        }
    }

    #[test]
    fn whoever_has_a_store_open_that_gets_a_feature_writes_no_more() {
        let (directory, _) = of_newer_version("compat:");
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        store.lease().unwrap();
        std::fs::write(directory.path().join("FORMAT"), "wythe-store 1\nro-compat: x\n").unwrap();
        assert!(matches!(store.lease(), Err(WriteError::Format(FormatError::ReadOnly { .. }))));
    }

    #[test]
    fn a_feature_is_on_disk_before_anybody_uses_it() {
        let sim = crate::sim::Sim::default();
        let open = |sim: &crate::sim::Sim| {
            let vfs = Arc::new(sim.clone());
            Store::open_on(vfs, PathBuf::from("/simulated"), &OpenOptions::default()).unwrap()
        };
        let store = open(&sim);
        let before = sim.n_operations();
        store.require(Feature::ChunkLists).unwrap();
        let after = sim.n_operations();
        for at in before..=after {
            for fate in [Fate::Lost, Fate::NamesOnly, Fate::BytesOnly, Fate::Mixed(1)] {
                let left = sim.crashed(at, fate);
                open(&left);
                let found = format::read(&left).unwrap().unwrap();
                assert!(at < after || found.contain(Feature::ChunkLists), "{at} {fate:?}");
            }
        }
    }
}
