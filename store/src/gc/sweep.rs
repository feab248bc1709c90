//! Sweeping: condemn what was not marked, unlink what is condemned and out of use.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{At, ReadCause, ReadError, WriteError};
use crate::gc::evict::Evicted;
use crate::gc::mark::Mark;
use crate::gc::marks::{Marks, Standing};
use crate::gc::merge;
use crate::gc::{Freed, GcError, Pace};
use crate::id::unhex;
use crate::index::{AT_ONCE, Searcher};
use crate::journal::batch::{Batch, COLLECTED, Table};
use crate::journal::{Durability, Hold, Journal};
use crate::lease::{Lease, leases};
use crate::live_record::LiveName;
use crate::object::ObjectName;
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
    /// Several times that, until no more than so many bytes are left that nobody uses.
    Strict {
        /// What there is room for.
        spare: u64,
    },
}

/// A pack is rewritten in any case when less than this part of it is in use, in percent.
const REWRITES_BELOW: u64 = 50;

/// And below this part where every byte counts: nine bytes are copied for one that is freed.
const REWRITES_STRICTLY_BELOW: u64 = 90;

/// A pack of one object that is longer than this is of a long body.
const ALONE_FROM: u64 = 1024 * 1024;

/// How many files are moved out of sight while everybody else waits: some milliseconds.
const MOVED_AT_ONCE: usize = 64;

/// What a collection is going to do.
#[derive(Debug)]
pub(crate) struct Sweep<'store> {
    store: &'store Store,
    dead: BTreeSet<String>,
    rewrite: Vec<(Arc<Pack>, Vec<Entry>)>,
    /// Packs that were written for it.
    n_copies: usize,
    batch: Batch,
    freed: Freed,
}

impl<'store> Sweep<'store> {
    /// Finds what is not marked. Packs of `copies` hold what is left of others.
    pub(crate) fn plan(
        store: &'store Store,
        (mark, evicted): (&Mark, &Evicted),
        (copies, thrift): (&BTreeSet<PackName>, Thrift),
        pace: &Pace<'_>,
    ) -> Result<Self, GcError> {
        let (dead, rewrite) = (BTreeSet::new(), Vec::new());
        let (batch, freed) = (Batch::new(), Freed::default());
        let n_copies = copies.len();
        let mut sweep = Self { store, dead, rewrite, n_copies, batch, freed };
        sweep.packs(mark, (copies, thrift), pace)?;
        sweep.blobs(mark, evicted)?;
        sweep.records(mark, evicted)?;
        sweep.lives(mark, evicted)?;
        Ok(sweep)
    }

    /// Finds packs without, and with few, objects in use, and small ones that are many. An object
    /// counts where it is met first: in copies before all others, and last in what is condemned.
    fn packs(
        &mut self,
        mark: &Mark,
        (copies, thrift): (&BTreeSet<PackName>, Thrift),
        pace: &Pace<'_>,
    ) -> Result<(), GcError> {
        let mut packs = self.store.packs().all()?;
        packs.sort_by_cached_key(|pack| {
            let name = pack.name();
            (!copies.contains(&name), self.is_condemned(&name.path()), name)
        });
        let (mut seen, mut partly) = (Marks::default(), Vec::new());
        for pack in packs {
            pace.check()?;
            // Of a damaged table nobody knows what it says of objects in use.
            if !pack.table_is_intact() {
                continue;
            }
            let (live, all) = self.live(mark, &pack, &mut seen, pace)?;
            if live.is_empty() {
                self.dead.insert(pack.name().path());
            } else {
                partly.push(Partly::new(pack, live, all));
            }
        }
        let small = self.rewrite_worst(partly, thrift);
        self.merge(small);
        Ok(())
    }

    /// Has packs rewritten of which too little is in use, and gives the others.
    fn rewrite_worst(&mut self, mut packs: Vec<Partly>, thrift: Thrift) -> Vec<Partly> {
        packs.sort_by_key(|pack| pack.used);
        let mut garbage: u64 = packs.iter().map(Partly::garbage).sum();
        let mut others = Vec::new();
        for pack in packs {
            let is_needed = match thrift {
                Thrift::Usual => false,
                Thrift::Strict { spare } => garbage > spare && pack.used < REWRITES_STRICTLY_BELOW,
            };
            if is_needed || pack.used < REWRITES_BELOW {
                garbage -= pack.garbage();
                self.rewrite.push((pack.pack, pack.live));
            } else {
                others.push(pack);
            }
        }
        others
    }

    /// Has small packs rewritten together.
    fn merge(&mut self, mut packs: Vec<Partly>) {
        // A long body with a pack of its own may have holes there, which a copy would fill.
        packs.retain(|Partly { pack, .. }| pack.n_entries() > 1 || pack.size() <= ALONE_FROM);
        packs.sort_by_key(|Partly { pack, .. }| (pack.size(), pack.name()));
        let lengths: Vec<u64> = packs.iter().map(|Partly { pack, .. }| pack.size()).collect();
        let merged = packs.drain(..merge::how_many(&lengths));
        self.rewrite.extend(merged.map(|Partly { pack, live, .. }| (pack, live)));
    }

    /// What a pack holds that is in use and was not `seen`, and the length of all that it holds.
    fn live(
        &self,
        mark: &Mark,
        pack: &Pack,
        seen: &mut Marks,
        pace: &Pace<'_>,
    ) -> Result<(Vec<Entry>, u64), GcError> {
        let mut packs = self.store.packs().searcher()?;
        let (mut live, mut all) = (Vec::new(), 0);
        let (mut some, mut names) = (Vec::new(), Vec::new());
        for first in (0..pack.n_entries()).step_by(AT_ONCE) {
            pace.check()?;
            let places = first..pack.n_entries().min(first + AT_ONCE);
            some.clear();
            some.extend(places.filter_map(|place| Some((place, pack.entry(place)?))));
            names.clear();
            names.extend(some.iter().map(|(_, entry)| entry.name));
            packs.prefetch(&names)?;
            for (place, entry) in some.drain(..) {
                all += entry.raw_len;
                let at = (pack.name(), place);
                if self.counts(mark, (&entry.name, at), &mut packs, seen)? {
                    live.push(entry);
                }
            }
        }
        Ok((live, all))
    }

    /// Whether an object is in use, and was not `seen` in another pack.
    fn counts(
        &self,
        mark: &Mark,
        (name, at): (&ObjectName, (PackName, usize)),
        packs: &mut Searcher<'_>,
        seen: &mut Marks,
    ) -> Result<bool, ReadError> {
        let Some(standing) = mark.objects.standing(packs, name, at)? else {
            self.store.packs().forget_tables()?;
            return Err(ReadError::new("cache", ReadCause::Malformed("table of packs")));
        };
        match standing {
            Standing::Outside => Ok(false),
            Standing::Sole => Ok(true),
            Standing::Shared => seen.insert(packs, name),
        }
    }

    /// Copies what is left of packs with few objects in use, and says where to. Those packs go once
    /// nothing has been found in them since. Copies that there is no time to finish go with the
    /// lease.
    pub(crate) fn rewrite(
        &self,
        ours: &Lease,
        pace: &Pace<'_>,
    ) -> Result<BTreeSet<PackName>, GcError> {
        if self.rewrite.is_empty() {
            return Ok(BTreeSet::new());
        }
        let copy = |pack, entry| -> Result<(), GcError> {
            pace.check()?;
            Ok(ours.writer().copy(pack, entry)?)
        };
        for (pack, live) in &self.rewrite {
            match live.iter().try_for_each(|entry| copy(pack, entry)) {
                Err(GcError::Write(WriteError::Read(error))) => {
                    tracing::warn!(%error, path = pack.path(), "leaving a damaged pack as it is");
                }
                done => done?,
            }
        }
        pace.check()?;
        let copies = ours.writer().finish()?.iter().map(|pack| pack.name()).collect();
        ours.commit(Batch::new(), Durability::Durable)?;
        Ok(copies)
    }

    /// Whether something lies in the store twice until this is done.
    pub(crate) fn has_copied(&self) -> bool {
        self.n_copies > 0
    }

    fn is_condemned(&self, path: &str) -> bool {
        self.store.journal().contains(Table::Condemned, path.as_bytes())
    }

    fn blobs(&mut self, mark: &Mark, evicted: &Evicted) -> Result<(), ReadError> {
        for name in self.store.vfs().list("blobs/sha256").reading("blobs/sha256")? {
            let Some(digest) = unhex(&name).map(Digest::from_bytes) else { continue };
            if !mark.digests.contains(&digest) || evicted.blobs.contains(&digest) {
                self.dead.insert(digest.blob_path());
            }
        }
        Ok(())
    }

    fn records(&mut self, mark: &Mark, evicted: &Evicted) -> Result<(), ReadError> {
        let layers = self.store.layers()?.into_iter();
        let (kept, gone): (Vec<_>, Vec<_>) =
            layers.partition(|record| mark.layers.contains(&record.id));
        self.batch.remove_layers(self.store.journal(), &gone, &kept);
        self.freed.n_layers += gone.len() as u64;
        for key in &evicted.actions {
            self.batch.remove_action(key);
            self.freed.n_actions += 1;
        }
        Ok(())
    }

    fn lives(&mut self, mark: &Mark, evicted: &Evicted) -> Result<(), ReadError> {
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
        // One that a process has put here and not recorded yet is its own until the process ends.
        for name in self.store.vfs().list("live").reading("live")? {
            if let Some(name) = LiveName::new(&name).filter(|name| !recorded.contains(name)) {
                self.dead.insert(name.path());
            }
        }
        Ok(())
    }

    /// Says what goes, in the state in which the plan was made.
    pub(crate) fn condemn(&self, hold: &mut Hold<'_>) -> Result<(), WriteError> {
        let (mut batch, since) = (self.batch.clone(), hold.journal().sequence() + 1);
        let since = since.to_le_bytes().to_vec();
        let before = condemned(hold.journal());
        for path in self.dead.iter().filter(|path| !before.contains_key(*path)) {
            batch.put(Table::Condemned, path.as_bytes(), since.clone());
            // One of the same name may come again, and must not pass for synced.
            if let Some(name) = path.strip_prefix("packs/").and_then(PackName::of_file) {
                batch.delete(Table::Packs, name.as_bytes());
            }
        }
        for path in before.keys().filter(|path| !self.dead.contains(*path)) {
            batch.delete(Table::Condemned, path.as_bytes());
        }
        if !batch.is_empty() {
            batch.put(Table::Boot, COLLECTED, since);
            hold.append(&batch, Durability::Durable)?;
        }
        Ok(())
    }

    /// Takes away what no live lease can be using. What there is no time for stays condemned, so that
    /// the next collection takes it.
    pub(crate) fn unlink(mut self, ours: &str, pace: &Pace<'_>) -> Result<Freed, GcError> {
        let store = self.store;
        if !condemned(store.journal()).is_empty() {
            // Whoever condemned it may have been killed before that was on disk; and a journal that
            // knows nothing of it must not come back when it is gone.
            store.journal().sync()?;
        }
        while store.journal().hold(|hold| self.unlink_some(hold, ours))? == More::Yes
            && (pace.patience)()
        {}
        store.list_packs()?;
        Ok(self.freed)
    }

    /// Everybody else waits meanwhile, so it is not all at once. Files are moved out of sight; they
    /// are deleted later.
    fn unlink_some(&mut self, hold: &mut Hold<'_>, ours: &str) -> Result<More, WriteError> {
        let others = leases::live_since(&**self.store.vfs(), ours)?;
        let oldest = others.into_iter().min().unwrap_or(u64::MAX);
        let condemned = condemned(hold.journal());
        let (ready, waiting): (Vec<_>, Vec<_>) =
            condemned.into_iter().partition(|(_, since)| *since <= oldest);
        self.freed.n_waiting = waiting.len() as u64;
        let mut batch = Batch::new();
        for (path, _) in ready.iter().take(MOVED_AT_ONCE) {
            self.remove(path)?;
            batch.delete(Table::Condemned, path.as_bytes());
            if let Some(name) = path.strip_prefix("packs/").and_then(PackName::of_file) {
                batch.delete(Table::Packs, name.as_bytes());
            }
        }
        if !batch.is_empty() {
            hold.append(&batch, Durability::Relaxed)?;
        }
        Ok(if ready.len() > MOVED_AT_ONCE { More::Yes } else { More::No })
    }

    fn remove(&mut self, path: &str) -> Result<(), WriteError> {
        let vfs = &**self.store.vfs();
        if !path.starts_with("live/") {
            self.freed.bytes += vfs.open(path).and_then(|file| file.size()).unwrap_or(0);
        }
        match trash::throw_away(vfs, path) {
            Ok(()) => self.freed.n_files += 1,
            // An earlier collection was cut short after this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).writing(path),
        }
        Ok(())
    }
}

/// What was condemned, and by which group.
fn condemned(journal: &Journal) -> BTreeMap<String, u64> {
    let rows = journal.scan(Table::Condemned).into_iter();
    rows.filter_map(|(path, since)| {
        let since = since.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
        Some((String::from_utf8(path).ok()?, since))
    })
    .collect()
}

/// A pack that holds something that is in use.
#[derive(Debug)]
struct Partly {
    pack: Arc<Pack>,
    live: Vec<Entry>,
    /// How much of it is in use, in percent.
    used: u64,
}

impl Partly {
    /// `all` is the length of everything that it holds, in use or not.
    fn new(pack: Arc<Pack>, live: Vec<Entry>, all: u64) -> Self {
        let bytes: u64 = live.iter().map(|entry| entry.raw_len).sum();
        // Of objects without a byte all counts that is in use.
        let used = bytes.saturating_mul(100).checked_div(all).unwrap_or(100);
        Self { pack, live, used }
    }

    /// What would be freed if it were rewritten, about.
    fn garbage(&self) -> u64 {
        self.pack.size() / 100 * (100 - self.used.min(100))
    }
}

/// Whether there is anything left to take away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum More {
    Yes,
    No,
}
