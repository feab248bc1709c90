//! All published packs as one set: where is this object?

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::FileBytes;
use crate::error::{At, ReadError};
use crate::object::ObjectName;
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

/// How many packs stay open: the rest of the thousand files that a process may usually have open is
/// for its other work.
const KEPT_OPEN: usize = 512;

/// The packs of a store, opened when first needed.
#[derive(Debug)]
pub struct Packs {
    vfs: Arc<dyn Vfs>,
    loaded: RwLock<Option<Loaded>>,
}

/// Packs, the largest first, since they hold most of what is asked for; and which of them answered
/// last, since what was stored together is asked for together.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    packs: Vec<Arc<Pack>>,
    recent: AtomicUsize,
}

impl Loaded {
    /// These packs, in whichever order.
    pub(crate) fn new(mut packs: Vec<Arc<Pack>>) -> Self {
        packs.sort_by_key(|pack| (Reverse(pack.size()), pack.name()));
        Self { packs, recent: AtomicUsize::new(0) }
    }

    /// A pack that holds the object.
    pub(crate) fn find(&self, name: &ObjectName) -> Option<(&Arc<Pack>, Entry)> {
        let recent = self.recent.load(Ordering::Relaxed);
        let look = |at: usize| self.packs.get(at).and_then(|pack| Some((at, pack.find(name)?)));
        let found = look(recent).or_else(|| (0..self.packs.len()).find_map(look));
        let (at, entry) = found?;
        self.recent.store(at, Ordering::Relaxed);
        Some((&self.packs[at], entry))
    }
}

impl Packs {
    /// The packs of a store; nothing is read yet.
    pub fn new(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs, loaded: RwLock::new(None) }
    }

    /// Whether a published pack holds the object.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn find(&self, name: &ObjectName) -> Result<Option<(Arc<Pack>, Entry)>, ReadError> {
        self.with(|loaded| loaded.find(name).map(|(pack, entry)| (Arc::clone(pack), entry)))
    }

    /// The packs that hold the object.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn holders(&self, name: &ObjectName) -> Result<Vec<Arc<Pack>>, ReadError> {
        let holds = |pack: &&Arc<Pack>| pack.find(name).is_some();
        self.with(|loaded| loaded.packs.iter().filter(holds).cloned().collect())
    }

    /// Reads an object; where a pack is damaged, another that holds the same object answers.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn get(&self, name: &ObjectName) -> Result<Option<FileBytes>, ReadError> {
        let Some((pack, entry)) = self.find(name)? else { return Ok(None) };
        let damage = match pack.body(&entry) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) => error,
        };
        let others = self.holders(name)?;
        let mut others = others.iter().filter(|other| other.name() != pack.name());
        let again = |pack: &Arc<Pack>| pack.body(&pack.find(name)?).ok();
        others.find_map(again).map_or(Err(damage), |bytes| Ok(Some(bytes)))
    }

    /// All packs.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn all(&self) -> Result<Vec<Arc<Pack>>, ReadError> {
        self.with(|loaded| loaded.packs.clone())
    }

    /// Looks for packs that came or went since they were last listed.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn reload(&self) -> Result<(), ReadError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = loaded.take() {
            *loaded = Some(self.load(&before)?);
        }
        Ok(())
    }

    /// Adds a pack this process has published.
    pub fn add(&self, name: PackName, pack: Arc<Pack>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &mut *loaded {
            let others = loaded.packs.drain(..).filter(|known| known.name() != name);
            *loaded = Loaded::new(others.chain([pack]).collect());
        }
    }

    fn with<T>(&self, read: impl FnOnce(&Loaded) -> T) -> Result<T, ReadError> {
        if let Some(loaded) = &*self.loaded.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(read(loaded));
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_none() {
            *loaded = Some(self.load(&Loaded::default())?);
        }
        Ok(read(loaded.as_ref().expect("loaded above")))
    }

    fn load(&self, before: &Loaded) -> Result<Loaded, ReadError> {
        let known = before.packs.iter().map(|pack| (pack.name(), pack));
        let known: BTreeMap<PackName, &Arc<Pack>> = known.collect();
        let mut packs = Vec::new();
        for name in self.vfs.list("packs").reading("packs")? {
            let Some(name) = PackName::of_file(&name) else { continue };
            if let Some(pack) = known.get(&name) {
                packs.push(Arc::clone(pack));
                continue;
            }
            let opened = if packs.len() < KEPT_OPEN {
                Pack::open(&*self.vfs, &name.path())
            } else {
                Pack::open_each_time(&self.vfs, &name.path())
            };
            match opened {
                Ok(pack) => packs.push(Arc::new(pack)),
                // What only it held is missing, and fsck names the pack.
                Err(error) => tracing::warn!(path = error.path, "skipping a damaged pack"),
            }
        }
        Ok(Loaded::new(packs))
    }
}
