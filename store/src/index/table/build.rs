//! Tables in the making.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use xxhash_rust::xxh3::xxh3_64;

use crate::index::table::{
    ALIGNMENT, GROUP_SIZE, HEADER_SIZE, Location, MAGIC, PACK_BITS, PAGE_SIZE, PRINTS_PER_PAGE,
    Probe, SLOT_SIZE, SLOTS_PER_PAGE, Slot, Source, Spoiled, Table, place, words,
};
use crate::object::ObjectName;
use crate::pack::PackName;

/// Slots for two objects: a third of them stays empty, so that most groups have one that is, and a
/// search ends in the group in which it begins.
const SLOTS_PER_TWO: usize = 3;

/// A table in the making.
#[derive(Debug)]
pub(in crate::index) struct TableBuilder {
    packs: Vec<PackName>,
    n_entries: usize,
    seed: u64,
    prints: Vec<u8>,
    slots: Vec<u8>,
    /// Whether anything could not be put down, so that the table must not speak for its packs.
    lacks: bool,
}

/// The bytes of a table's file.
#[derive(Debug)]
pub(in crate::index) struct TableBytes {
    /// All up to the prints, of which it has the sums, as it has those of the slots.
    pub(in crate::index) head: Vec<u8>,
    prints: Vec<u8>,
    slots: Vec<u8>,
}

impl TableBytes {
    /// What follows one another in the file.
    pub(in crate::index) fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.prints, &self.slots]
    }
}

impl TableBuilder {
    /// Room for so many objects. With the seed of another table, what comes from that one comes in
    /// the order in which it is put down, which is several times as fast.
    pub(in crate::index) fn new(n_entries: usize, seed: u64) -> Self {
        let n_slots = (n_entries * SLOTS_PER_TWO / 2).max(1).next_multiple_of(SLOTS_PER_PAGE);
        let (prints, slots) = (vec![0; n_slots], vec![0; n_slots * SLOT_SIZE]);
        Self { packs: Vec::new(), n_entries: 0, seed, prints, slots, lacks: false }
    }

    /// Adds a pack: the places of its own table, and what stands there.
    pub(in crate::index) fn add(
        &mut self,
        pack: PackName,
        objects: impl Iterator<Item = (usize, ObjectName)>,
    ) {
        let number = self.packs.len();
        self.packs.push(pack);
        for (entry, name) in objects {
            self.insert(&name.id, name.kind.code(), Location { pack: number, entry });
        }
    }

    /// Adds what another table has of the packs that `keep` names.
    pub(in crate::index) fn absorb(
        &mut self,
        table: &Table,
        keep: impl Fn(&PackName) -> bool,
    ) -> Result<(), Spoiled> {
        let mut numbers = Vec::with_capacity(table.packs.len());
        for pack in &table.packs {
            let number = keep(pack).then_some(self.packs.len());
            self.packs.extend(number.map(|_| *pack));
            numbers.push(number);
        }
        table.each(|slot| {
            let (Location { pack, entry }, Some(id)) = (place(slot), slot.first_chunk()) else {
                return;
            };
            if let Some(Some(pack)) = numbers.get(pack).copied() {
                self.insert(id, slot[35], Location { pack, entry });
            }
        })
    }

    fn insert(&mut self, id: &[u8; 32], kind: u8, place: Location) {
        let Some(slot) = self.room(id, kind, place) else {
            self.lacks = true;
            return;
        };
        let n_groups = self.prints.len() / GROUP_SIZE;
        let probe = Probe::of(id, kind, self.seed, n_groups);
        let (groups, _) = self.prints.as_chunks_mut::<GROUP_SIZE>();
        let mut group = probe.group;
        let at = loop {
            if let Some(at) = groups[group].iter().position(|print| *print == 0) {
                break at;
            }
            group = if group + 1 == n_groups { 0 } else { group + 1 };
        };
        groups[group][at] = probe.print;
        self.slots.as_chunks_mut().0[group * GROUP_SIZE + at] = slot;
        self.n_entries += 1;
    }

    /// The slot for an object; `None` where no more go in, or the numbers do not.
    fn room(&self, id: &[u8; 32], kind: u8, Location { pack, entry }: Location) -> Option<Slot> {
        let pack = u32::try_from(pack).ok().filter(|pack| pack >> PACK_BITS == 0)?;
        let entry = u32::try_from(entry).ok().filter(|_| self.n_entries + 1 < self.prints.len())?;
        let mut slot = [0; SLOT_SIZE];
        slot[..32].copy_from_slice(id);
        slot[32..36].copy_from_slice(&(u32::from(kind) << PACK_BITS | pack).to_le_bytes());
        slot[36..].copy_from_slice(&entry.to_le_bytes());
        Some(slot)
    }

    /// The table as a file; `None` where there was not enough room.
    pub(in crate::index) fn finish(self) -> Option<TableBytes> {
        if self.lacks {
            return None;
        }
        let mut head = vec![0; HEADER_SIZE];
        for pack in &self.packs {
            head.extend_from_slice(pack.as_bytes());
        }
        for page in self.prints.chunks(PRINTS_PER_PAGE).chain(self.slots.chunks(PAGE_SIZE)) {
            head.extend_from_slice(&xxh3_64(page).to_le_bytes());
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        head[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        head[8..16].copy_from_slice(&(self.packs.len() as u64).to_le_bytes());
        head[16..24].copy_from_slice(&(self.n_entries as u64).to_le_bytes());
        head[24..32].copy_from_slice(&(self.prints.len() as u64).to_le_bytes());
        head[32..40].copy_from_slice(&self.seed.to_le_bytes());
        let check = xxh3_64(&head[HEADER_SIZE..]);
        head[40..48].copy_from_slice(&check.to_le_bytes());
        let check = xxh3_64(&head[..56]);
        head[56..64].copy_from_slice(&check.to_le_bytes());
        Some(TableBytes { head, prints: self.prints, slots: self.slots })
    }

    /// The table, without a file; `None` where there was not enough room.
    pub(in crate::index) fn into_table(self) -> Option<Table> {
        if self.lacks {
            return None;
        }
        let prints = self.prints.chunks(PRINTS_PER_PAGE).map(words);
        let pages = self.slots.as_chunks::<PAGE_SIZE>().0.iter().map(|page| Box::new(*page));
        Some(Table {
            source: Source::Memory,
            n_groups: self.prints.len() / GROUP_SIZE,
            prints: prints.map(|words| OnceLock::from(Some(words))).collect(),
            pages: pages.map(|page| OnceLock::from(Some(page))).collect(),
            packs: self.packs,
            n_entries: self.n_entries,
            seed: self.seed,
            spoiled: AtomicBool::new(false),
        })
    }
}
