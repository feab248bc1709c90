//! What is true now: a small key-value store that several processes share and no crash tears.
//!
//! `journal/<generation>.log` is appended to under a lock, one [group] of changes per
//! write; `journal/<generation>.base` is the sorted state the log starts from. Readers take no
//! lock: they hold the base and the log's changes in memory, and
//! [`refresh`](Journal::refresh) reads what others have appended.
//!
//! A group is seen whole or not at all. A tail that a crash tore is cut off by the next writer.

pub mod base;
pub mod batch;
pub mod group;
pub mod state;
pub mod unread;

use std::io;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{At, Poison, ReadError, WriteError};
use crate::journal::batch::{Batch, COLLECTED, Table};
use crate::journal::state::{Damage, State};
use crate::vfs::Vfs;

/// Which boot of the machine this is: what was written unsynced in another one is in doubt.
pub type BootId = [u8; 16];

/// What a commit promises when it returns.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// It survives a power cut.
    #[default]
    Durable,
    /// It survives this process, and after a power cut is there and verified, or absent.
    Relaxed,
}

const LOCK: &str = "lock/journal";

/// The log is folded into a new base when it is longer than this and than a quarter of the base:
/// replaying a log this long takes about a millisecond, which every command pays.
const COMPACT_FROM: u64 = 1024 * 1024;

/// The journal of a store. Shared by reference.
#[derive(Debug)]
pub struct Journal {
    vfs: Arc<dyn Vfs>,
    boot: BootId,
    state: RwLock<State>,
    /// The file of this process whose sync failed first.
    poison: OnceLock<(String, Poison)>,
}

/// The journal while its lock is held.
#[derive(Debug)]
pub struct Hold<'journal> {
    journal: &'journal Journal,
    appended: Option<Durability>,
}

impl Journal {
    /// Opens the journal, creating an empty one where there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn open(vfs: Arc<dyn Vfs>, boot: BootId) -> Result<Self, WriteError> {
        let state = if let Some(state) = State::open(&*vfs)? {
            state
        } else {
            let _lock = vfs.lock(LOCK).writing(LOCK)?;
            match State::open(&*vfs)? {
                Some(state) => state,
                None => State::create(&*vfs)?,
            }
        };
        Ok(Self { vfs, boot, state: RwLock::new(state), poison: OnceLock::new() })
    }

    /// The value of a key.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.read().get(&table.key(key)).map(<[u8]>::to_vec)
    }

    /// The value of a key that has its table in front.
    pub(crate) fn get_full(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.read().get(key).map(<[u8]>::to_vec)
    }

    /// Whether a key has a value.
    pub fn contains(&self, table: Table, key: &[u8]) -> bool {
        self.read().get(&table.key(key)).is_some()
    }

    /// All keys of a table with their values, in order of the keys.
    pub fn scan(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.read().scan(table)
    }

    /// The number of the last group that was read.
    pub fn sequence(&self) -> u64 {
        self.read().sequence()
    }

    /// The last group by which collection took anything away.
    pub(crate) fn collected(&self) -> u64 {
        let value = self.get(Table::Boot, COLLECTED);
        value.and_then(|bytes| bytes.first_chunk().copied()).map_or(0, u64::from_le_bytes)
    }

    /// The boot this process runs in.
    pub fn boot(&self) -> &BootId {
        &self.boot
    }

    /// Parts of the journal whose checksums do not hold, as met when it was read.
    pub fn damage(&self) -> Vec<Damage> {
        self.read().damage().to_vec()
    }

    /// Reads the files again, and says which parts' checksums do not hold.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn reread(&self) -> Result<Vec<Damage>, ReadError> {
        let mut damage = self.damage();
        // Nobody is in the middle of a group, or of a new generation. A store that is only read has
        // no locks.
        let _lock = self.vfs.lock(LOCK).inspect_err(|error| tracing::debug!(%error, "no lock"));
        if let Some(state) = State::open(&*self.vfs)? {
            damage.extend(state.torn_tail()?);
            let news = state.damage().iter().filter(|part| !damage.contains(part));
            let news: Vec<Damage> = news.cloned().collect();
            damage.extend(news);
        }
        Ok(damage)
    }

    /// Writes all that is known to a new generation, in place of files with damage.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written.
    pub(crate) fn rebuild(&self) -> Result<(), WriteError> {
        let _lock = self.vfs.lock(LOCK).writing(LOCK)?;
        let mut state = self.write();
        state.catch_up(&*self.vfs)?;
        state.compact(&*self.vfs)?;
        state.forget_damage();
        Ok(())
    }

    /// Bytes of log and base.
    pub fn size(&self) -> u64 {
        self.read().size()
    }

    /// Reads what other processes have committed; says whether there was anything.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn refresh(&self) -> Result<bool, ReadError> {
        if !self.read().is_behind(&*self.vfs)? {
            return Ok(false);
        }
        let mut state = self.write();
        let before = state.sequence();
        state.catch_up(&*self.vfs)?;
        Ok(state.sequence() != before)
    }

    /// Makes a group of changes, all or none.
    ///
    /// On an error nothing was acknowledged: the changes may only be there if the error came from
    /// the final sync.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written; nothing of the batch is visible then.
    pub fn commit(&self, batch: &Batch, durability: Durability) -> Result<u64, WriteError> {
        self.hold(|hold| hold.append(batch, durability))
    }

    /// As [`commit`](Self::commit), but only if the last group is still number `sequence`;
    /// [`WriteError::Moved`] otherwise.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written; nothing of the batch is visible then.
    pub fn commit_at(
        &self,
        sequence: u64,
        batch: &Batch,
        durability: Durability,
    ) -> Result<u64, WriteError> {
        self.hold(|hold| {
            if hold.journal().sequence() != sequence {
                return Err(WriteError::Moved);
            }
            hold.append(batch, durability)
        })
    }

    /// Does something while nobody else writes the journal, of any process: what the journal shows
    /// is true until it ends, and what it appends follows that directly. Everybody who commits waits
    /// meanwhile, so it must be short.
    ///
    /// # Errors
    ///
    /// If the journal cannot be locked, read, or synced as a group of it asked for, and
    /// whatever `act` returns. [`WriteError::Poisoned`] once a sync of this process has failed.
    pub fn hold<T>(
        &self,
        act: impl FnOnce(&mut Hold<'_>) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        self.check_poison()?;
        let lock = self.vfs.lock(LOCK).writing(LOCK)?;
        self.write().catch_up(&*self.vfs)?;
        let mut hold = Hold { journal: self, appended: None };
        let done = act(&mut hold);
        let appended = hold.appended;
        let mut state = self.write();
        let (log, path) = (state.log(), state.log_path());
        let is_long = state.log_size() > COMPACT_FROM.max(state.base_size() / 4);
        if appended.is_some()
            && is_long
            && let Err(error) = state.compact(&*self.vfs)
        {
            // What was appended counts, folded or not; whoever appends next tries again.
            tracing::debug!(%error, "cannot fold the journal");
        }
        drop(state);
        drop(lock);
        let done = done?;
        if appended == Some(Durability::Durable) {
            // Outside the lock: other processes append meanwhile, and one sync serves them all.
            self.synced(&path, log.sync())?;
        }
        Ok(done)
    }

    /// Makes sure that all that was read of the journal is on disk.
    ///
    /// # Errors
    ///
    /// If the sync fails.
    pub fn sync(&self) -> Result<(), WriteError> {
        let (log, path, is_named) = {
            let state = self.read();
            (state.log(), state.log_path(), state.is_named())
        };
        if !is_named {
            self.synced("journal", self.vfs.sync_dir("journal"))?;
        }
        self.synced(&path, log.sync())
    }

    /// Passes on what a sync answered. After one that failed the kernel may take the bytes for
    /// written, so that the next would succeed without them: no later commit of this process counts.
    ///
    /// # Errors
    ///
    /// If the sync failed.
    pub fn synced(&self, path: &str, answer: io::Result<()>) -> Result<(), WriteError> {
        if let Err(error) = &answer {
            let _first = self.poison.set((path.to_owned(), Poison::of(error)));
        }
        answer.writing(path)
    }

    /// Refuses where a sync of this process has failed.
    ///
    /// # Errors
    ///
    /// [`WriteError::Poisoned`] then.
    pub(crate) fn check_poison(&self) -> Result<(), WriteError> {
        match self.poison.get() {
            Some((path, poison)) => Err(poison.error(path)),
            None => Ok(()),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold<'_> {
    /// What is true now.
    pub fn journal(&self) -> &Journal {
        self.journal
    }

    /// Appends a group of changes, and returns its number. It is synced when the hold is over. Where all
    /// that the batch says is true already there is nothing to append, and the number is that of the
    /// last group; a durable batch has it on disk all the same.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written; nothing of the batch is visible then.
    pub fn append(&mut self, batch: &Batch, durability: Durability) -> Result<u64, WriteError> {
        let mut state = self.journal.write();
        if durability == Durability::Durable {
            // A durable group that is on disk proves that all before it is. Without this a crash
            // could keep it and tear what it builds on.
            let path = state.log_path();
            self.journal.synced(&path, state.sync(&*self.journal.vfs))?;
        }
        if state.says(batch) {
            return Ok(state.sequence());
        }
        state.append(batch, durability, &self.journal.boot)?;
        if self.appended != Some(Durability::Durable) {
            self.appended = Some(durability);
        }
        Ok(state.sequence())
    }
}
