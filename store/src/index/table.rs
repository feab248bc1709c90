//! One hash table over the objects of many packs, as a file of which the pages are read
//! that are looked at.
//!
//! ```text
//! header (64) | names of packs (16 each) | sums of pages (8 each) | zeros | pages of slots (4096 each)
//! ```
//!
//! A slot says in which pack, and at which place of that pack's own table, an object may stand; the
//! pack has the last word. Every answer rests on bytes whose sums hold: those of the header when the
//! file is opened, those of a page when it is read. The bytes are specified in
//! `docs/store-format.md`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::object::ObjectName;
use crate::pack::PackName;
use crate::sealed::Sealed;
use crate::vfs::Vfs;
use crate::wire::{read_u32, read_u64};

const MAGIC: u64 = u64::from_le_bytes(*b"wythePX1");
const HEADER_SIZE: usize = 64;
const NAME_SIZE: usize = 16;
const SUM_SIZE: usize = 8;
const SLOT_SIZE: usize = 16;
/// What one sum covers: as much as is read from the disk anyway.
const PAGE_SIZE: usize = 4096;
const SLOTS_PER_PAGE: usize = PAGE_SIZE / SLOT_SIZE;

/// Slots for each object: half of them stay empty, so that a search ends after one or two.
const SLOTS_PER_ENTRY: usize = 2;

/// An odd number whose bits are about even: the golden ratio's.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A page of a table is not what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spoiled;

/// Where an object may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Which of the table's packs.
    pub(super) pack: usize,
    /// Which entry of the pack's own table.
    pub(super) entry: usize,
}

type Page = [u8; PAGE_SIZE];

/// A table that can be searched.
#[derive(Debug)]
pub(super) struct Table {
    file: Sealed,
    packs: Vec<PackName>,
    n_entries: usize,
    seed: u64,
    n_slots: usize,
    /// Where the first page lies.
    start: u64,
    sums: Vec<u64>,
    /// Those that were looked at; nothing within where one is not what was written.
    pages: Vec<OnceLock<Option<Box<Page>>>>,
    spoiled: AtomicBool,
}

/// Where the parts of a table lie.
struct Layout {
    sums: usize,
    slots: usize,
    end: usize,
}

impl Layout {
    fn of(n_packs: usize, n_slots: usize) -> Option<Self> {
        let sums = n_packs.checked_mul(NAME_SIZE)?.checked_add(HEADER_SIZE)?;
        let n_pages = n_slots / SLOTS_PER_PAGE;
        let slots = sums.checked_add(n_pages.checked_mul(SUM_SIZE)?)?;
        let slots = slots.checked_next_multiple_of(PAGE_SIZE)?;
        let end = slots.checked_add(n_pages.checked_mul(PAGE_SIZE)?)?;
        Some(Self { sums, slots, end })
    }
}

impl Table {
    /// Opens the table of a file; `None` where it is not what was written.
    pub(super) fn open(vfs: &dyn Vfs, path: &str) -> Option<Self> {
        let file = Sealed::open(vfs, path).ok()?;
        let mut header = [0; HEADER_SIZE];
        file.read_into(&mut header, 0).ok()?;
        if read_u64(&header, 0) != MAGIC || read_u64(&header, 56) != xxh3_64(&header[..56]) {
            return None;
        }
        let number = |at| usize::try_from(read_u64(&header, at)).ok();
        let (n_packs, n_entries, n_slots) = (number(8)?, number(16)?, number(24)?);
        let (seed, check) = (read_u64(&header, 32), read_u64(&header, 40));
        let layout = Layout::of(n_packs, n_slots)?;
        if file.size() != layout.end as u64 || n_slots == 0 || n_slots % SLOTS_PER_PAGE != 0 {
            return None;
        }
        let start = layout.slots as u64;
        let head = file.read(HEADER_SIZE as u64..start).ok()?;
        if check != xxh3_64(&head) {
            return None;
        }
        let (names, sums) = head.split_at(layout.sums - HEADER_SIZE);
        let packs = names.as_chunks().0.iter().map(|name| PackName::from_bytes(*name)).collect();
        let n_pages = n_slots / SLOTS_PER_PAGE;
        let sums = sums.as_chunks().0.iter().take(n_pages);
        let sums = sums.map(|sum| u64::from_le_bytes(*sum)).collect();
        let pages = std::iter::repeat_with(OnceLock::new).take(n_pages).collect();
        let spoiled = AtomicBool::new(false);
        Some(Self { file, packs, n_entries, seed, n_slots, start, sums, pages, spoiled })
    }

    /// The packs whose objects are in it.
    pub(super) fn packs(&self) -> &[PackName] {
        &self.packs
    }

    /// How many objects are in it, each as often as a pack holds it.
    pub(super) fn n_entries(&self) -> usize {
        self.n_entries
    }

    /// What decides the order of slots.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether a page of it was met that is not what was written, or cannot be read.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    /// The first answer of `look` for places where the object may stand.
    pub(super) fn find<T>(
        &self,
        name: &ObjectName,
        mut look: impl FnMut(Place) -> Option<T>,
    ) -> Result<Option<T>, Spoiled> {
        let tag = tag(name);
        let mut at = home(tag, self.seed, self.n_slots);
        for _ in 0..self.n_slots {
            let Some((found, place)) = self.slot(at)? else { return Ok(None) };
            if found == tag
                && let Some(answer) = look(place)
            {
                return Ok(Some(answer));
            }
            at = if at + 1 == self.n_slots { 0 } else { at + 1 };
        }
        Ok(None)
    }

    /// Everything in it, in the order of slots.
    fn each(&self, mut add: impl FnMut(u64, Place)) -> Result<(), Spoiled> {
        for at in 0..self.n_slots {
            if let Some((tag, place)) = self.slot(at)? {
                add(tag, place);
            }
        }
        Ok(())
    }

    fn slot(&self, at: usize) -> Result<Option<(u64, Place)>, Spoiled> {
        let page = &self.pages[at / SLOTS_PER_PAGE];
        let page = match page.get() {
            Some(page) => page,
            None => page.get_or_init(|| self.read(at / SLOTS_PER_PAGE)),
        };
        let (slots, _) = page.as_ref().ok_or(Spoiled)?.as_chunks::<SLOT_SIZE>();
        let slot = &slots[at % SLOTS_PER_PAGE];
        Ok((read_u32(slot, 8) as usize)
            .checked_sub(1)
            .map(|pack| (read_u64(slot, 0), Place { pack, entry: read_u32(slot, 12) as usize })))
    }

    #[cold]
    fn read(&self, number: usize) -> Option<Box<Page>> {
        let mut page = Box::new([0; PAGE_SIZE]);
        let read = self.file.read_into(&mut *page, self.start + (number * PAGE_SIZE) as u64);
        if read.is_ok() && xxh3_64(&*page) == self.sums[number] {
            return Some(page);
        }
        self.spoiled.store(true, Ordering::Relaxed);
        None
    }
}

/// A table in the making.
#[derive(Debug)]
pub(super) struct TableBuilder {
    packs: Vec<PackName>,
    n_entries: usize,
    seed: u64,
    n_slots: usize,
    slots: Vec<u8>,
    /// Whether anything could not be put down, so that the table must not speak for its packs.
    lacks: bool,
}

impl TableBuilder {
    /// Room for so many objects. With the seed of another table, what comes from that one comes in
    /// the order in which it is put down, which is several times as fast.
    pub(super) fn new(n_entries: usize, seed: u64) -> Self {
        let n_slots = (n_entries * SLOTS_PER_ENTRY).max(1).next_multiple_of(SLOTS_PER_PAGE);
        let slots = vec![0; n_slots * SLOT_SIZE];
        Self { packs: Vec::new(), n_entries: 0, seed, n_slots, slots, lacks: false }
    }

    /// Adds a pack: the places of its own table, and what stands there.
    pub(super) fn add(
        &mut self,
        pack: PackName,
        objects: impl Iterator<Item = (usize, ObjectName)>,
    ) {
        let number = self.packs.len();
        self.packs.push(pack);
        for (entry, name) in objects {
            self.insert(tag(&name), Place { pack: number, entry });
        }
    }

    /// Adds what another table has of the packs that `keep` names.
    pub(super) fn absorb(
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
        table.each(|tag, Place { pack, entry }| {
            if let Some(Some(pack)) = numbers.get(pack).copied() {
                self.insert(tag, Place { pack, entry });
            }
        })
    }

    fn insert(&mut self, tag: u64, Place { pack, entry }: Place) {
        let numbers = u32::try_from(pack + 1).ok().zip(u32::try_from(entry).ok());
        let Some((pack, entry)) = numbers.filter(|_| self.n_entries + 1 < self.n_slots) else {
            self.lacks = true;
            return;
        };
        let (slots, _) = self.slots.as_chunks_mut::<SLOT_SIZE>();
        let mut at = home(tag, self.seed, self.n_slots);
        while slots[at][8..12] != [0; 4] {
            at = if at + 1 == self.n_slots { 0 } else { at + 1 };
        }
        slots[at][0..8].copy_from_slice(&tag.to_le_bytes());
        slots[at][8..12].copy_from_slice(&pack.to_le_bytes());
        slots[at][12..16].copy_from_slice(&entry.to_le_bytes());
        self.n_entries += 1;
    }

    /// The bytes of the file up to its pages, and the pages; `None` where there was not enough room.
    pub(super) fn finish(self) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.lacks {
            return None;
        }
        let mut head = vec![0; HEADER_SIZE];
        for pack in &self.packs {
            head.extend_from_slice(pack.as_bytes());
        }
        for page in self.slots.chunks(PAGE_SIZE) {
            head.extend_from_slice(&xxh3_64(page).to_le_bytes());
        }
        head.resize(head.len().next_multiple_of(PAGE_SIZE), 0);
        head[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        head[8..16].copy_from_slice(&(self.packs.len() as u64).to_le_bytes());
        head[16..24].copy_from_slice(&(self.n_entries as u64).to_le_bytes());
        head[24..32].copy_from_slice(&(self.n_slots as u64).to_le_bytes());
        head[32..40].copy_from_slice(&self.seed.to_le_bytes());
        let check = xxh3_64(&head[HEADER_SIZE..]);
        head[40..48].copy_from_slice(&check.to_le_bytes());
        let check = xxh3_64(&head[..56]);
        head[56..64].copy_from_slice(&check.to_le_bytes());
        Some((head, self.slots))
    }
}

/// What a slot remembers of a name.
fn tag(name: &ObjectName) -> u64 {
    read_u64(&name.id, 0) ^ u64::from(name.kind.code()).wrapping_mul(SPREAD)
}

/// The slot at which a search begins. The seed keeps whoever makes objects from choosing it.
fn home(tag: u64, seed: u64, n_slots: usize) -> usize {
    let product = u128::from(tag ^ seed) * u128::from(SPREAD);
    let folded = (product ^ (product >> 64)) & u128::from(u64::MAX);
    usize::try_from((folded * n_slots as u128) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Kind;
    use crate::sim::Sim;

    fn name(number: u32) -> ObjectName {
        let id = blake3::hash(&number.to_le_bytes());
        ObjectName::new(Kind::ALL[number as usize % 6], id.as_bytes())
    }

    fn pack(number: u8) -> PackName {
        PackName::from_bytes([number; 16])
    }

    fn names(numbers: std::ops::Range<u32>) -> impl Iterator<Item = (usize, ObjectName)> {
        numbers.map(name).enumerate()
    }

    /// Two packs of so many objects each.
    fn bytes(count: u32) -> Vec<u8> {
        let mut builder = TableBuilder::new(2 * count as usize, 7);
        builder.add(pack(1), names(0..count));
        builder.add(pack(2), names(count..2 * count));
        let (mut head, slots) = builder.finish().unwrap();
        head.extend(slots);
        head
    }

    fn decode(bytes: &[u8]) -> Option<Table> {
        let sim = Sim::default();
        sim.create("table").unwrap().append(bytes).unwrap();
        Table::open(&sim, "table")
    }

    fn places(table: &Table, name: &ObjectName) -> Result<Vec<Place>, Spoiled> {
        let mut found = Vec::new();
        table.find::<()>(name, |place| {
            found.push(place);
            None
        })?;
        Ok(found)
    }

    #[test]
    fn every_object_is_found_where_it_is_and_no_other() {
        let table = decode(&bytes(3000)).unwrap();
        assert_eq!((table.n_entries(), table.packs()), (6000, &[pack(1), pack(2)][..]));
        for number in 0..6000 {
            let (pack, entry) = (number as usize / 3000, number as usize % 3000);
            assert_eq!(places(&table, &name(number)), Ok(vec![Place { pack, entry }]));
        }
        assert!((6000..20_000).all(|number| places(&table, &name(number)) == Ok(vec![])));
    }

    #[test]
    fn what_is_absorbed_is_found_and_what_is_left_out_is_not() {
        let table = decode(&bytes(100)).unwrap();
        let mut builder = TableBuilder::new(300, table.seed());
        builder.add(pack(3), names(200..300));
        builder.absorb(&table, |found| *found == pack(2)).unwrap();
        let (mut head, slots) = builder.finish().unwrap();
        head.extend(slots);
        let table = decode(&head).unwrap();
        assert_eq!(table.packs(), [pack(3), pack(2)]);
        let found = |number: u32| places(&table, &name(number)).unwrap();
        assert!((0..100).all(|number| found(number).is_empty()));
        for number in 100..200 {
            assert_eq!(found(number), [Place { pack: 1, entry: number as usize - 100 }]);
        }
        assert_eq!(found(250), [Place { pack: 0, entry: 50 }]);
    }

    #[test]
    fn an_object_of_several_packs_has_a_place_in_each() {
        let mut builder = TableBuilder::new(10, 1);
        for number in 0..10 {
            builder.add(pack(number), names(5..6));
        }
        let (mut head, slots) = builder.finish().unwrap();
        head.extend(slots);
        let found = places(&decode(&head).unwrap(), &name(5)).unwrap();
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn no_flipped_bit_changes_an_answer() {
        let intact = bytes(100);
        let right: Vec<Vec<Place>> =
            (0..300).map(|n| places(&decode(&intact).unwrap(), &name(n)).unwrap()).collect();
        for bit in 0..intact.len() * 8 {
            let mut bytes = intact.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Some(table) = decode(&bytes) else { continue };
            let number = u32::try_from(bit % 300).unwrap();
            let found = places(&table, &name(number));
            assert!(found.is_err() || found == Ok(right[number as usize].clone()), "bit {bit}");
        }
    }

    #[test]
    fn a_table_without_room_for_all_is_none() {
        let mut builder = TableBuilder::new(1, 7);
        builder.add(pack(1), names(0..300));
        assert!(builder.finish().is_none());
    }

    #[test]
    fn every_shorter_or_longer_file_is_refused() {
        let intact = bytes(10);
        assert!((0..intact.len()).all(|length| decode(&intact[..length]).is_none()));
        assert!(decode(&[&intact[..], &[0]].concat()).is_none());
    }
}
