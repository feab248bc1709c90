//! The store as a whole: open it, read from it, take a lease to write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::format::{self, FormatError};
use crate::id::BodyId;
use crate::index::Packs;
use crate::journal::{BootId, Durability, Journal};
use crate::layer::limits::Limits;
use crate::lease::{self, Lease};
use crate::object::{Kind, ObjectName};
use crate::pack::writer::PackWriter;
use crate::recover;
use crate::sys::{self, Disk, Ownership};
use crate::vfs::Vfs;

/// How to open a store.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What to do where there is none.
    pub create: Create,
    /// The strongest promise a commit of this process makes.
    pub durability: Durability,
    /// The boot of the machine, as `/proc/sys/kernel/random/boot_id` names it. What another boot
    /// left unsynced is checked before it is used.
    pub boot: BootId,
    /// What layers and archives may unpack to.
    pub limits: Limits,
}

/// What to do where there is no store yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Create {
    /// Make one.
    #[default]
    IfMissing,
    /// Fail.
    Never,
}

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

/// A store. Cheap to clone; clones and threads share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    durability: Durability,
    limits: Limits,
    packs: Packs,
    journal: Journal,
    /// Writers of this process's leases, so that what they hold can be read before it is
    /// published. Locked for moments, and never while another lock is held.
    writers: Mutex<Vec<Weak<PackWriter>>>,
}

/// The directories of a store.
const DIRECTORIES: [&str; 11] = [
    "packs",
    "journal",
    "blobs",
    "blobs/sha256",
    "cache",
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
        let store = Self(Arc::new(Inner {
            path,
            durability: options.durability,
            limits: options.limits,
            packs: Packs::new(Arc::clone(&vfs)),
            journal: Journal::open(Arc::clone(&vfs), options.boot)?,
            writers: Mutex::default(),
            vfs,
        }));
        recover::after_reboot(&store)?;
        lease::collect_dead(&*store.0.vfs);
        Ok(store)
    }

    /// What layers and archives may unpack to.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Takes a lease: the right to write, and protection for what is written and used.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn lease(&self) -> Result<Lease, WriteError> {
        let lease = Lease::take(self.clone())?;
        let mut writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(Arc::downgrade(lease.writer()));
        drop(writers);
        Ok(lease)
    }

    /// Reads what other processes have committed since.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn refresh(&self) -> Result<(), ReadError> {
        if self.0.journal.refresh()? {
            self.0.packs.reload()?;
        }
        Ok(())
    }

    /// Reads an object; `None` where the store does not hold it. Its checksum has been verified.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn get(&self, kind: Kind, id: &[u8; 32]) -> Result<Option<Bytes>, ReadError> {
        let name = ObjectName::new(kind, id);
        for writer in self.writers() {
            if let Some(bytes) = writer.get(&name)? {
                return Ok(Some(bytes));
            }
        }
        match self.0.packs.get(&name) {
            Ok(None) => {
                // Garbage collection may have moved it to a pack we have not seen.
                self.refresh()?;
                self.0.packs.get(&name)
            }
            found => found,
        }
    }

    /// Whether the store holds an object. Its bytes are not looked at.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn contains(&self, kind: Kind, id: &[u8; 32]) -> Result<bool, ReadError> {
        let name = ObjectName::new(kind, id);
        if self.writers().iter().any(|writer| writer.contains(&name)) {
            return Ok(true);
        }
        Ok(self.0.packs.find(&name)?.is_some())
    }

    /// The length of an object, without reading it.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn size_of(&self, kind: Kind, id: &[u8; 32]) -> Result<Option<u64>, ReadError> {
        let name = ObjectName::new(kind, id);
        let unsealed = self.writers().iter().find_map(|writer| writer.size_of(&name));
        match unsealed {
            Some(size) => Ok(Some(size)),
            None => Ok(self.0.packs.find(&name)?.map(|(_, entry)| entry.raw_len)),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn body(&self, id: &BodyId) -> Result<Option<Bytes>, ReadError> {
        self.get(Kind::Body, id.as_bytes())
    }

    /// A manifest, index or config.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn document(&self, digest: &Digest) -> Result<Option<Bytes>, ReadError> {
        self.get(Kind::Document, digest.as_bytes())
    }

    /// The key-value store under the typed records.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The published packs.
    pub fn packs(&self) -> &Packs {
        &self.0.packs
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The strongest promise a commit makes.
    pub fn durability(&self) -> Durability {
        self.0.durability
    }

    pub(crate) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.0.vfs
    }

    fn writers(&self) -> Vec<Arc<PackWriter>> {
        let writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.iter().filter_map(Weak::upgrade).collect()
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
    use crate::journal::batch::{Batch, Table};
    use crate::object::Encoding;

    fn open(path: &Path) -> Store {
        Store::open(path, &OpenOptions::default()).unwrap()
    }

    #[test]
    fn what_is_put_is_readable_at_once_and_by_others_after_a_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let (ours, theirs) = (open(&path), open(&path));
        let lease = ours.lease().unwrap();
        let small = lease.put_body(b"hello").unwrap();
        let large = lease.put_body(&vec![7; 100_000]).unwrap();
        assert_eq!(&*ours.body(&small).unwrap().unwrap(), b"hello");
        assert!(theirs.body(&small).unwrap().is_none());
        lease.commit(Batch::new(), Durability::Durable).unwrap();
        for store in [&ours, &theirs] {
            assert_eq!(&*store.body(&small).unwrap().unwrap(), b"hello");
            assert_eq!(&*store.body(&large).unwrap().unwrap(), vec![7; 100_000]);
        }
    }

    #[test]
    fn an_object_is_stored_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        for _ in 0..2 {
            let lease = store.lease().unwrap();
            lease.put(Kind::Run, &[1; 32], Encoding::Raw, b"run").unwrap();
            lease.put(Kind::Run, &[1; 32], Encoding::Raw, b"run").unwrap();
            lease.commit(Batch::new(), Durability::Relaxed).unwrap();
        }
        assert_eq!(store.packs().all().unwrap().len(), 1);
    }

    #[test]
    fn a_body_longer_than_memory_should_hold_streams_through() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let lease = store.lease().unwrap();
        let bytes = vec![3; 9 * 1024 * 1024];
        let (id, length) = lease.body_from_reader(&mut bytes.as_slice(), 0).unwrap();
        assert_eq!((id, length), (BodyId::of(&bytes), bytes.len() as u64));
        assert_eq!(&*store.body(&id).unwrap().unwrap(), bytes);
        lease.commit(Batch::new(), Durability::Durable).unwrap();
        assert_eq!(&*open(directory.path()).body(&id).unwrap().unwrap(), bytes);
    }

    #[test]
    fn two_stores_see_each_others_records_after_a_refresh() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, theirs) = (open(directory.path()), open(directory.path()));
        for (store, key) in [(&ours, b"a"), (&theirs, b"b"), (&ours, b"c")] {
            let mut batch = Batch::new();
            batch.put(Table::Notes, key, b"value".to_vec());
            store.lease().unwrap().commit(batch, Durability::Relaxed).unwrap();
        }
        theirs.refresh().unwrap();
        assert_eq!(ours.journal().scan(Table::Notes), theirs.journal().scan(Table::Notes));
        assert_eq!(ours.journal().scan(Table::Notes).len(), 3);
    }

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
