//! Giving finished packs their public names, and making sure of them on disk.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::closure;
use crate::error::{At, ReadError, WriteError};
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::journal::unread::Unread;
use crate::lease::Lease;
use crate::live_record::{self, LiveRecord, Sync};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

impl Lease {
    /// Publishes packs, and says so in `batch`.
    pub(super) fn publish_all(
        &self,
        finished: &[Arc<Pack>],
        batch: &mut Batch,
        durability: Durability,
    ) -> Result<(), WriteError> {
        if durability == Durability::Durable {
            return self.publish_durable(finished, batch);
        }
        for pack in finished {
            let name = self.publish(pack)?;
            batch.put(Table::Packs, name.as_bytes(), self.store.journal().boot().to_vec());
        }
        Ok(())
    }

    fn publish_durable(&self, finished: &[Arc<Pack>], batch: &mut Batch) -> Result<(), WriteError> {
        let (vfs, journal) = (self.store.vfs(), self.store.journal());
        let only_copies = self.unsynced_only_copies()?;
        let syncs_all = !only_copies.is_empty() || self.has_newer_lives();
        if !syncs_all {
            self.sync_finished(finished)?;
        }
        for pack in finished {
            let name = self.publish(pack)?;
            batch.put(Table::Packs, name.as_bytes(), Vec::new());
        }
        let mut unsynced = self.unsynced_packs(finished)?;
        if syncs_all {
            // Directories full of files: one sync of the file system costs less than theirs.
            journal.synced("live", vfs.sync_all())?;
        } else if !finished.is_empty() || !unsynced.is_empty() {
            unsynced = self.sync_packs(unsynced)?;
            journal.synced("packs", vfs.sync_dir("packs"))?;
        }
        self.sync_blobs()?;
        for (name, record) in only_copies {
            batch.put_live_key(&name, &LiveRecord { sync: Sync::Synced, ..record });
        }
        for name in unsynced {
            batch.put(Table::Packs, name.as_bytes(), Vec::new());
        }
        Ok(())
    }

    /// Syncs packs that are to be published.
    fn sync_finished(&self, finished: &[Arc<Pack>]) -> Result<(), WriteError> {
        let (vfs, journal) = (self.store.vfs(), self.store.journal());
        let mut paths = Vec::new();
        for pack in finished {
            // A commit that failed may have published it.
            let is_private = vfs.exists(pack.path()).writing(pack.path())?;
            paths.push(if is_private { pack.path().to_owned() } else { pack.name().path() });
        }
        let answers = vfs.sync_files(&paths);
        paths.iter().zip(answers).try_for_each(|(path, answer)| journal.synced(path, answer))
    }

    /// Blobs are synced before they get their names; whoever gave one its name may have been killed
    /// before the name was synced too.
    fn sync_blobs(&self) -> Result<(), WriteError> {
        let n_blobs = self.stake.n_blobs();
        if self.synced_blobs.swap(n_blobs, Ordering::Relaxed) != n_blobs {
            let answer = self.store.vfs().sync_dir("blobs/sha256");
            self.store.journal().synced("blobs/sha256", answer)?;
        }
        Ok(())
    }

    /// Directories that nobody has synced, of layers that are nowhere else: the others can be made
    /// again.
    fn unsynced_only_copies(&self) -> Result<Vec<(Vec<u8>, LiveRecord)>, ReadError> {
        let mut found = Vec::new();
        for (name, record) in self.store.lives()? {
            if record.sync == Sync::Unsynced && self.is_only_copy(&record)? {
                found.push((name.as_str().as_bytes().to_vec(), record));
            }
        }
        Ok(found)
    }

    /// Whether a newer version has recorded a directory. It may be the only copy of a layer, and
    /// unsynced, as far as we can tell.
    fn has_newer_lives(&self) -> bool {
        let rows = self.store.journal().scan(Table::Live).into_iter();
        let mut bad = rows.filter(|(key, value)| !live_record::reads(key, value));
        bad.any(|(_, value)| Unread::of(&value, live_record::VERSION) == Unread::Newer)
    }

    fn is_only_copy(&self, live: &LiveRecord) -> Result<bool, ReadError> {
        let Some(layer) = self.store.layer(&live.layer)? else { return Ok(false) };
        Ok(layer.tree.is_none() && !closure::has_blob(&self.store, &layer)?)
    }

    /// The packs other than `finished` of which nobody has said that they are synced. A pack whose
    /// publisher was killed before it could say anything is one of them.
    fn unsynced_packs(&self, finished: &[Arc<Pack>]) -> Result<Vec<PackName>, WriteError> {
        let (vfs, journal) = (self.store.vfs(), self.store.journal());
        let rows = journal.scan(Table::Packs).into_iter().filter(|(_, boot)| !boot.is_empty());
        let mut names: Vec<PackName> = rows.filter_map(|(key, _)| PackName::of_key(&key)).collect();
        // What is condemned is deleted soon, or lifted by whoever relies on it.
        let relied = self.store.relied().all().clone();
        let counts = |name: &PackName| {
            let is_unknown = !journal.contains(Table::Packs, name.as_bytes());
            is_unknown && (relied.contains(name) || !self.store.is_condemned(&name.path()))
        };
        names.extend(self.store.packs().names()?.into_iter().filter(counts));
        names.retain(|name| !finished.iter().any(|pack| pack.name() == *name));
        let mut there = Vec::new();
        for name in names {
            if vfs.exists(&name.path()).writing(&name.path())? {
                there.push(name);
            }
        }
        Ok(there)
    }

    /// Gives a finished pack its public name.
    fn publish(&self, pack: &Arc<Pack>) -> Result<PackName, WriteError> {
        let (vfs, name) = (self.store.vfs(), pack.name());
        let path = name.path();
        self.pardon(&path)?;
        self.store.rely(pack);
        match vfs.publish(pack.path(), &path) {
            Ok(()) => {}
            // Somebody else published the very same objects, or an earlier attempt of ours failed
            // after this point. Of a damaged one nothing was found, so that this one was made.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !is_sound(&**vfs, &path) {
                    vfs.replace(pack.path(), &path).writing(&path)?;
                }
            }
            Err(error) if vfs.exists(&path).writing(&path)? => {
                tracing::debug!(%error, path, "the pack was published before");
            }
            Err(error) => return Err(error).writing(&path),
        }
        self.store.packs().add(name, Arc::clone(pack));
        Ok(name)
    }

    /// Makes sure that a name which is about to appear is not condemned from a time before this
    /// lease, for it could be deleted at once. If it is condemned later that does no harm.
    pub(crate) fn pardon(&self, path: &str) -> Result<(), WriteError> {
        if !self.store.is_condemned(path) {
            return Ok(());
        }
        self.store.journal().hold(|hold| {
            if hold.journal().contains(Table::Condemned, path.as_bytes()) {
                let mut batch = Batch::new();
                batch.delete(Table::Condemned, path.as_bytes());
                hold.append(&batch, Durability::Relaxed)?;
            }
            Ok(())
        })
    }

    /// Syncs packs that others have published, and says which. One that a collection has taken away
    /// meanwhile is left out: what a lease rests on stays.
    pub(super) fn sync_packs(&self, packs: Vec<PackName>) -> Result<Vec<PackName>, WriteError> {
        let (vfs, journal) = (self.store.vfs(), self.store.journal());
        let paths: Vec<String> = packs.iter().map(PackName::path).collect();
        let mut synced = Vec::new();
        for (name, answer) in packs.into_iter().zip(vfs.sync_files(&paths)) {
            if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                continue;
            }
            journal.synced(&name.path(), answer)?;
            synced.push(name);
        }
        Ok(synced)
    }
}

/// Whether the objects of a pack can be found in it.
fn is_sound(vfs: &dyn Vfs, path: &str) -> bool {
    Pack::open(vfs, path).is_ok_and(|pack| pack.table_is_intact())
}
