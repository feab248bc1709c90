//! Commits: what was put is published, then the journal's lock shows what has become of the store
//! meanwhile, and the changes are made in one group with all they need.
//!
//! Since collection does not wait for leases, something that a lease has found may have been taken
//! away by then. Nothing of it is deleted yet, as the lease lives and is older; so its rows are put
//! back, and its files are condemned no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use crate::closure;
use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::index::Extent;
use crate::journal::batch::{Batch, Change, Table};
use crate::journal::{Durability, Hold, Journal};
use crate::layers::{LayerRecord, decode_descriptor};
use crate::lease::Lease;
use crate::live_record::LiveName;
use crate::pack::PackName;

/// What a commit wants, and what it needs to know before it can have it.
struct Wish<'lease> {
    lease: &'lease Lease,
    batch: Batch,
    durability: Durability,
    /// Rows of layers that collection has taken away, and the files behind each.
    behind: BTreeMap<Vec<u8>, BTreeSet<String>>,
}

/// What became of a wish under the journal's lock.
enum Granted {
    /// The group with this number.
    Group(u64),
    /// The files behind these rows have to be looked up first, without the lock.
    Unknown(BTreeMap<Vec<u8>, Vec<u8>>),
}

impl Lease {
    /// Publishes everything that was put, then makes the changes of `batch`, all or none. A layer
    /// that is recorded already is not replaced: what both records know is true of it.
    ///
    /// With [`Durability::Durable`] all packs this process knows, whoever published them, are on
    /// disk when this returns, and so are directories that are the only copy of a layer. On an error
    /// the changes were not acknowledged, and what was put stays readable to this process.
    ///
    /// # Errors
    ///
    /// If objects or the journal cannot be written; nothing of the batch is visible then. After a
    /// sync that failed, always: see [`Journal::synced`].
    pub fn commit(&self, mut batch: Batch, durability: Durability) -> Result<u64, WriteError> {
        let _one_at_a_time = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let durability = match self.store.durability() {
            Durability::Durable => durability,
            Durability::Relaxed => Durability::Relaxed,
        };
        self.store.journal().check_poison()?;
        self.rely_on_images(&batch)?;
        let finished = self.writer.finish()?;
        self.publish_all(&finished, &mut batch, durability)?;
        let mut wish = Wish { lease: self, batch, durability, behind: BTreeMap::new() };
        let sequence = loop {
            match self.store.journal().hold(|hold| wish.grant(hold))? {
                Granted::Group(sequence) => break sequence,
                Granted::Unknown(rows) => wish.look_up(rows)?,
            }
        };
        self.writer.forget(&finished);
        self.store.listed_with(sequence)?;
        if !finished.is_empty() {
            self.cover(Extent::Some);
        }
        Ok(sequence)
    }

    /// Remembers all that the images lead to which a batch gives a name.
    fn rely_on_images(&self, batch: &Batch) -> Result<(), WriteError> {
        let mut pending: Vec<Digest> = Vec::new();
        for change in batch.changes() {
            if let Change::Put { key, value } = change
                && key.first() == Some(&Table::Refs.code())
            {
                pending.extend(decode_descriptor(value).map(|descriptor| descriptor.digest));
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(digest) = pending.pop() {
            if !seen.insert(digest) {
                continue;
            }
            self.store.layer_of_blob(&digest)?;
            self.store.layer_of_diff(&crate::digest::DiffId(digest))?;
            self.store.is_doomed(&digest.blob_path());
            self.holds_recipe(&digest)?;
            if let Some(document) = self.store.document(&digest)? {
                // It may lie in a pack that is condemned.
                self.put_document(&document)?;
                pending.extend(closure::digests(&document));
            }
        }
        Ok(())
    }
}

impl Wish<'_> {
    /// Makes the changes, with whatever keeps true what they rely on.
    fn grant(&self, hold: &mut Hold<'_>) -> Result<Granted, WriteError> {
        let journal = hold.journal();
        let mut batch = merged(journal, &self.batch)?;
        if journal.collected() > self.lease.stake.since() {
            let is_there =
                |key: &[u8]| journal.get_full(key).is_some() || touches(&self.batch, key);
            let gone = self.lease.stake.rows_without(is_there);
            let mut unknown = gone.clone();
            unknown.retain(|key, _| is_layer(key) && !self.behind.contains_key(key));
            if !unknown.is_empty() {
                return Ok(Granted::Unknown(unknown));
            }
            self.lift(journal, &gone, &mut batch);
            put_back(journal, gone, &mut batch)?;
        }
        let (told, collected) = self.doubt(journal, &mut batch);
        let sequence = hold.append(&batch, self.durability)?;
        self.lease.store.relied().tell(&told, collected);
        for stake in self.lease.store.stakes() {
            stake.let_go(&batch);
        }
        self.lease.stake.follow(&batch);
        Ok(Granted::Group(sequence))
    }

    /// Condemns no longer what the lease relies on.
    fn lift(&self, journal: &Journal, gone: &BTreeMap<Vec<u8>, Vec<u8>>, batch: &mut Batch) {
        let relied = self.lease.store.relied().all().clone();
        let relied: BTreeSet<String> = relied.iter().map(PackName::path).collect();
        let behind = |path: &str| {
            let mut files = gone.keys().filter_map(|key| self.behind.get(key));
            files.any(|files| files.contains(path))
        };
        for (path, since) in journal.scan(Table::Condemned) {
            let since = since.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let Ok(path) = std::str::from_utf8(&path) else { continue };
            let needed = relied.contains(path) || self.lease.stake.has_path(path) || behind(path);
            // What was condemned before the lease began was never relied on.
            if needed && since > self.lease.stake.since() {
                batch.delete(Table::Condemned, path.as_bytes());
                // Condemning it, collection has forgotten whether it is synced.
                if let Some(name) = path.strip_prefix("packs/").and_then(PackName::of_file) {
                    doubt(journal, &name, batch);
                }
            }
        }
    }

    /// Says that packs which the lease relies on may be unsynced, where nobody says anything: a
    /// power cut that takes one has to take what needs it. Returns the packs of which something is
    /// said now, and the last group by which collection took anything away.
    fn doubt(&self, journal: &Journal, batch: &mut Batch) -> (Vec<PackName>, u64) {
        let (store, collected) = (&self.lease.store, journal.collected());
        let mut told = store.relied().untold(collected);
        told.retain(|name| !store.is_condemned(&name.path()));
        for name in &told {
            doubt(journal, name, batch);
        }
        (told, collected)
    }

    fn look_up(&mut self, rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), WriteError> {
        let store = &self.lease.store;
        store.list_packs()?;
        for (key, value) in rows {
            let files = match LayerRecord::of_row(&key[1..], &value)? {
                Some(record) => closure::files_behind(store, &record)?,
                None => BTreeSet::new(),
            };
            if self.durability == Durability::Durable {
                self.sync_packs(&files)?;
            }
            self.behind.insert(key, files);
        }
        Ok(())
    }

    /// Collection has forgotten whether packs that it condemned are synced.
    fn sync_packs(&mut self, files: &BTreeSet<String>) -> Result<(), WriteError> {
        let names = files.iter().filter_map(|path| path.strip_prefix("packs/"));
        let names = names.filter_map(PackName::of_file).collect();
        for name in self.lease.sync_packs(names)? {
            self.batch.put(Table::Packs, name.as_bytes(), Vec::new());
        }
        let answer = self.lease.store.vfs().sync_dir("packs");
        self.lease.store.journal().synced("packs", answer)
    }
}

fn doubt(journal: &Journal, name: &PackName, batch: &mut Batch) {
    let known = journal.contains(Table::Packs, name.as_bytes());
    if !known && !touches(batch, &Table::Packs.key(name.as_bytes())) {
        batch.put(Table::Packs, name.as_bytes(), journal.boot().to_vec());
    }
}

/// Puts rows back that are gone, and with a layer the ways to find it.
fn put_back(
    journal: &Journal,
    gone: BTreeMap<Vec<u8>, Vec<u8>>,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let mut rows = Batch::new();
    for (key, value) in gone {
        let record = is_layer(&key).then(|| LayerRecord::of_row(&key[1..], &value)).transpose()?;
        match record.flatten() {
            Some(record) => rows.put_layer(&record),
            None => rows.push(Change::Put { key, value }),
        };
    }
    for change in rows.changes() {
        let Change::Put { key, .. } = change else { continue };
        if journal.get_full(key).is_none() && !touches(batch, key) {
            batch.push(change.clone());
        }
    }
    Ok(())
}

/// The batch with what the journal knows of its layers by now. A layer that the batch takes away
/// first is recorded as it says.
fn merged(journal: &Journal, batch: &Batch) -> Result<Batch, ReadError> {
    let (mut merged, mut replaced) = (Batch::new(), BTreeSet::new());
    for change in batch.changes() {
        match change {
            Change::Put { key, value } if is_layer(key) && !replaced.contains(key) => {
                let value = merged_row(journal, batch, key, value)?;
                merged.push(Change::Put { key: key.clone(), value });
            }
            Change::Delete { key } => {
                replaced.insert(key.clone());
                merged.push(change.clone());
            }
            Change::Put { .. } => {
                merged.push(change.clone());
            }
        }
    }
    Ok(merged)
}

fn merged_row(
    journal: &Journal,
    batch: &Batch,
    key: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, ReadError> {
    let Some(row) = journal.get_full(key) else { return Ok(value.to_vec()) };
    let read = |row: &[u8]| LayerRecord::of_row(&key[1..], row);
    let (Some(ours), Some(other)) = (read(value)?, read(&row)?) else { return Ok(value.to_vec()) };
    let key_of = |name: &LiveName| Table::Live.key(name.as_str().as_bytes());
    let is_new = |name: &LiveName| touches(batch, &key_of(name));
    let has_live = |name: &LiveName| is_new(name) || journal.get_full(&key_of(name)).is_some();
    // A directory that this batch does not record is what was read, perhaps long ago.
    let stale = !ours.live.as_ref().is_some_and(is_new);
    let newer = other.live.clone().filter(|name| stale && has_live(name));
    let live = newer.or(ours.live.clone());
    Ok(LayerRecord { live, ..ours }.merged(other, has_live).encode())
}

fn touches(batch: &Batch, key: &[u8]) -> bool {
    batch.changes().iter().any(|change| match change {
        Change::Put { key: own, .. } | Change::Delete { key: own } => own == key,
    })
}

fn is_layer(key: &[u8]) -> bool {
    key.first() == Some(&Table::Layers.code())
}
