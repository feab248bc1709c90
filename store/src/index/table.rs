//! One hash table over the objects of many packs, as a file of which the pages are read
//! that are looked at.
//!
//! ```text
//! header (64) | names of packs (16 each) | sums of pages (8 each) | zeros | prints (1 each) | slots (40 each)
//! ```
//!
//! A slot says in which pack, and at which place of that pack's own table, an object stands. Of each
//! slot there is a print, a byte that differs for most objects: eight of them lie in one word, and
//! all of them in so little memory that a processor keeps them at hand, so that what is not there is
//! seldom looked for any further, and what is there is found with one look into the slots.
//!
//! Every answer rests on bytes whose sums hold: those of the header when the file is opened, those
//! of a page when it is read. The bytes are specified in `docs/store-format.md`.

mod build;

use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::object::ObjectName;
use crate::pack::PackName;
use crate::sealed::Sealed;
use crate::vfs::Vfs;
use crate::wire::{read_u32, read_u64};

pub(super) use build::{TableBuilder, TableBytes};

const MAGIC: u64 = u64::from_le_bytes(*b"wythePX2");
const HEADER_SIZE: usize = 64;
const NAME_SIZE: usize = 16;
const SUM_SIZE: usize = 8;
/// Where what is read in pages begins: at a multiple of this.
const ALIGNMENT: usize = 4096;

/// An id, a kind with the number of a pack, and a place in it.
const SLOT_SIZE: usize = 40;

/// The slots that one word of prints is of.
const GROUP_SIZE: usize = 8;

/// What one sum covers of the slots: 10 KiB, which cost little more to read than a block would.
const SLOTS_PER_PAGE: usize = 256;
const PAGE_SIZE: usize = SLOTS_PER_PAGE * SLOT_SIZE;

/// What one sum covers of the prints, or less on the last page.
const PRINTS_PER_PAGE: usize = 4096;
const GROUPS_PER_PAGE: usize = PRINTS_PER_PAGE / GROUP_SIZE;

/// An odd number whose bits are about even: the golden ratio's.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The number of a pack shares four bytes with the kind of an object.
const PACK_BITS: u32 = 24;

/// A page of a table is not what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spoiled;

/// Where an object stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Location {
    /// Which of the table's packs.
    pub(super) pack: usize,
    /// Which entry of the pack's own table.
    pub(super) entry: usize,
}

type Slot = [u8; SLOT_SIZE];
type Page = [u8; PAGE_SIZE];

/// A part of a file: empty before it was looked at, and nothing within where it is not what was
/// written.
type Lazy<T> = OnceLock<Option<Box<T>>>;

/// A table that can be searched.
#[derive(Debug)]
pub(super) struct Table {
    source: Source,
    packs: Vec<PackName>,
    n_entries: usize,
    seed: u64,
    n_groups: usize,
    /// One word for each group.
    prints: Vec<Lazy<[u64]>>,
    pages: Vec<Lazy<Page>>,
    spoiled: AtomicBool,
}

/// What has not been looked at comes from here.
#[derive(Debug)]
enum Source {
    File {
        file: Sealed,
        layout: Layout,
        sums: Vec<u64>,
    },
    /// All is there.
    Memory,
}

/// Where the parts of a table lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    sums: usize,
    n_sums: usize,
    prints: usize,
    slots: usize,
    end: usize,
}

/// What is looked for: in which group first, and with which print.
#[derive(Clone, Copy, Debug)]
struct Probe {
    group: usize,
    print: u8,
}

impl Layout {
    fn of(n_packs: usize, n_slots: usize) -> Option<Self> {
        let sums = n_packs.checked_mul(NAME_SIZE)?.checked_add(HEADER_SIZE)?;
        let n_sums = n_slots.div_ceil(PRINTS_PER_PAGE) + n_slots / SLOTS_PER_PAGE;
        let prints = sums.checked_add(n_sums.checked_mul(SUM_SIZE)?)?;
        let prints = prints.checked_next_multiple_of(ALIGNMENT)?;
        let slots = prints.checked_add(n_slots)?;
        let end = slots.checked_add(n_slots.checked_mul(SLOT_SIZE)?)?;
        Some(Self { sums, n_sums, prints, slots, end })
    }
}

impl Probe {
    /// The seed keeps whoever makes objects from choosing the group.
    fn of(id: &[u8; 32], kind: u8, seed: u64, n_groups: usize) -> Self {
        let tag = read_u64(id, 0) ^ u64::from(kind).wrapping_mul(SPREAD);
        let product = u128::from(tag ^ seed) * u128::from(SPREAD);
        let folded = (product ^ (product >> 64)) & u128::from(u64::MAX);
        let group = usize::try_from((folded * n_groups as u128) >> 64).unwrap_or(0);
        let [print, ..] = folded.to_le_bytes();
        Self { group, print: print.max(1) }
    }

    /// The highest bit of each byte that is the print.
    fn matches(self, prints: u64) -> u64 {
        const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        let differences = prints ^ u64::from_ne_bytes([self.print; GROUP_SIZE]);
        // No sum of two bytes carries into the next one.
        !(((differences & LOW) + LOW) | differences | LOW)
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
        let head = file.read(HEADER_SIZE as u64..layout.prints as u64).ok()?;
        if check != xxh3_64(&head) {
            return None;
        }
        let (names, sums) = head.split_at(layout.sums - HEADER_SIZE);
        let packs = names.as_chunks().0.iter().map(|name| PackName::from_bytes(*name)).collect();
        let sums = sums.as_chunks().0.iter().take(layout.n_sums);
        let sums = sums.map(|sum| u64::from_le_bytes(*sum)).collect();
        let n_prints = n_slots.div_ceil(PRINTS_PER_PAGE);
        Some(Self {
            source: Source::File { file, layout, sums },
            packs,
            n_entries,
            seed,
            n_groups: n_slots / GROUP_SIZE,
            prints: std::iter::repeat_with(Lazy::new).take(n_prints).collect(),
            pages: std::iter::repeat_with(Lazy::new).take(n_slots / SLOTS_PER_PAGE).collect(),
            spoiled: AtomicBool::new(false),
        })
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

    /// The first answer of `look` for places where the object stands.
    pub(super) fn find<T>(
        &self,
        name: &ObjectName,
        mut look: impl FnMut(Location) -> Option<T>,
    ) -> Result<Option<T>, Spoiled> {
        let kind = name.kind.code();
        let probe = Probe::of(&name.id, kind, self.seed, self.n_groups);
        let mut group = probe.group;
        for _ in 0..self.n_groups {
            let prints = self.prints(group)?;
            let mut matches = probe.matches(prints);
            while matches != 0 {
                let slot = self.slot(group, matches.trailing_zeros() as usize / GROUP_SIZE)?;
                if slot[..32] == name.id
                    && slot[35] == kind
                    && let Some(answer) = look(place(slot))
                {
                    return Ok(Some(answer));
                }
                matches &= matches - 1;
            }
            if !is_full(prints) {
                return Ok(None);
            }
            group = if group + 1 == self.n_groups { 0 } else { group + 1 };
        }
        Ok(None)
    }

    /// Reads what look-ups of these names are going to read, without waiting for one before it asks
    /// memory for the next. It decides nothing: who looks a name up does so anew, and finds at hand
    /// what that takes.
    pub(super) fn prefetch(&self, names: &[ObjectName]) -> Result<(), Spoiled> {
        let probe =
            |name: &ObjectName| Probe::of(&name.id, name.kind.code(), self.seed, self.n_groups);
        let mut read = 0;
        for name in names {
            read ^= self.prints(probe(name).group)?;
        }
        let mut edges = 0;
        for probe in names.iter().map(probe) {
            let matches = probe.matches(self.prints(probe.group)?);
            if matches != 0 {
                let slot =
                    self.slot(probe.group, matches.trailing_zeros() as usize / GROUP_SIZE)?;
                // It may lie in two lines of a cache.
                edges ^= slot[0] ^ slot[SLOT_SIZE - 1];
            }
        }
        // Else nothing would have to be read.
        black_box((read, edges));
        Ok(())
    }

    /// Everything in it, in the order of slots.
    fn each(&self, mut add: impl FnMut(&Slot)) -> Result<(), Spoiled> {
        for group in 0..self.n_groups {
            let prints = self.prints(group)?.to_le_bytes();
            for (at, _) in prints.iter().enumerate().filter(|(_, print)| **print != 0) {
                add(self.slot(group, at)?);
            }
        }
        Ok(())
    }

    fn prints(&self, group: usize) -> Result<u64, Spoiled> {
        let number = group / GROUPS_PER_PAGE;
        let page = match self.prints[number].get() {
            Some(page) => page,
            None => self.prints[number].get_or_init(|| self.read_prints(number)),
        };
        page.as_ref().map(|words| words[group % GROUPS_PER_PAGE]).ok_or(Spoiled)
    }

    fn slot(&self, group: usize, at: usize) -> Result<&Slot, Spoiled> {
        let at = group * GROUP_SIZE + at;
        let number = at / SLOTS_PER_PAGE;
        let page = match self.pages[number].get() {
            Some(page) => page,
            None => self.pages[number].get_or_init(|| self.read_slots(number)),
        };
        let (slots, _) = page.as_ref().ok_or(Spoiled)?.as_chunks::<SLOT_SIZE>();
        Ok(&slots[at % SLOTS_PER_PAGE])
    }

    #[cold]
    fn read_prints(&self, number: usize) -> Option<Box<[u64]>> {
        let start = number * GROUPS_PER_PAGE;
        let n_groups = GROUPS_PER_PAGE.min(self.n_groups - start);
        let mut bytes = vec![0; n_groups * GROUP_SIZE];
        self.read(number, &mut bytes, |layout| layout.prints + start * GROUP_SIZE)?;
        Some(words(&bytes))
    }

    #[cold]
    fn read_slots(&self, number: usize) -> Option<Box<Page>> {
        let mut page = Box::new([0; PAGE_SIZE]);
        let start = |layout: Layout| layout.slots + number * PAGE_SIZE;
        self.read(self.prints.len() + number, &mut *page, start)?;
        Some(page)
    }

    /// Reads what a sum covers.
    fn read(&self, sum: usize, bytes: &mut [u8], at: impl Fn(Layout) -> usize) -> Option<()> {
        let Source::File { file, layout, sums } = &self.source else { return None };
        let read = file.read_into(bytes, at(*layout) as u64);
        if read.is_ok() && sums.get(sum) == Some(&xxh3_64(bytes)) {
            return Some(());
        }
        self.spoiled.store(true, Ordering::Relaxed);
        None
    }
}

/// Prints as words of which the lowest byte is the first print.
fn words(prints: &[u8]) -> Box<[u64]> {
    prints.as_chunks().0.iter().map(|group| u64::from_le_bytes(*group)).collect()
}

/// Whether no slot of a group is empty: they are taken in their order.
fn is_full(prints: u64) -> bool {
    prints >> (u64::BITS - u8::BITS) != 0
}

fn place(slot: &Slot) -> Location {
    let pack = read_u32(slot, 32) & ((1 << PACK_BITS) - 1);
    Location { pack: pack as usize, entry: read_u32(slot, 36) as usize }
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
        builder.finish().unwrap().parts().concat()
    }

    fn decode(bytes: &[u8]) -> Option<Table> {
        let sim = Sim::default();
        sim.create("table").unwrap().append(bytes).unwrap();
        Table::open(&sim, "table")
    }

    fn places(table: &Table, name: &ObjectName) -> Result<Vec<Location>, Spoiled> {
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
            assert_eq!(places(&table, &name(number)), Ok(vec![Location { pack, entry }]));
        }
        assert!((6000..20_000).all(|number| places(&table, &name(number)) == Ok(vec![])));
    }

    #[test]
    fn what_is_absorbed_is_found_and_what_is_left_out_is_not() {
        let table = decode(&bytes(100)).unwrap();
        let mut builder = TableBuilder::new(300, table.seed());
        builder.add(pack(3), names(200..300));
        builder.absorb(&table, |found| *found == pack(2)).unwrap();
        let table = decode(&builder.finish().unwrap().parts().concat()).unwrap();
        assert_eq!(table.packs(), [pack(3), pack(2)]);
        let found = |number: u32| places(&table, &name(number)).unwrap();
        assert!((0..100).all(|number| found(number).is_empty()));
        for number in 100..200 {
            assert_eq!(found(number), [Location { pack: 1, entry: number as usize - 100 }]);
        }
        assert_eq!(found(250), [Location { pack: 0, entry: 50 }]);
    }

    #[test]
    fn an_object_of_several_packs_has_a_place_in_each() {
        let mut builder = TableBuilder::new(10, 1);
        for number in 0..10 {
            builder.add(pack(number), names(5..6));
        }
        let bytes = builder.finish().unwrap().parts().concat();
        let found = places(&decode(&bytes).unwrap(), &name(5)).unwrap();
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn no_flipped_bit_changes_an_answer() {
        let intact = bytes(100);
        let right: Vec<Vec<Location>> =
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
