//! Leases: a process's right to write, and what protects its work while it lives.
//!
//! A lease is a file under `leases/` that its owner keeps locked. When the owner dies, in
//! whatever way, the kernel frees the lock, and the next process to open the store takes away
//! what the lease had under `work/`.

pub(crate) mod leases;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::Bytes;
use crate::digest::Digest;
use crate::error::{At, ReadError, WriteError};
use crate::index::Extent;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::lease::leases::{create_locked, discard, lease_path, work_path};
use crate::live_record::{LiveRecord, Sync};
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::pack::writer::PackWriter;
use crate::store::{Access, Store};
use crate::trash;
use crate::vfs::{Lock, Vfs};

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

/// What is here to stay: in packs that no collection had condemned at some moment, and what the
/// lease has put. Those packs are as safe as what a lease puts: one that is condemned later is not
/// deleted before this lease has ended.
#[derive(Debug)]
pub struct Holdings {
    store: Store,
    condemned: HashSet<PackName>,
    writer: Arc<PackWriter>,
}

impl Holdings {
    /// Whether an object is among them.
    pub fn contain(&self, kind: Kind, id: &[u8; 32]) -> bool {
        let name = ObjectName::new(kind, id);
        self.published(&name).is_some() || self.writer.contains(&name)
    }

    /// An object among them; `None` also where it cannot be read.
    pub(crate) fn read(&self, kind: Kind, id: &[u8; 32]) -> Option<Bytes> {
        let name = ObjectName::new(kind, id);
        match self.published(&name) {
            Some((pack, entry)) => pack.read(&entry).ok(),
            None => self.writer.get(&name).ok()??.load().ok(),
        }
    }

    fn published(&self, name: &ObjectName) -> Option<(Arc<Pack>, Entry)> {
        let stays = |pack: &Arc<Pack>, place| {
            let stays = !self.condemned.contains(&pack.name());
            stays.then(|| Some((Arc::clone(pack), pack.entry(place)?)))?
        };
        // Where the packs cannot be listed, whoever reads or writes there is told.
        self.store.packs().visit(name, stays).ok()?
    }
}

impl Store {
    /// Takes a lease: the right to write, and protection for what is written and used.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn lease(&self) -> Result<Lease, WriteError> {
        let lease = Lease::take(self.clone())?;
        self.add_writer(lease.writer());
        Ok(lease)
    }
}

impl Lease {
    fn take(store: Store) -> Result<Self, WriteError> {
        let vfs = Arc::clone(store.vfs());
        if store.access() == Access::Read {
            // Nothing protects what it reads, and whatever it would write is refused.
            let writer = Arc::new(PackWriter::new(vfs, work_path("")));
            let name = String::new();
            return Ok(Self { store, name, writer, committing: Mutex::default(), lock: None });
        }
        let (name, lock) = create_locked(&*vfs)?;
        let work = work_path(&name);
        vfs.make_dir(&work).writing(&work)?;
        // From here on this process sees what garbage collection has condemned so far, and says so.
        store.refresh()?;
        store.check_format()?;
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
        let journal = self.store.journal();
        let stays = |pack: &Arc<Pack>, _| {
            let path = pack.name().path();
            (!journal.contains(Table::Condemned, path.as_bytes())).then_some(())
        };
        Ok(self.store.packs().visit(name, stays)?.is_some())
    }

    /// What is here to stay at this moment, so that it need not be put: in packs that no collection
    /// has condemned, or put by this lease. For many questions at once, each of which is cheap.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn holdings(&self) -> Result<Holdings, ReadError> {
        self.store.packs().list()?;
        let rows = self.store.journal().scan(Table::Condemned).into_iter();
        let pack = |path: &[u8]| {
            PackName::of_file(std::str::from_utf8(path).ok()?.strip_prefix("packs/")?)
        };
        let condemned = rows.filter_map(|(path, _)| pack(&path)).collect();
        Ok(Holdings { store: self.store.clone(), condemned, writer: Arc::clone(&self.writer) })
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
        if !finished.is_empty() {
            self.cover(Extent::Some);
        }
        Ok(sequence)
    }

    /// Has a table written over packs where one is missed: without it everything is found as well.
    pub(crate) fn cover(&self, extent: Extent) {
        if let Err(error) = self.store.packs().cover(&self.scratch_path(), extent) {
            tracing::debug!(%error, "cannot write a table of packs");
        }
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
        if self.store.access() == Access::Read {
            return;
        }
        let vfs = self.store.vfs();
        discard(&**vfs, &self.name);
        self.lock = None;
        trash::empty_in_passing(&**vfs);
    }
}

fn sync_file(vfs: &dyn Vfs, path: &str) -> Result<(), WriteError> {
    vfs.open(path).and_then(|file| file.sync()).writing(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::id::BodyId;
    use crate::store::OpenOptions;

    fn open(path: &Path) -> Store {
        Store::open(path, &OpenOptions::default()).unwrap()
    }

    fn bytes_of(store: &Store, id: &BodyId) -> Vec<u8> {
        store.body(id).unwrap().unwrap().load().unwrap().to_vec()
    }

    #[test]
    fn what_is_put_is_readable_at_once_and_by_others_after_a_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let (ours, theirs) = (open(&path), open(&path));
        let lease = ours.lease().unwrap();
        let small = lease.put_body(b"hello").unwrap();
        let large = lease.put_body(&vec![7; 100_000]).unwrap();
        assert_eq!(bytes_of(&ours, &small), b"hello");
        assert!(theirs.body(&small).unwrap().is_none());
        lease.commit(Batch::new(), Durability::Durable).unwrap();
        for store in [&ours, &theirs] {
            assert_eq!(bytes_of(store, &small), b"hello");
            assert_eq!(bytes_of(store, &large), vec![7; 100_000]);
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
        assert_eq!(bytes_of(&store, &id), bytes);
        lease.commit(Batch::new(), Durability::Durable).unwrap();
        assert_eq!(bytes_of(&open(directory.path()), &id), bytes);
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
}
