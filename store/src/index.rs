//! All published packs as one set: where is this object?

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::Bytes;
use crate::error::{At, ReadError};
use crate::object::ObjectName;
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

/// The packs of a store, opened when first needed.
#[derive(Debug)]
pub struct Packs {
    vfs: Arc<dyn Vfs>,
    loaded: RwLock<Option<Loaded>>,
}

#[derive(Clone, Debug, Default)]
struct Loaded {
    packs: BTreeMap<PackName, Arc<Pack>>,
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
        self.with(|loaded| {
            loaded.packs.values().rev().find_map(|pack| {
                let entry = pack.find(name)?;
                Some((Arc::clone(pack), entry))
            })
        })
    }

    /// The packs that hold the object.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn holders(&self, name: &ObjectName) -> Result<Vec<Arc<Pack>>, ReadError> {
        self.with(|loaded| {
            let holding = loaded.packs.values().filter(|pack| pack.find(name).is_some());
            holding.cloned().collect()
        })
    }

    /// Reads an object; where a pack is damaged, another that holds the same object answers.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn get(&self, name: &ObjectName) -> Result<Option<Bytes>, ReadError> {
        let found: Vec<(Arc<Pack>, Entry)> = self.with(|loaded| {
            let packs = loaded.packs.values().rev();
            packs.filter_map(|pack| Some((Arc::clone(pack), pack.find(name)?))).collect()
        })?;
        let mut damage = None;
        for (pack, entry) in found {
            match pack.read(&entry) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) => damage = Some(error),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// All packs.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn all(&self) -> Result<Vec<Arc<Pack>>, ReadError> {
        self.with(|loaded| loaded.packs.values().cloned().collect())
    }

    /// Looks for packs that came or went since they were last listed.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn reload(&self) -> Result<(), ReadError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = loaded.take() {
            *loaded = Some(self.load(before)?);
        }
        Ok(())
    }

    /// Adds a pack this process has published.
    pub fn add(&self, name: PackName, pack: Arc<Pack>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &mut *loaded {
            loaded.packs.insert(name, pack);
        }
    }

    fn with<T>(&self, read: impl FnOnce(&Loaded) -> T) -> Result<T, ReadError> {
        if let Some(loaded) = &*self.loaded.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(read(loaded));
        }
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_none() {
            *loaded = Some(self.load(Loaded::default())?);
        }
        Ok(read(loaded.as_ref().expect("loaded above")))
    }

    fn load(&self, mut before: Loaded) -> Result<Loaded, ReadError> {
        let mut packs = BTreeMap::new();
        for name in self.vfs.list("packs").reading("packs")? {
            let Some(name) = PackName::of_file(&name) else { continue };
            if let Some(pack) = before.packs.remove(&name) {
                packs.insert(name, pack);
                continue;
            }
            match Pack::open(&*self.vfs, &name.path()) {
                Ok(pack) => {
                    packs.insert(name, Arc::new(pack));
                }
                // What only it held is missing, and fsck names the pack.
                Err(error) => tracing::warn!(path = error.path, "skipping a damaged pack"),
            }
        }
        Ok(Loaded { packs })
    }
}
