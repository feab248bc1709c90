//! Many look-ups, one after another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::ReadError;
use crate::index::shelf::Shelf;
use crate::index::{Packs, found};
use crate::object::ObjectName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;

/// For how many names `Searcher::prefetch` is to be asked at once: what it reads for them, three lines
/// of a cache each, stays in the innermost one of any processor.
pub const AT_ONCE: usize = 64;

/// Looks objects up without the lock that [`Packs`] takes for each: with it, a processor waits for
/// the memory of one look-up before it begins the next. What is published, or found to be gone, is
/// known to the next look-up, as it is there.
#[derive(Debug)]
pub struct Searcher<'packs> {
    packs: &'packs Packs,
    shelf: Arc<Shelf>,
    version: u64,
}

impl<'packs> Searcher<'packs> {
    pub(super) fn of(packs: &'packs Packs) -> Result<Self, ReadError> {
        // The lock is held: both are of one moment.
        packs.with(|shelf| {
            let version = packs.version.load(Ordering::Acquire);
            Self { packs, shelf: Arc::clone(shelf), version }
        })
    }

    /// Whether a published pack holds the object.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn holds(&mut self, name: &ObjectName) -> Result<bool, ReadError> {
        Ok(self.visit(name, |_, _| Some(()))?.is_some())
    }

    /// A published pack that holds the object.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn find(&mut self, name: &ObjectName) -> Result<Option<(Arc<Pack>, Entry)>, ReadError> {
        self.visit(name, |pack, place| found(name, pack, place))
    }

    /// Says of each of these names, in their order, whether a published pack holds the object. That
    /// is several times as fast as one look-up after another.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed, or what `answer` returns.
    pub fn holds_each<E: From<ReadError>>(
        &mut self,
        names: &[ObjectName],
        mut answer: impl FnMut(&ObjectName, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        for some in names.chunks(AT_ONCE) {
            self.prefetch(some)?;
            for name in some {
                answer(name, self.holds(name)?)?;
            }
        }
        Ok(())
    }

    /// Has what the next look-ups need at hand, [`AT_ONCE`] names at most. While it waits for the
    /// memory of one it asks for that of the others.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub(crate) fn prefetch(&mut self, names: &[ObjectName]) -> Result<(), ReadError> {
        self.renew()?;
        self.shelf.prefetch(names);
        Ok(())
    }

    /// Takes the packs as they are now.
    fn renew(&mut self) -> Result<(), ReadError> {
        if self.version != self.packs.version.load(Ordering::Acquire) || self.shelf.is_crowded() {
            *self = Self::of(self.packs)?;
        }
        Ok(())
    }

    /// As [`Packs::visit`].
    pub(crate) fn visit<T>(
        &mut self,
        name: &ObjectName,
        mut look: impl FnMut(&Arc<Pack>, usize) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        self.renew()?;
        let answer = self.shelf.visit(name, &mut look);
        if answer.is_some() || !self.shelf.is_stale() {
            return Ok(answer);
        }
        self.packs.reload()?;
        *self = Self::of(self.packs)?;
        Ok(self.shelf.visit(name, look))
    }
}
