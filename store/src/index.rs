//! All published packs as one set: where is this object?
//!
//! Tables in `cache/` say which pack to look into, each for many packs at once; packs that are in
//! none, which are few, are searched one after another. A table is believed as far as its sums hold
//! and the packs it names are there: the name of a pack is the hash of its own table, so that what
//! was true of it stays true. Without any table the answers are the same, and come later.

mod cover;
mod refused;
mod searcher;
mod shelf;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::FileBytes;
use crate::error::ReadError;
use crate::index::refused::Refused;
use crate::index::shelf::Shelf;
use crate::object::ObjectName;
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

pub use cover::Extent;
pub use searcher::{AT_ONCE, Searcher};

/// The packs of a store, listed and opened when first needed.
#[derive(Debug)]
pub struct Packs {
    vfs: Arc<dyn Vfs>,
    shelf: RwLock<Option<Arc<Shelf>>>,
    /// How many shelves there were; only changed by who has the lock.
    version: AtomicU64,
    refused: Arc<Refused>,
}

impl Packs {
    /// The packs of a store; nothing is read yet.
    pub fn new(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs, shelf: RwLock::new(None), version: AtomicU64::new(0), refused: Arc::default() }
    }

    /// The packs as they are now, for many look-ups.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn searcher(&self) -> Result<Searcher<'_>, ReadError> {
        Searcher::of(self)
    }

    /// A published pack that holds the object.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn find(&self, name: &ObjectName) -> Result<Option<(Arc<Pack>, Entry)>, ReadError> {
        self.visit(name, |pack, place| found(name, pack, place))
    }

    /// The first answer of `look` for packs that hold the object, and at which place of their
    /// tables. A pack may be shown twice.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub(crate) fn visit<T>(
        &self,
        name: &ObjectName,
        mut look: impl FnMut(&Arc<Pack>, usize) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        match self.with(|shelf| (shelf.visit(name, &mut look), shelf.is_stale()))? {
            // What a pack held that a collection has taken away lies in another one.
            (None, true) => {
                self.reload()?;
                self.with(|shelf| shelf.visit(name, look))
            }
            (answer, _) => Ok(answer),
        }
    }

    /// The packs that hold the object.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn holders(&self, name: &ObjectName) -> Result<Vec<Arc<Pack>>, ReadError> {
        let mut holders: Vec<Arc<Pack>> = Vec::new();
        self.visit::<()>(name, |pack, _| {
            if holders.iter().all(|known| known.name() != pack.name()) {
                holders.push(Arc::clone(pack));
            }
            None
        })?;
        Ok(holders)
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
        if damage.is_not_found() {
            self.reload()?;
        }
        let others = self.holders(name)?;
        let mut others = others.iter().filter(|other| other.name() != pack.name());
        let again = |pack: &Arc<Pack>| pack.body(&pack.find(name)?).ok();
        others.find_map(again).map_or(Err(damage), |bytes| Ok(Some(bytes)))
    }

    /// All packs, opened. Who can do with names, or with one after another, is spared
    /// their tables.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn all(&self) -> Result<Vec<Arc<Pack>>, ReadError> {
        self.with(|shelf| shelf.named().map(|(_, pack)| Arc::clone(pack)).collect())
    }

    /// Lists the packs, unless that was done before.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub(crate) fn list(&self) -> Result<(), ReadError> {
        self.with(|_| ())
    }

    /// The names of all packs.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn names(&self) -> Result<Vec<PackName>, ReadError> {
        self.with(|shelf| shelf.names().collect())
    }

    /// Looks for packs that came or went since they were last listed.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn reload(&self) -> Result<(), ReadError> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shelf.take() {
            // Also where they cannot be listed: nobody goes on with what was there.
            self.version.fetch_add(1, Ordering::Release);
            *shelf = Some(Arc::new(Shelf::list(&self.vfs, &self.refused, Some(&before))?));
        }
        Ok(())
    }

    /// Why packs could not be opened that this process has come across: what only they hold was as if
    /// it were not there.
    pub fn unreadable(&self) -> Vec<Arc<ReadError>> {
        self.refused.all()
    }

    /// Adds a pack this process has published.
    pub fn add(&self, name: PackName, pack: Arc<Pack>) {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shelf.take() {
            self.replace(&mut shelf, before.with(name, pack));
        }
    }

    fn replace(&self, place: &mut Option<Arc<Shelf>>, shelf: Shelf) {
        *place = Some(Arc::new(shelf));
        self.version.fetch_add(1, Ordering::Release);
    }

    fn with<T>(&self, read: impl FnOnce(&Arc<Shelf>) -> T) -> Result<T, ReadError> {
        if let Some(shelf) = &*self.shelf.read().unwrap_or_else(PoisonError::into_inner)
            && !shelf.is_crowded()
        {
            return Ok(read(shelf));
        }
        let mut place = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        match place.take() {
            None => self.replace(&mut place, Shelf::list(&self.vfs, &self.refused, None)?),
            Some(shelf) if shelf.is_crowded() => self.replace(&mut place, shelf.thinned_out()),
            shelf => *place = shelf,
        }
        Ok(read(place.as_ref().expect("it was put there just now")))
    }
}

fn found(name: &ObjectName, pack: &Arc<Pack>, place: usize) -> Option<(Arc<Pack>, Entry)> {
    let entry = pack.entry(place).filter(|entry| entry.name == *name)?;
    Some((Arc::clone(pack), entry))
}

#[cfg(test)]
mod tests;
