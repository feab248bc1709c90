//! The store as a value: its files, what is read from them, and what this process is writing.
//!
//! The rules are above: [`open`](crate::open) puts right what crashes left, and a
//! [`lease`](crate::lease) is the right to write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::bytes::{Bytes, FileBytes};
use crate::digest::Digest;
use crate::error::{ReadError, WriteError};
use crate::format::{self, Feature, Features};
use crate::index::Packs;
use crate::journal::{BootId, Durability, Journal};
use crate::last_use::Noted;
use crate::layer::limits::Limits;
use crate::object::{Kind, ObjectName};
use crate::pack::writer::PackWriter;
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
    /// What the format file is known to have.
    features: Mutex<Features>,
    packs: Packs,
    journal: Journal,
    /// Writers of this process's leases, so that what they hold can be read before it is
    /// published. Locked for moments, and never while another lock is held.
    writers: Mutex<Vec<Weak<PackWriter>>>,
    /// Locked for moments, and never while another lock is held.
    noted: Noted,
}

impl Store {
    /// The value of a store whose files are there and of our format, with these features. Where
    /// these say so, `vfs` lets nothing be written.
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        path: PathBuf,
        options: &OpenOptions,
        features: Features,
    ) -> Result<Self, WriteError> {
        let access = if features.read_only().is_some() { Access::Read } else { Access::Write };
        Ok(Self(Arc::new(Inner {
            path,
            durability: options.durability,
            access,
            limits: options.limits,
            features: Mutex::new(features),
            packs: Packs::new(Arc::clone(&vfs)),
            journal: Journal::open(Arc::clone(&vfs), options.boot)?,
            writers: Mutex::default(),
            noted: Noted::default(),
            vfs,
        })))
    }

    /// What layers and archives may unpack to.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Reads what other processes have committed since.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn refresh(&self) -> Result<(), ReadError> {
        if self.0.journal.refresh()? {
            self.0.packs.reload()?;
        }
        Ok(())
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

    fn writers(&self) -> Vec<Arc<PackWriter>> {
        let writers = self.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.iter().filter_map(Weak::upgrade).collect()
    }
}
