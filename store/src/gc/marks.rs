//! Objects of packs that share a property, such as being in use: one bit for each.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::ReadError;
use crate::index::Searcher;
use crate::object::ObjectName;
use crate::pack::PackName;

/// A set of objects that packs hold. What no pack holds is never in it.
#[derive(Debug, Default)]
pub struct Marks {
    packs: HashMap<PackName, Vec<u64>, BuildHasherDefault<NameHasher>>,
    /// Where an object stands, while it is put in.
    places: Vec<(PackName, usize, usize)>,
}

/// The names of packs are hashes themselves.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let last = bytes.last_chunk().copied().map_or(0, u64::from_le_bytes);
        self.0 = self.0.rotate_left(1) ^ last;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How an object that a pack holds stands to a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is not in it.
    Outside,
    /// It is in it, and in no other pack.
    Sole,
    /// It is in it, and in other packs too.
    Shared,
}

impl Marks {
    /// Adds an object, wherever it is held; says whether it is held, and was not in the set.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn insert(
        &mut self,
        packs: &mut Searcher<'_>,
        name: &ObjectName,
    ) -> Result<bool, ReadError> {
        // Collected first: a pack may be shown twice.
        let mut places = std::mem::take(&mut self.places);
        let mut was_there = false;
        packs.visit::<()>(name, |pack, place| {
            was_there |= self.has(pack.name(), place);
            places.push((pack.name(), pack.n_entries().div_ceil(64), place));
            None
        })?;
        let is_new = !was_there && !places.is_empty();
        for (pack, n_words, place) in places.drain(..).filter(|_| is_new) {
            let words = self.packs.entry(pack).or_default();
            words.resize(words.len().max(n_words), 0);
            words[place / 64] |= 1 << (place % 64);
        }
        self.places = places;
        Ok(is_new)
    }

    /// How the object at a place of a pack stands to the set; `None` where the tables over packs do
    /// not know of it, so that it is in doubt what else they miss.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub fn standing(
        &self,
        packs: &mut Searcher<'_>,
        name: &ObjectName,
        (pack, place): (PackName, usize),
    ) -> Result<Option<Standing>, ReadError> {
        let (mut is_known, mut is_shared, mut is_there) = (false, false, false);
        packs.visit::<()>(name, |shown, at| {
            is_known |= (shown.name(), at) == (pack, place);
            is_shared |= shown.name() != pack;
            is_there |= self.has(shown.name(), at);
            None
        })?;
        let standing = match (is_there, is_shared) {
            (false, _) => Standing::Outside,
            (true, false) => Standing::Sole,
            (true, true) => Standing::Shared,
        };
        Ok(is_known.then_some(standing))
    }

    /// Adds what another set holds, and to `both` what this one held already.
    #[expect(clippy::iter_over_hash_type, reason = "each pack is for itself")]
    pub(crate) fn add(&mut self, other: &Self, both: &mut Self) {
        for (pack, added) in &other.packs {
            let words = self.packs.entry(*pack).or_default();
            words.resize(words.len().max(added.len()), 0);
            let twice = both.packs.entry(*pack).or_default();
            twice.resize(twice.len().max(added.len()), 0);
            for ((word, twice), added) in words.iter_mut().zip(twice).zip(added) {
                *twice |= *word & added;
                *word |= added;
            }
        }
    }

    /// Whether the object at a place of a pack is in the set.
    pub(crate) fn has(&self, pack: PackName, place: usize) -> bool {
        let word = self.packs.get(&pack).and_then(|words| words.get(place / 64));
        word.is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::index::Packs;
    use crate::object::{Encoding, Kind};
    use crate::pack::writer::PackWriter;
    use crate::sim::Sim;
    use crate::vfs::Vfs;

    #[test]
    fn an_object_of_two_packs_is_marked_once_and_shared() {
        let vfs: Arc<dyn Vfs> = Arc::new(Sim::default());
        for directory in ["packs", "cache", "work"] {
            vfs.make_dir(directory).unwrap();
        }
        let name = |number: u8| ObjectName::new(Kind::Run, &[number; 32]);
        let [first, _] = [[1, 2], [2, 3]].map(|numbers| {
            let writer = PackWriter::new(Arc::clone(&vfs), "work".to_owned());
            for number in numbers {
                writer.put(&name(number), Encoding::Raw, b"run").unwrap();
            }
            let pack = Arc::clone(&writer.finish().unwrap()[0]);
            vfs.replace(pack.path(), &pack.name().path()).unwrap();
            pack
        });
        let (packs, mut marks) = (Packs::new(vfs), Marks::default());
        let mut searcher = packs.searcher().unwrap();
        let standing = |marks: &Marks, number| {
            let at = (first.name(), first.place(&name(number)).unwrap_or(0));
            marks.standing(&mut packs.searcher().unwrap(), &name(number), at).unwrap()
        };
        assert_eq!(standing(&marks, 2), Some(Standing::Outside));
        assert_eq!(
            [2, 2, 1, 9].map(|n| marks.insert(&mut searcher, &name(n)).unwrap()),
            [true, false, true, false]
        );
        assert_eq!(standing(&marks, 2), Some(Standing::Shared));
        assert_eq!(standing(&marks, 1), Some(Standing::Sole));
        assert_eq!(standing(&marks, 3), None);

        let (mut twice, mut other) = (Marks::default(), Marks::default());
        assert!(other.insert(&mut searcher, &name(1)).unwrap());
        marks.add(&other, &mut twice);
        assert_eq!(
            [1, 2].map(|n| standing(&twice, n)),
            [Some(Standing::Sole), Some(Standing::Outside)]
        );
    }
}
