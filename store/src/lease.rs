//! Leases: a process's right to write, and what protects its work while it lives.
//!
//! A lease is a file under `leases/` that its owner keeps locked. When the owner dies, in
//! whatever way, the kernel frees the lock, and the next process to open the store takes away
//! what the lease had under `work/`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::error::{At, ReadError, WriteError};
use crate::id::hex;
use crate::index::Loaded;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::live_record::{LiveRecord, Sync};
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::pack::writer::PackWriter;
use crate::store::Store;
use crate::sys;
use crate::vfs::{Lock, Vfs, read_from};

/// A live lease. Threads share it by reference; dropping it removes what was not committed.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: String,
    writer: Arc<PackWriter>,
    /// Held while packs are published and the journal is written, and taken before the writer's
    /// and the journal's own locks.
    committing: Mutex<()>,
    lock: Option<Lock>,
}

/// The packs of a moment. They are as safe from collection as what a lease puts: one that is
/// condemned later is not deleted before this lease has ended.
#[derive(Debug)]
pub struct Holdings(Loaded);

impl Holdings {
    /// Whether an object is among them.
    pub fn contain(&self, kind: Kind, id: &[u8; 32]) -> bool {
        self.0.find(&ObjectName::new(kind, id)).is_some()
    }
}

impl Lease {
    pub(crate) fn take(store: Store) -> Result<Self, WriteError> {
        let vfs = Arc::clone(store.vfs());
        let (name, lock) = create_locked(&*vfs)?;
        let work = work_path(&name);
        vfs.make_dir(&work).writing(&work)?;
        // From here on this process sees what garbage collection has condemned so far, and says so.
        store.refresh()?;
        let path = lease_path(&name);
        let seen = store.journal().sequence().to_le_bytes();
        vfs.open_append(&path).and_then(|file| file.append(&seen)).writing(&path)?;
        let writer = Arc::new(PackWriter::new(vfs, work));
        Ok(Self { store, name, writer, committing: Mutex::default(), lock: Some(lock) })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The name of the lease's file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The lease's own directory, in which nothing survives it.
    pub fn work_dir(&self) -> PathBuf {
        self.store.path().join(work_path(&self.name))
    }

    /// Stores an object that is not there yet. It can be read at once by this process, and by
    /// others once it is committed.
    ///
    /// The id must be the right one for the bytes: it is not computed again here.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn put(
        &self,
        kind: Kind,
        id: &[u8; 32],
        encoding: Encoding,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        let name = ObjectName::new(kind, id);
        if self.is_published(&name)? {
            return Ok(());
        }
        self.writer.put(&name, encoding, bytes)
    }

    /// Whether a pack that will stay holds the object.
    pub(crate) fn is_published(&self, name: &ObjectName) -> Result<bool, ReadError> {
        let condemned = |pack: &Pack| {
            self.store.journal().contains(Table::Condemned, pack.name().path().as_bytes())
        };
        let packs = self.store.packs();
        match packs.find(name)? {
            None => Ok(false),
            Some((pack, _)) if !condemned(&pack) => Ok(true),
            Some(_) => Ok(packs.holders(name)?.iter().any(|pack| !condemned(pack))),
        }
    }

    /// What is here to stay at this moment, so that it need not be put: in packs that no collection
    /// has condemned. For many questions at once, each of which is cheap.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn holdings(&self) -> Result<Holdings, ReadError> {
        let journal = self.store.journal();
        let stays =
            |pack: &Arc<Pack>| !journal.contains(Table::Condemned, pack.name().path().as_bytes());
        let packs = self.store.packs().all()?.into_iter().filter(stays).collect();
        Ok(Holdings(Loaded::new(packs)))
    }

    /// Stores a manifest, index or config.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn put_document(&self, bytes: &[u8]) -> Result<Digest, WriteError> {
        let digest = Digest::of(bytes);
        self.put(Kind::Document, digest.as_bytes(), Encoding::Zstd, bytes)?;
        Ok(digest)
    }

    /// Publishes everything that was put, then makes the changes of `batch`, all or none.
    ///
    /// With [`Durability::Durable`] everything this store has published so far, by whomever, is on
    /// disk when this returns. On an error the changes were not acknowledged, and what was put
    /// stays readable to this process.
    ///
    /// # Errors
    ///
    /// If objects or the journal cannot be written; nothing of the batch is visible then.
    pub fn commit(&self, mut batch: Batch, durability: Durability) -> Result<u64, WriteError> {
        let _one_at_a_time = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let durability = match self.store.durability() {
            Durability::Durable => durability,
            Durability::Relaxed => Durability::Relaxed,
        };
        let finished = self.writer.finish()?;
        match durability {
            Durability::Relaxed => self.publish_relaxed(&finished, &mut batch)?,
            Durability::Durable => self.publish_durable(&finished, &mut batch)?,
        }
        let before = self.store.journal().sequence();
        let sequence = self.store.journal().commit(&batch, durability)?;
        self.writer.forget(&finished);
        if sequence != before + 1 {
            self.store.packs().reload()?;
        }
        Ok(sequence)
    }

    fn publish_relaxed(&self, finished: &[Arc<Pack>], batch: &mut Batch) -> Result<(), WriteError> {
        for pack in finished {
            let name = self.publish(pack)?;
            batch.put(Table::Packs, name.as_bytes(), self.store.journal().boot().to_vec());
        }
        Ok(())
    }

    fn publish_durable(&self, finished: &[Arc<Pack>], batch: &mut Batch) -> Result<(), WriteError> {
        let vfs = self.store.vfs();
        let unsynced = self.unsynced_lives()?;
        for pack in finished {
            if unsynced.is_empty() {
                sync_file(&**vfs, pack.path())?;
            }
            let name = self.publish(pack)?;
            batch.put(Table::Packs, name.as_bytes(), Vec::new());
        }
        if unsynced.is_empty() {
            self.sync_packs(batch)?;
            if !finished.is_empty() {
                vfs.sync_dir("packs").writing("packs")?;
            }
        } else {
            // Directories full of files: one sync of the file system costs less than theirs.
            vfs.sync_all().writing("live")?;
            for (name, record) in unsynced {
                batch.put_live_key(&name, &LiveRecord { sync: Sync::Synced, ..record });
            }
            for name in self.unsynced_packs() {
                batch.put(Table::Packs, &name, Vec::new());
            }
        }
        Ok(())
    }

    fn unsynced_lives(&self) -> Result<Vec<(Vec<u8>, LiveRecord)>, ReadError> {
        let lives = self.store.lives()?.into_iter();
        let unsynced = lives.filter(|(_, record)| record.sync == Sync::Unsynced);
        Ok(unsynced.map(|(name, record)| (name.as_str().as_bytes().to_vec(), record)).collect())
    }

    /// Syncs the packs that earlier commits published without doing so.
    fn sync_packs(&self, batch: &mut Batch) -> Result<(), WriteError> {
        let vfs = self.store.vfs();
        let unsynced = self.unsynced_packs();
        for key in &unsynced {
            if let Ok(name) = <[u8; 16]>::try_from(key.as_slice()) {
                let path = PackName::from_bytes(name).path();
                if vfs.exists(&path).writing(&path)? {
                    sync_file(&**vfs, &path)?;
                }
            }
            batch.put(Table::Packs, key, Vec::new());
        }
        if !unsynced.is_empty() {
            vfs.sync_dir("packs").writing("packs")?;
        }
        Ok(())
    }

    fn unsynced_packs(&self) -> Vec<Vec<u8>> {
        let packs = self.store.journal().scan(Table::Packs).into_iter();
        packs.filter(|(_, boot)| !boot.is_empty()).map(|(name, _)| name).collect()
    }

    /// Gives a finished pack its public name.
    fn publish(&self, pack: &Arc<Pack>) -> Result<PackName, WriteError> {
        let (vfs, name) = (self.store.vfs(), pack.name());
        let path = name.path();
        match vfs.publish(pack.path(), &path) {
            Ok(()) => {}
            // Somebody else published the very same objects, or an earlier attempt of ours failed
            // after this point.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) if vfs.exists(&path).writing(&path)? => {
                tracing::debug!(%error, path, "the pack was published before");
            }
            Err(error) => return Err(error).writing(&path),
        }
        self.store.packs().add(name, Arc::clone(pack));
        Ok(name)
    }

    pub(crate) fn writer(&self) -> &Arc<PackWriter> {
        &self.writer
    }

    /// A path in the lease's directory that nothing has yet, relative to the store.
    pub(crate) fn scratch_path(&self) -> String {
        self.writer.scratch_path()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let vfs = self.store.vfs();
        discard(&**vfs, &self.name);
        self.lock = None;
        empty_trash(&**vfs);
    }
}

/// A lease file that we hold locked, under a name nobody has.
fn create_locked(vfs: &dyn Vfs) -> Result<(String, Lock), WriteError> {
    loop {
        let random = sys::random().writing("leases")?;
        let name = hex(&random[..8]);
        let path = lease_path(&name);
        vfs.create(&path).writing(&path)?;
        match vfs.try_lock(&path) {
            // Between creation and lock a collector may have taken it for dead and removed it.
            Ok(Some(lock)) if vfs.exists(&path).writing(&path)? => return Ok((name, lock)),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).writing(&path),
        }
    }
}

/// Removes what dead leases left. Failing is no error: what stays is met again by the next
/// command, which may be allowed to do more.
pub(crate) fn collect_dead(vfs: &dyn Vfs) {
    for name in vfs.list("leases").unwrap_or_default() {
        match vfs.try_lock(&lease_path(&name)) {
            Ok(Some(_lock)) => discard(vfs, &name),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, name, "cannot look at a lease"),
        }
    }
    empty_trash(vfs);
}

/// The sequence numbers live leases started from; one that has not said so yet counts as zero.
pub(crate) fn live_since(vfs: &dyn Vfs, except: &str) -> Result<Vec<u64>, ReadError> {
    let mut since = Vec::new();
    for name in vfs.list("leases").reading("leases")? {
        let path = lease_path(&name);
        if name == except || matches!(vfs.try_lock(&path), Ok(Some(_))) {
            continue;
        }
        match vfs.open(&path).and_then(|file| read_from(&*file, 0)) {
            Ok(bytes) => since.push(bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ReadError::new(path, error)),
        }
    }
    Ok(since)
}

/// The caller holds the lease's lock.
fn discard(vfs: &dyn Vfs, name: &str) {
    let (work, lease) = (work_path(name), lease_path(name));
    if vfs.exists(&work).unwrap_or(false)
        && let Err(error) = throw_away(vfs, &work)
    {
        tracing::debug!(%error, work, "cannot remove the directory of a lease");
        return;
    }
    if let Err(error) = vfs.unlink(&lease) {
        tracing::debug!(%error, lease, "cannot remove a lease");
    }
}

/// Moves a directory out of sight under a name nothing in `trash/` has: what lies there may be
/// impossible to delete for us.
pub(crate) fn throw_away(vfs: &dyn Vfs, path: &str) -> std::io::Result<()> {
    vfs.publish(path, &format!("trash/{}", hex(&sys::random()?)))
}

/// Deletes what was thrown away, as far as we may.
pub(crate) fn empty_trash(vfs: &dyn Vfs) {
    for name in vfs.list("trash").unwrap_or_default() {
        let path = format!("trash/{name}");
        if let Err(error) = vfs.remove_tree(&path) {
            tracing::debug!(%error, path, "cannot remove yet");
        }
    }
}

fn sync_file(vfs: &dyn Vfs, path: &str) -> Result<(), WriteError> {
    vfs.open(path).and_then(|file| file.sync()).writing(path)
}

fn lease_path(name: &str) -> String {
    format!("leases/{name}")
}

fn work_path(name: &str) -> String {
    format!("work/{name}")
}
