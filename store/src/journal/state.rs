//! The journal in memory: one generation's base and what its log has changed since.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::error::{At, ReadError, WriteError};
use crate::journal::base::{self, JournalBase};
use crate::journal::batch::{Batch, Change, Table};
use crate::journal::group;
use crate::journal::{BootId, Durability};
use crate::vfs::{Vfs, VfsFile, read_from};

const LOG_MAGIC: [u8; 8] = *b"wytheJL1";
const LOG_HEADER_SIZE: usize = 64;
const SCRATCH: &str = "journal/new";

/// A part of the journal that is not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The file.
    pub path: String,
    /// Where the damaged part begins.
    pub offset: u64,
}

/// What one process knows of the journal.
#[derive(Debug)]
pub struct State {
    generation: u64,
    base: Option<JournalBase>,
    log: Arc<dyn VfsFile>,
    consumed: u64,
    /// Up to where this process has made sure that the log is on disk.
    synced: u64,
    /// Whether the names of this generation are on disk for certain.
    named: bool,
    sequence: u64,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    damage: Vec<Damage>,
}

impl State {
    /// Reads the newest generation; `None` where there is none.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn open(vfs: &dyn Vfs) -> Result<Option<Self>, ReadError> {
        loop {
            let names = vfs.list("journal").reading("journal")?;
            let Some(generation) = names.iter().filter_map(|name| log_generation(name)).max()
            else {
                return Ok(None);
            };
            match Self::open_generation(vfs, generation) {
                // Folded into a newer generation between the listing and the opening.
                Err(error) if error.is_not_found() && moved_on(vfs, generation)? => {}
                state => return state.map(Some),
            }
        }
    }

    fn open_generation(vfs: &dyn Vfs, generation: u64) -> Result<Self, ReadError> {
        let path = log_path(generation);
        let log: Arc<dyn VfsFile> = vfs.open_append(&path).reading(&path)?.into();
        let base = match generation {
            0 => None,
            _ => Some(JournalBase::open(vfs, &base_path(generation))?),
        };
        let sequence = base.as_ref().map_or(0, JournalBase::sequence);
        let (consumed, changes, damage) = (LOG_HEADER_SIZE as u64, BTreeMap::new(), Vec::new());
        let (synced, named) = (0, false);
        let mut state =
            Self { generation, base, log, consumed, synced, named, sequence, changes, damage };
        if state.base.as_ref().is_some_and(|base| !base.is_intact()) {
            state.damage.push(Damage { path: base_path(generation), offset: 0 });
        }
        state.check_header()?;
        state.replay()?;
        Ok(state)
    }

    fn check_header(&mut self) -> Result<(), ReadError> {
        let path = self.log_path();
        let mut header = [0; LOG_HEADER_SIZE];
        let count = self.log.read_at(&mut header, 0).reading(&path)?;
        if count != header.len() || header != log_header(self.generation) {
            self.damage.push(Damage { path, offset: 0 });
        }
        Ok(())
    }

    /// Creates the first generation. The caller holds the journal's lock.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn create(vfs: &dyn Vfs) -> Result<Self, WriteError> {
        publish(vfs, &log_header(0), &log_path(0))?;
        vfs.sync_dir("journal").writing("journal")?;
        Ok(Self::open_generation(vfs, 0)?)
    }

    /// The value of a key with its table in front.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.changes.get(key) {
            Some(value) => value.as_deref(),
            None => self.base.as_ref()?.get(key),
        }
    }

    /// Whether a batch changes nothing.
    pub fn says(&self, batch: &Batch) -> bool {
        batch.changes().iter().all(|change| match change {
            Change::Put { key, value } => self.get(key) == Some(value.as_slice()),
            Change::Delete { key } => self.get(key).is_none(),
        })
    }

    /// The keys and values of a table.
    pub fn scan(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        let without_table = |key: &[u8]| key[1..].to_vec();
        let prefix = [table.code()];
        let merged = self.merged(&prefix);
        merged.into_iter().map(|(key, value)| (without_table(key), value.to_vec())).collect()
    }

    fn merged<'state>(&'state self, prefix: &'state [u8]) -> BTreeMap<&'state [u8], &'state [u8]> {
        let base = self.base.iter().flat_map(|base| base.range(prefix));
        let mut merged: BTreeMap<&[u8], &[u8]> = base.collect();
        let changed = self.changes.range(prefix.to_vec()..);
        for (key, value) in changed.take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => merged.insert(key, value),
                None => merged.remove(key.as_slice()),
            };
        }
        merged
    }

    /// The number of the last group.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What was found broken.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Forgets what was found broken: it is not in the files any more.
    pub fn forget_damage(&mut self) {
        self.damage.clear();
    }

    /// Bytes after the last group, which are a torn tail, or a group whose checksum does not hold.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn torn_tail(&self) -> Result<Option<Damage>, ReadError> {
        let path = self.log_path();
        let size = self.log.size().reading(&path)?;
        Ok((size != self.consumed).then_some(Damage { path, offset: self.consumed }))
    }

    /// Length of the part of the log that has been read.
    pub fn log_size(&self) -> u64 {
        self.consumed
    }

    /// Length of the base.
    pub fn base_size(&self) -> u64 {
        self.base.as_ref().map_or(0, JournalBase::size)
    }

    /// Bytes of this generation.
    pub fn size(&self) -> u64 {
        self.log_size() + self.base_size()
    }

    /// The open log.
    pub fn log(&self) -> Arc<dyn VfsFile> {
        Arc::clone(&self.log)
    }

    /// Where the log lies.
    pub fn log_path(&self) -> String {
        log_path(self.generation)
    }

    /// Whether this process has made sure that the names of this generation are on disk.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Whether others have appended, or moved on to a new generation.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn is_behind(&self, vfs: &dyn Vfs) -> Result<bool, ReadError> {
        let size = self.log.size().reading(&self.log_path())?;
        Ok(size != self.consumed || moved_on(vfs, self.generation)?)
    }

    /// Reads what others have committed.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn catch_up(&mut self, vfs: &dyn Vfs) -> Result<(), ReadError> {
        if moved_on(vfs, self.generation)? {
            if let Some(newer) = Self::open(vfs)? {
                *self = newer;
            }
            return Ok(());
        }
        self.replay()
    }

    fn replay(&mut self) -> Result<(), ReadError> {
        let path = self.log_path();
        let bytes = read_from(&*self.log, self.consumed).reading(&path)?;
        let mut at = 0;
        loop {
            while let Some(group) = group::group_at(&bytes, at) {
                for change in group::changes(&bytes[group.payload.clone()]) {
                    self.apply(change);
                }
                self.sequence = group.sequence;
                at = group.end;
            }
            let Some(next) = beyond_damage(&bytes, at, self.sequence) else { break };
            self.damage.push(Damage { path: path.clone(), offset: self.consumed + at as u64 });
            at = next;
        }
        self.consumed += at as u64;
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put { key, value } => self.changes.insert(key, Some(value)),
            Change::Delete { key } => self.changes.insert(key, None),
        };
    }

    /// Makes sure that what was read of the log is on disk.
    ///
    /// # Errors
    ///
    /// If the sync fails.
    pub fn sync(&mut self, vfs: &dyn Vfs) -> io::Result<()> {
        if !self.named {
            // Whoever made this generation may have died before its names were on disk.
            vfs.sync_dir("journal")?;
            self.named = true;
        }
        if self.synced < self.consumed {
            self.log.sync()?;
            self.synced = self.consumed;
        }
        Ok(())
    }

    /// Appends a group after cutting off what a crash has torn. The caller holds the journal's
    /// lock and has caught up.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn append(
        &mut self,
        batch: &Batch,
        durability: Durability,
        boot: &BootId,
    ) -> Result<(), WriteError> {
        let path = self.log_path();
        let bytes = group::encode(batch, self.sequence + 1, durability, boot)?;
        if self.log.size().writing(&path)? != self.consumed {
            self.log.truncate(self.consumed).writing(&path)?;
        }
        if let Err(error) = self.log.append(&bytes) {
            // Where even this fails, the torn group is cut off by the next writer.
            let cut = self.log.truncate(self.consumed);
            tracing::debug!(?cut, "took back a group that could not be written");
            return Err(error).writing(&path);
        }
        self.consumed += bytes.len() as u64;
        self.sequence += 1;
        for change in batch.changes() {
            self.apply(change.clone());
        }
        Ok(())
    }

    /// Folds the log into the base of a new generation. The caller holds the journal's lock and
    /// has caught up.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn compact(&mut self, vfs: &dyn Vfs) -> Result<(), WriteError> {
        let next = self.generation + 1;
        let bytes = base::encode(self.sequence, self.merged(&[]).into_iter());
        if vfs.exists(&base_path(next)).writing("journal")? {
            // From a compaction that a crash cut short: without its log it means nothing.
            vfs.unlink(&base_path(next)).writing("journal")?;
        }
        publish(vfs, &bytes, &base_path(next))?;
        // The log is what makes the generation current, so its base must be there first.
        vfs.sync_dir("journal").writing("journal")?;
        publish(vfs, &log_header(next), &log_path(next))?;
        vfs.sync_dir("journal").writing("journal")?;
        let damage = std::mem::take(&mut self.damage);
        *self = Self { named: true, ..Self::open_generation(vfs, next)? };
        self.damage.extend(damage);
        remove_older(vfs, next)
    }
}

/// Where reading goes on after a part that is no group. A tail that nobody synced may be torn
/// anywhere and ends the log; but before a durable group everything was synced, so there a gap is
/// damage, and what follows still counts.
fn beyond_damage(bytes: &[u8], at: usize, sequence: u64) -> Option<usize> {
    group::group_beyond(bytes, at, sequence, |group| group.durability == Durability::Durable)?;
    group::group_beyond(bytes, at, sequence, |_| true)
}

fn publish(vfs: &dyn Vfs, bytes: &[u8], path: &str) -> Result<(), WriteError> {
    if vfs.exists(SCRATCH).writing(SCRATCH)? {
        vfs.unlink(SCRATCH).writing(SCRATCH)?;
    }
    let file = vfs.create(SCRATCH).writing(SCRATCH)?;
    file.append(bytes).and_then(|()| file.sync()).writing(SCRATCH)?;
    vfs.publish(SCRATCH, path).writing(path)
}

fn remove_older(vfs: &dyn Vfs, generation: u64) -> Result<(), WriteError> {
    for name in vfs.list("journal").writing("journal")? {
        let digits = name.strip_suffix(".log").or_else(|| name.strip_suffix(".base"));
        if digits.and_then(parse_generation).is_some_and(|found| found < generation) {
            let path = format!("journal/{name}");
            vfs.unlink(&path).writing(&path)?;
        }
    }
    Ok(())
}

fn moved_on(vfs: &dyn Vfs, generation: u64) -> Result<bool, ReadError> {
    let path = log_path(generation + 1);
    if vfs.exists(&path).reading(&path)? {
        return Ok(true);
    }
    // Two generations later our own log is gone too.
    let path = log_path(generation);
    Ok(!vfs.exists(&path).reading(&path)?)
}

fn log_header(generation: u64) -> [u8; LOG_HEADER_SIZE] {
    let mut header = [0; LOG_HEADER_SIZE];
    header[..8].copy_from_slice(&LOG_MAGIC);
    header[8..16].copy_from_slice(&generation.to_le_bytes());
    header
}

fn log_generation(name: &str) -> Option<u64> {
    parse_generation(name.strip_suffix(".log")?)
}

fn parse_generation(digits: &str) -> Option<u64> {
    if digits.len() == 16 { u64::from_str_radix(digits, 16).ok() } else { None }
}

fn log_path(generation: u64) -> String {
    format!("journal/{generation:016x}.log")
}

fn base_path(generation: u64) -> String {
    format!("journal/{generation:016x}.base")
}
