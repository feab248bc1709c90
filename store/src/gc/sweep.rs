//! Sweeping: condemn what was not marked, unlink what is condemned and out of use.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::blob::blob_path;
use crate::digest::Digest;
use crate::error::{At, ReadCause, ReadError, WriteError};
use crate::gc::evict::Evicted;
use crate::gc::mark::{Alone, Mark};
use crate::gc::marks::{Marks, Standing};
use crate::gc::merge;
use crate::gc::{Freed, GcError};
use crate::id::unhex;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::lease::{Lease, leases};
use crate::live_record::LiveName;
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::store::Store;
use crate::trash;

/// How much is copied for the sake of space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Thrift {
    /// As much as is freed, at most.
    Usual,
    /// Several times that: every byte counts.
    Strict,
}

impl Thrift {
    /// A pack is rewritten when less than this part of it is in use, in percent.
    fn rewrites_below(self) -> u64 {
        match self {
            Self::Usual => 50,
            Self::Strict => 80,
        }
    }
}

/// A pack of one object that is longer than this is of a long body.
const ALONE_FROM: u64 = 1024 * 1024;

/// What a collection is going to do.
#[derive(Debug)]
pub(crate) struct Sweep<'store> {
    store: &'store Store,
    dead: BTreeSet<String>,
    rewrite: Vec<(Arc<Pack>, Vec<Entry>)>,
    batch: Batch,
    freed: Freed,
}

impl<'store> Sweep<'store> {
    pub(crate) fn plan(
        store: &'store Store,
        (mark, evicted): (&Mark, &Evicted),
        (alone, thrift): (Alone, Thrift),
    ) -> Result<Self, ReadError> {
        let (dead, rewrite) = (BTreeSet::new(), Vec::new());
        let (batch, freed) = (Batch::new(), Freed::default());
        let mut sweep = Self { store, dead, rewrite, batch, freed };
        sweep.packs(mark, thrift)?;
        sweep.blobs(mark, evicted)?;
        sweep.records(mark, evicted)?;
        sweep.lives(mark, evicted, alone)?;
        Ok(sweep)
    }

    /// Finds packs without, and with few, objects in use, and small ones that are many. An object
    /// counts where it is met first;
    /// packs condemned before come last.
    fn packs(&mut self, mark: &Mark, thrift: Thrift) -> Result<(), ReadError> {
        let mut packs = self.store.packs().all()?;
        packs.sort_by_cached_key(|pack| (self.is_condemned(&pack.name().path()), pack.name()));
        let (mut seen, mut small) = (Marks::default(), Vec::new());
        for pack in packs {
            // Of a damaged table nobody knows what it says of objects in use.
            if !pack.table_is_intact() {
                continue;
            }
            let (live, all) = self.live(mark, &pack, &mut seen)?;
            let bytes: u64 = live.iter().map(|entry| entry.raw_len).sum();
            if live.is_empty() {
                self.dead.insert(pack.name().path());
            } else if bytes * 100 < all * thrift.rewrites_below() {
                self.dead.insert(pack.name().path());
                self.rewrite.push((pack, live));
            } else {
                small.push((pack, live));
            }
        }
        self.merge(small);
        Ok(())
    }

    /// Has small packs rewritten together.
    fn merge(&mut self, mut packs: Vec<(Arc<Pack>, Vec<Entry>)>) {
        // A long body with a pack of its own may have holes there, which a copy would fill.
        packs.retain(|(pack, _)| pack.n_entries() > 1 || pack.size() <= ALONE_FROM);
        packs.sort_by_key(|(pack, _)| (pack.size(), pack.name()));
        let lengths: Vec<u64> = packs.iter().map(|(pack, _)| pack.size()).collect();
        for (pack, live) in packs.drain(..merge::how_many(&lengths)) {
            self.dead.insert(pack.name().path());
            self.rewrite.push((pack, live));
        }
    }

    /// What a pack holds that is in use and was not `seen`, and the length of all that it holds.
    fn live(
        &self,
        mark: &Mark,
        pack: &Pack,
        seen: &mut Marks,
    ) -> Result<(Vec<Entry>, u64), ReadError> {
        let packs = self.store.packs();
        let (mut live, mut all) = (Vec::new(), 0);
        for place in 0..pack.n_entries() {
            let Some(entry) = pack.entry(place) else { continue };
            all += entry.raw_len;
            let at = (pack.name(), place);
            let Some(standing) = mark.objects.standing(packs, &entry.name, at)? else {
                packs.forget_tables()?;
                return Err(ReadError::new("cache", ReadCause::Malformed("table of packs")));
            };
            let counts = match standing {
                Standing::Outside => false,
                Standing::Sole => true,
                Standing::Shared => seen.insert(packs, &entry.name)?,
            };
            live.extend(counts.then_some(entry));
        }
        Ok((live, all))
    }

    fn is_condemned(&self, path: &str) -> bool {
        self.store.journal().contains(Table::Condemned, path.as_bytes())
    }

    fn blobs(&mut self, mark: &Mark, evicted: &Evicted) -> Result<(), ReadError> {
        for name in self.store.vfs().list("blobs/sha256").reading("blobs/sha256")? {
            let Some(digest) = unhex(&name).map(Digest::from_bytes) else { continue };
            if !mark.digests.contains(&digest) || evicted.blobs.contains(&digest) {
                self.dead.insert(blob_path(&digest));
            }
        }
        Ok(())
    }

    fn records(&mut self, mark: &Mark, evicted: &Evicted) -> Result<(), ReadError> {
        for record in self.store.layers()? {
            if !mark.layers.contains(&record.id) {
                self.batch.remove_layer(&record);
                self.freed.n_layers += 1;
            }
        }
        for key in &evicted.actions {
            self.batch.remove_action(key);
            self.freed.n_actions += 1;
        }
        Ok(())
    }

    fn lives(&mut self, mark: &Mark, evicted: &Evicted, alone: Alone) -> Result<(), ReadError> {
        let mut recorded = BTreeSet::new();
        for (name, record) in self.store.lives()? {
            let is_used = mark.lives.contains(&name) || mark.layers.contains(&record.layer);
            if is_used && !evicted.lives.contains(&name) {
                recorded.insert(name);
            } else {
                self.batch.remove_live(&name);
                self.dead.insert(name.path());
            }
        }
        // A process may have renamed a directory here and not recorded it yet.
        if alone == Alone::Yes {
            for name in self.store.vfs().list("live").reading("live")? {
                if let Some(name) = LiveName::new(&name).filter(|name| !recorded.contains(name)) {
                    self.dead.insert(name.path());
                }
            }
        }
        Ok(())
    }

    /// Copies what is left of packs that go, then says what goes, unless anybody has committed
    /// since `sequence`: [`WriteError::Moved`] then.
    pub(crate) fn condemn(&self, ours: &Lease, sequence: u64) -> Result<(), GcError> {
        let mut spared = BTreeSet::new();
        for (pack, live) in &self.rewrite {
            match live.iter().try_for_each(|entry| ours.writer().copy(pack, entry)) {
                Err(WriteError::Read(error)) => {
                    tracing::warn!(%error, path = pack.path(), "leaving a damaged pack as it is");
                    spared.insert(pack.name().path());
                }
                done => done?,
            }
        }
        let mut basis = sequence;
        if !self.rewrite.is_empty() {
            basis = ours.commit(Batch::new(), Durability::Durable)?;
            if basis != sequence + 1 {
                return Err(WriteError::Moved.into());
            }
        }
        let mut batch = self.batch.clone();
        let before = self.condemned();
        let new = |path: &&String| !before.contains_key(*path) && !spared.contains(*path);
        for path in self.dead.iter().filter(new) {
            batch.put(Table::Condemned, path.as_bytes(), (basis + 1).to_le_bytes().to_vec());
        }
        for path in before.keys().filter(|path| !self.dead.contains(*path)) {
            batch.delete(Table::Condemned, path.as_bytes());
        }
        if !batch.is_empty() {
            self.store.journal().commit_at(basis, &batch, Durability::Durable)?;
        }
        Ok(())
    }

    fn condemned(&self) -> BTreeMap<String, u64> {
        let rows = self.store.journal().scan(Table::Condemned).into_iter();
        rows.filter_map(|(path, since)| {
            let since = since.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
            Some((String::from_utf8(path).ok()?, since))
        })
        .collect()
    }

    /// Unlinks what no live lease can be using.
    pub(crate) fn unlink(mut self, ours: &str) -> Result<Freed, GcError> {
        let others = leases::live_since(&**self.store.vfs(), ours)?;
        let mut batch = Batch::new();
        for (path, since) in self.condemned() {
            if others.iter().any(|seen| *seen < since) {
                self.freed.n_waiting += 1;
                continue;
            }
            self.remove(&path)?;
            batch.delete(Table::Condemned, path.as_bytes());
            if let Some(name) = path.strip_prefix("packs/").and_then(PackName::of_file) {
                batch.delete(Table::Packs, name.as_bytes());
            }
        }
        if !batch.is_empty() {
            self.store.journal().commit(&batch, Durability::Durable)?;
            self.store.packs().reload()?;
        }
        Ok(self.freed)
    }

    fn remove(&mut self, path: &str) -> Result<(), WriteError> {
        let vfs = self.store.vfs();
        let removed = if path.starts_with("live/") {
            trash::throw_away(&**vfs, path)
        } else {
            let size = vfs.open(path).and_then(|file| file.size()).unwrap_or(0);
            self.freed.bytes += size;
            vfs.unlink(path)
        };
        match removed {
            Ok(()) => self.freed.n_files += 1,
            // An earlier collection was cut short after this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).writing(path),
        }
        Ok(())
    }
}
