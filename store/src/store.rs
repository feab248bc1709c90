//! The store as a value: its files, what is read from them, and what this process is writing.
//!
//! The rules are above: [`open`](crate::open) puts right what crashes left, and a
//! [`lease`](crate::lease) is the right to write.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::bytes::{Bytes, FileBytes};
use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::format::{self, Feature, Features};
use crate::index::Packs;
use crate::journal::batch::Table;
use crate::journal::{BootId, Durability, Journal};
use crate::last_use::Noted;
use crate::layer::limits::Limits;
use crate::object::{Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::pack::writer::PackWriter;
use crate::relied::ReliedPacks;
use crate::stake::Stake;
use crate::vfs::Vfs;

/// How to open a store.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What to do where there is none.
    pub create: Create,
    /// What the store is opened for.
    pub access: Access,
    /// The strongest promise a commit of this process makes.
    pub durability: Durability,
    /// The boot of the machine, as `/proc/sys/kernel/random/boot_id` names it. What another boot
    /// left unsynced is checked before it is used.
    pub boot: BootId,
    /// What layers and archives may unpack to.
    pub limits: Limits,
    /// How many threads may unpack a layer; as many as there are processors if absent.
    pub threads: Option<NonZeroUsize>,
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

/// What a store is opened for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Access {
    /// To be changed. One with a feature that writers must know is refused.
    #[default]
    Write,
    /// To be read. One that may be written is put right after crashes all the same; of another
    /// nothing is changed.
    Read,
}

/// A store. Cheap to clone; clones and threads share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    durability: Durability,
    access: Access,
    limits: Limits,
    threads: Option<NonZeroUsize>,
    /// What the format file is known to have.
    features: Mutex<Features>,
    packs: Packs,
    journal: Journal,
    /// Writers of this process's leases, so that what they hold can be read before it is
    /// published. Locked for moments, and never while another lock is held.
    writers: Mutex<Vec<Weak<PackWriter>>>,
    /// Locked for moments, and never while another lock is held.
    noted: Noted,
    /// What leases of this process have found. Locked for moments.
    stakes: Mutex<Vec<Weak<Stake>>>,
    /// Packs that this process relies on. Locked for moments.
    relied: Mutex<ReliedPacks>,
    /// The last group of the journal that was read when the packs were listed.
    listed: AtomicU64,
}

impl Store {
    /// The value of a store whose files are there and of our format, with these features. Where
    /// `access` is for reading, `vfs` lets nothing be written.
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        path: PathBuf,
        options: &OpenOptions,
        (features, access): (Features, Access),
    ) -> Result<Self, WriteError> {
        Ok(Self(Arc::new(Inner {
            path,
            durability: options.durability,
            access,
            limits: options.limits,
            threads: options.threads,
            features: Mutex::new(features),
            packs: Packs::new(Arc::clone(&vfs)),
            journal: Journal::open(Arc::clone(&vfs), options.boot)?,
            writers: Mutex::default(),
            noted: Noted::default(),
            stakes: Mutex::default(),
            relied: Mutex::default(),
            listed: AtomicU64::new(0),
            vfs,
        })))
    }

    /// What layers and archives may unpack to.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// How many threads may unpack a layer.
    pub fn unpacking_threads(&self) -> NonZeroUsize {
        let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.0.threads.unwrap_or_else(processors)
    }

    /// Reads what other processes have committed since.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn refresh(&self) -> Result<(), ReadError> {
        self.0.journal.refresh()?;
        self.list_packs()
    }

    /// Lists the packs, unless they have been since the last group of the journal was read.
    pub(crate) fn list_packs(&self) -> Result<(), ReadError> {
        let sequence = self.0.journal.sequence();
        if self.0.listed.load(Ordering::Acquire) < sequence {
            self.0.packs.reload()?;
            self.0.listed.fetch_max(sequence, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Takes note of a group of this process, whose packs are listed since they were published: where
    /// all before it was read when the packs were listed, nothing else can have come.
    pub(crate) fn listed_with(&self, sequence: u64) -> Result<(), ReadError> {
        if self.0.listed.load(Ordering::Acquire) + 1 < sequence {
            return self.list_packs();
        }
        self.0.listed.fetch_max(sequence, Ordering::AcqRel);
        Ok(())
    }

    /// Whether the packs were listed after the last group of the journal was read. A pack that was
    /// deleted is no longer condemned, and no longer listed.
    pub(crate) fn is_listed(&self) -> bool {
        self.0.listed.load(Ordering::Acquire) >= self.0.journal.sequence()
    }

    /// Whether a pack that stays, as far as is known, holds an object. It is relied on from now on.
    pub(crate) fn is_in_pack_that_stays(&self, name: &ObjectName) -> Result<bool, ReadError> {
        let stays = |pack: &Arc<Pack>, _| {
            (!self.is_condemned(&pack.name().path())).then(|| self.rely(pack))
        };
        loop {
            let found = self.0.packs.visit(name, stays)?.is_some();
            if self.is_listed() {
                return Ok(found);
            }
            self.list_packs()?;
        }
    }

    /// Remembers that something is not stored again because a pack has it.
    pub(crate) fn rely(&self, pack: &Pack) {
        if pack.rely() {
            self.relied().insert(pack.name());
        }
    }

    /// The packs that this process relies on. Locked for moments.
    pub(crate) fn relied(&self) -> MutexGuard<'_, ReliedPacks> {
        self.0.relied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The packs that are condemned, as far as is known.
    pub(crate) fn condemned_packs(&self) -> HashSet<PackName> {
        let rows = self.0.journal.scan(Table::Condemned).into_iter();
        let pack = |path: &[u8]| {
            PackName::of_file(std::str::from_utf8(path).ok()?.strip_prefix("packs/")?)
        };
        rows.filter_map(|(path, _)| pack(&path)).collect()
    }

    /// Whether collection has condemned a file.
    pub(crate) fn is_condemned(&self, path: &str) -> bool {
        self.0.journal.contains(Table::Condemned, path.as_bytes())
    }

    /// Whether a file is of no use, because collection has condemned it and no lease of ours keeps
    /// it. One that is of use is remembered by our leases.
    pub(crate) fn is_doomed(&self, path: &str) -> bool {
        let stakes = self.stakes();
        if let Some(since) = self.0.journal.get(Table::Condemned, path.as_bytes()) {
            let since = since.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            if stakes.is_empty() || stakes.iter().any(|stake| stake.since() >= since) {
                return true;
            }
        }
        for stake in stakes {
            stake.add_path(path);
        }
        false
    }

    /// The value of a row that collection may take away. What a lease of ours has found stays for
    /// this process.
    pub(crate) fn row(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        let stakes = self.stakes();
        let full = table.key(key);
        match self.0.journal.get(table, key) {
            Some(value) => {
                for stake in stakes {
                    stake.add_row(full.clone(), value.clone());
                }
                Some(value)
            }
            None => stakes.iter().find_map(|stake| stake.row(&full)),
        }
    }

    /// Reads an object; `None` where the store does not hold it. Its checksum has been verified.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn get(&self, kind: Kind, id: &[u8; 32]) -> Result<Option<Bytes>, ReadError> {
        self.read(kind, id)?.map(|bytes| bytes.load()).transpose()
    }

    /// As [`get`](Self::get), but what is long stays where it is.
    pub(crate) fn read(&self, kind: Kind, id: &[u8; 32]) -> Result<Option<FileBytes>, ReadError> {
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

    pub(crate) fn noted(&self) -> &Noted {
        &self.0.noted
    }

    pub(crate) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.0.vfs
    }

    /// What may be done with it, whatever it was opened for.
    pub fn access(&self) -> Access {
        self.0.access
    }

    /// Refuses to go on writing where another process has given the store a feature that we do not
    /// know.
    pub(crate) fn check_format(&self) -> Result<(), WriteError> {
        let Some(found) = format::read(&**self.vfs())? else { return Ok(()) };
        if let Some(refusal) = found.read_only() {
            return Err(refusal.into());
        }
        *self.features() = found;
        Ok(())
    }

    /// Sees to it that the store has a feature, before anything is written that needs it.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn require(&self, feature: Feature) -> Result<(), WriteError> {
        let mut features = self.features();
        if !features.contain(feature) {
            *features = format::add(&**self.vfs(), feature)?;
        }
        Ok(())
    }

    fn features(&self) -> MutexGuard<'_, Features> {
        self.0.features.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes readable to this process what a lease of it is writing.
    pub(crate) fn add_writer(&self, writer: &Arc<PackWriter>) {
        let mut writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(Arc::downgrade(writer));
    }

    /// Makes this process remember what it finds, for as long as somebody has the stake.
    pub(crate) fn add_stake(&self, stake: &Arc<Stake>) {
        let mut stakes = self.0.stakes.lock().unwrap_or_else(PoisonError::into_inner);
        stakes.retain(|stake| stake.strong_count() > 0);
        stakes.push(Arc::downgrade(stake));
    }

    /// What the leases of this process rely on.
    pub(crate) fn stakes(&self) -> Vec<Arc<Stake>> {
        let stakes = self.0.stakes.lock().unwrap_or_else(PoisonError::into_inner);
        stakes.iter().filter_map(Weak::upgrade).collect()
    }

    fn writers(&self) -> Vec<Arc<PackWriter>> {
        let writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.iter().filter_map(Weak::upgrade).collect()
    }
}
