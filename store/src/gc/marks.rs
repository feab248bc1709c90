//! Objects of packs that share a property, such as being in use: one bit for each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::ReadError;
use crate::index::Packs;
use crate::object::ObjectName;
use crate::pack::PackName;
use crate::pack::reader::Pack;

/// A set of objects that packs hold. What no pack holds is never in it.
#[derive(Debug, Default)]
pub struct Marks(HashMap<PackName, Vec<u64>>);

impl Marks {
    /// Adds an object, wherever it is held; says whether it is held, and was not in the set.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn insert(&mut self, packs: &Packs, name: &ObjectName) -> Result<bool, ReadError> {
        // Collected first: a pack may be shown twice.
        let mut places = Vec::new();
        packs.visit::<()>(name, |pack, place| {
            places.push((pack.name(), pack.n_entries().div_ceil(64), place));
            None
        })?;
        if places.is_empty() || self.contain(packs, name)? {
            return Ok(false);
        }
        for (pack, n_words, place) in places {
            let words = self.0.entry(pack).or_default();
            words.resize(words.len().max(n_words), 0);
            words[place / 64] |= 1 << (place % 64);
        }
        Ok(true)
    }

    /// Whether the object at a place of a pack is in the set; `None` where the tables over packs do
    /// not know of it, so that it is in doubt what else they miss.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn contain_at(
        &self,
        packs: &Packs,
        name: &ObjectName,
        (pack, place): (PackName, usize),
    ) -> Result<Option<bool>, ReadError> {
        let (mut is_known, mut is_there) = (false, false);
        packs.visit::<()>(name, |shown, at| {
            is_known |= (shown.name(), at) == (pack, place);
            is_there |= self.has(shown.name(), at);
            None
        })?;
        Ok(is_known.then_some(is_there))
    }

    /// Whether an object is in the set.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn contain(&self, packs: &Packs, name: &ObjectName) -> Result<bool, ReadError> {
        let there = |pack: &Arc<Pack>, place| self.has(pack.name(), place).then_some(());
        Ok(packs.visit(name, there)?.is_some())
    }

    fn has(&self, pack: PackName, place: usize) -> bool {
        let word = self.0.get(&pack).and_then(|words| words.get(place / 64));
        word.is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}
