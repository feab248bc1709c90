//! Leases: a process's right to write, and what protects its work while it lives.
//!
//! A lease is a file under `leases/` that its owner keeps locked. When the owner dies, in
//! whatever way, the kernel frees the lock, and the next process to open the store takes away
//! what the lease had under `work/`.

mod commit;
pub(crate) mod leases;
mod publish;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::bytes::Bytes;
use crate::claims::{Claim, Claims};
use crate::closure;
use crate::digest::Digest;
use crate::error::{At, ReadError, WriteError};
use crate::id::LayerId;
use crate::index::Extent;
use crate::lease::leases::{create_locked, discard, lease_path, work_path};
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::pack::writer::PackWriter;
use crate::stake::Stake;
use crate::store::{Access, Store};
use crate::trash;
use crate::vfs::Lock;

/// A live lease. Threads share it by reference; dropping it removes what was not committed.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: String,
    writer: Arc<PackWriter>,
    /// What this process has found since the lease began.
    stake: Arc<Stake>,
    /// How many of the blobs found have their names on disk for certain.
    synced_blobs: AtomicUsize,
    /// How many bytes of bodies were compressed because there were few.
    squeezed: AtomicU64,
    /// Held while packs are published and the journal is written, and taken before the writer's
    /// and the journal's own locks.
    committing: Mutex<()>,
    /// Layers that are given a blob, each by one thread at a time.
    exporting: Claims<LayerId>,
    /// Blobs that are on their way from elsewhere, each to one thread.
    fetching: Claims<Digest>,
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
        let found = self.store.packs().visit(name, stays).ok()?;
        found.inspect(|(pack, _)| self.store.rely(pack))
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
        self.add_stake(&lease.stake);
        Ok(lease)
    }

    /// Takes a lease for collection: what it looks at is not thereby in use.
    pub(crate) fn lease_of_collector(&self) -> Result<Lease, WriteError> {
        Lease::take(self.clone())
    }
}

impl Lease {
    /// The lease begins under the journal's lock: who condemns something later finds it there, with
    /// the last group it can have seen.
    fn take(store: Store) -> Result<Self, WriteError> {
        if store.access() == Access::Read {
            // Nothing protects what it reads, and whatever it would write is refused.
            let since = store.journal().sequence();
            return Ok(Self::new(store, String::new(), None, since));
        }
        let vfs = &**store.vfs();
        let (name, lock, since) = store.journal().hold(|hold| {
            store.check_format()?;
            let (name, lock) = create_locked(vfs)?;
            let (path, since) = (lease_path(&name), hold.journal().sequence());
            let file = vfs.open_append(&path).writing(&path)?;
            file.append(&since.to_le_bytes()).writing(&path)?;
            Ok((name, lock, since))
        })?;
        let work = work_path(&name);
        vfs.make_dir(&work).writing(&work)?;
        store.list_packs()?;
        Ok(Self::new(store, name, Some(lock), since))
    }

    fn new(store: Store, name: String, lock: Option<Lock>, since: u64) -> Self {
        let writer = Arc::new(PackWriter::new(Arc::clone(store.vfs()), work_path(&name)));
        store.add_writer(&writer);
        let (stake, committing) = (Arc::new(Stake::new(since)), Mutex::default());
        let (synced_blobs, squeezed) = (AtomicUsize::new(0), AtomicU64::new(0));
        let (exporting, fetching) = Default::default();
        Self {
            store,
            name,
            writer,
            stake,
            synced_blobs,
            squeezed,
            committing,
            exporting,
            fetching,
            lock,
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The name of the lease's file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The layers that threads of this lease are making blobs of.
    pub(crate) fn exporting(&self) -> &Claims<LayerId> {
        &self.exporting
    }

    /// Waits until no other thread of this lease fetches a blob. What came is there to be found then.
    pub fn fetching(&self, blob: Digest) -> Claim<'_, Digest> {
        self.fetching.claim(blob)
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
        self.store.is_in_pack_that_stays(name)
    }

    /// Whether a recipe and all that it names are here to stay.
    pub(crate) fn holds_recipe(&self, blob: &Digest) -> Result<bool, ReadError> {
        let holds = |name: &ObjectName| -> Result<bool, ReadError> {
            Ok(self.writer.contains(name) || self.is_published(name)?)
        };
        let recipe = ObjectName::new(Kind::Recipe, blob.as_bytes());
        if !holds(&recipe)? {
            return Ok(false);
        }
        let Some(bytes) = self.store.get(recipe.kind, &recipe.id)? else { return Ok(false) };
        let mut all = true;
        closure::references::<ReadError>(recipe.kind, &bytes, &mut |kind, id| {
            all = all && holds(&ObjectName { id, kind })?;
            Ok(())
        })?;
        Ok(all)
    }

    /// What is here to stay at this moment, so that it need not be put: in packs that no collection
    /// has condemned, or put by this lease. For many questions at once, each of which is cheap.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn holdings(&self) -> Result<Holdings, ReadError> {
        loop {
            self.store.packs().list()?;
            let condemned = self.store.condemned_packs();
            if self.store.is_listed() {
                let (store, writer) = (self.store.clone(), Arc::clone(&self.writer));
                return Ok(Holdings { store, condemned, writer });
            }
            self.store.list_packs()?;
        }
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

    /// Has a table written over packs where one is missed: without it everything is found as well.
    pub(crate) fn cover(&self, extent: Extent) {
        self.cover_while(extent, &|| true);
    }

    /// As [`cover`](Self::cover), or not at all where there is no time for it.
    pub(crate) fn cover_while(&self, extent: Extent, go_on: &dyn Fn() -> bool) {
        let scratch = self.scratch_path();
        if let Err(error) = self.store.packs().cover_while(&scratch, extent, go_on) {
            tracing::debug!(%error, "cannot write a table of packs");
        }
    }

    /// Counts bytes that are compressed because there are few; returns how many there are with them.
    pub(crate) fn squeeze(&self, length: u64) -> u64 {
        self.squeezed.fetch_add(length, Ordering::Relaxed).saturating_add(length)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::id::BodyId;
    use crate::journal::Durability;
    use crate::journal::batch::{Batch, Table};
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
