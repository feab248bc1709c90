//! The packs that a process relies on, and for which of them the journal need not be asked again.

use std::collections::BTreeSet;

use crate::pack::PackName;

/// The packs for which something was not stored again, and those this process has published.
#[derive(Debug, Default)]
pub(crate) struct ReliedPacks {
    all: BTreeSet<PackName>,
    /// Those of which no row of the journal was seen that says whether they are synced.
    untold: BTreeSet<PackName>,
    /// The last group by which collection took anything away when the others were looked up.
    collected: u64,
}

impl ReliedPacks {
    pub(crate) fn insert(&mut self, name: PackName) {
        if self.all.insert(name) {
            self.untold.insert(name);
        }
    }

    pub(crate) fn all(&self) -> &BTreeSet<PackName> {
        &self.all
    }

    /// The packs whose rows have to be looked up, where collection last took anything away by the
    /// group `collected`: with a pack that it condemns it forgets whether that is synced.
    pub(crate) fn untold(&mut self, collected: u64) -> Vec<PackName> {
        if self.collected != collected {
            self.collected = collected;
            self.untold.clone_from(&self.all);
        }
        self.untold.iter().copied().collect()
    }

    /// Remembers that packs have rows as long as collection, which last took anything away by the
    /// group `collected`, takes nothing more.
    pub(crate) fn tell(&mut self, told: &[PackName], collected: u64) {
        if self.collected == collected {
            for name in told {
                self.untold.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs() -> [PackName; 2] {
        [1, 2].map(|byte| PackName::from_bytes([byte; 16]))
    }

    fn relied_on_both() -> ReliedPacks {
        let mut relied = ReliedPacks::default();
        for name in packs() {
            relied.insert(name);
        }
        relied
    }

    #[test]
    fn a_pack_is_looked_up_until_its_row_was_seen() {
        let mut relied = relied_on_both();
        assert_eq!(relied.untold(0), packs());
        assert_eq!(relied.untold(0), packs(), "the group was not appended");
        relied.tell(&packs()[..1], 0);
        relied.insert(packs()[0]);
        assert_eq!(relied.untold(0), packs()[1..]);
    }

    #[test]
    fn what_collection_forgets_is_looked_up_again() {
        let mut relied = relied_on_both();
        relied.untold(0);
        relied.tell(&packs(), 0);
        assert_eq!(relied.untold(0), []);
        assert_eq!(relied.untold(7), packs());
        relied.tell(&packs(), 0);
        assert_eq!(relied.untold(7), packs(), "they were seen before that collection");
    }
}
