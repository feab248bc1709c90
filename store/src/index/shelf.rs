//! The packs that lie in the store, each opened when it is first looked into, and the tables that
//! say which one that must be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{At, ReadError};
use crate::index::refused::Refused;
use crate::index::table::{Location, Spoiled, Table, TableBuilder};
use crate::object::ObjectName;
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

/// How many packs stay open: the rest of the thousand files that a process may usually have open is
/// for its other work.
const FILES_MAX: usize = 512;

/// Of how many packs the tables stay in memory.
pub(super) const OPEN_MAX: usize = 1024;

/// How many objects those tables may be of, at 48 bytes each.
const ENTRIES_MAX: usize = 4 * 1024 * 1024;

/// How often packs that are in no table are searched before that may be made up in memory.
const SEARCHES_MIN: usize = 1024;

/// Of how many objects such a table may be, at 61 bytes each.
const NEAR_MAX: usize = 1024 * 1024;

/// To search packs once takes about as long as it takes to put so many objects into a table.
const ENTRIES_PER_SEARCH: usize = 2;

/// What a listing of the store showed. It is changed by putting another in its place, but for what
/// is opened as it is needed.
#[derive(Debug)]
pub(super) struct Shelf {
    vfs: Arc<dyn Vfs>,
    spots: Vec<Spot>,
    /// The largest first.
    tables: Vec<Listed>,
    /// The spots of packs that are in no table, the newest first.
    uncovered: Vec<usize>,
    /// A table over those, which no file has; nothing within where there was none to make.
    near: OnceLock<Option<Listed>>,
    /// How often they were searched without it.
    n_searches: AtomicUsize,
    /// Files of tables that say nothing: damaged, or of packs that are gone or in a larger table.
    useless: Vec<String>,
    /// How many packs are open, and how many objects they hold.
    n_open: AtomicUsize,
    n_entries: AtomicUsize,
    /// Whether a pack was met that is gone.
    is_stale: AtomicBool,
    refused: Arc<Refused>,
}

/// A pack, or the place of one.
#[derive(Debug)]
struct Spot {
    name: PackName,
    /// Nothing within where it cannot be opened.
    pack: OnceLock<Option<Arc<Pack>>>,
    /// Whether it was looked into since packs were last closed.
    is_used: AtomicBool,
}

/// A table of a file.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) table: Arc<Table>,
    /// For each of its packs the spot, unless it is gone.
    spots: Vec<Option<usize>>,
}

/// What the names of tables in `cache/` begin with.
pub(super) const TABLE_PREFIX: &str = "packs-";

impl Shelf {
    /// What the store has now. What `before` has open stays open.
    pub(super) fn list(
        vfs: &Arc<dyn Vfs>,
        refused: &Arc<Refused>,
        before: Option<&Self>,
    ) -> Result<Self, ReadError> {
        let mut known = before.map_or_else(HashMap::new, Self::opened);
        let files = vfs.list("packs").reading("packs")?;
        let names = files.iter().filter_map(|file| PackName::of_file(file));
        let spots: Vec<Spot> = names.map(|name| Spot::with(name, known.remove(&name))).collect();
        let mut shelf = Self::of(vfs, refused, spots);
        shelf.list_tables(before.map_or(&[], |before| &before.tables));
        Ok(shelf)
    }

    fn of(vfs: &Arc<dyn Vfs>, refused: &Arc<Refused>, spots: Vec<Spot>) -> Self {
        let n_open = spots.iter().filter(|spot| spot.pack.get().is_some()).count();
        let n_entries = spots.iter().map(Spot::n_entries).sum();
        Self {
            vfs: Arc::clone(vfs),
            spots,
            tables: Vec::new(),
            uncovered: Vec::new(),
            near: OnceLock::new(),
            n_searches: AtomicUsize::new(0),
            useless: Vec::new(),
            n_open: AtomicUsize::new(n_open),
            n_entries: AtomicUsize::new(n_entries),
            is_stale: AtomicBool::new(false),
            refused: Arc::clone(refused),
        }
    }

    /// The same with other spots.
    fn with_spots(&self, spots: Vec<Spot>) -> Self {
        Self {
            tables: self.tables.clone(),
            uncovered: self.uncovered.clone(),
            useless: self.useless.clone(),
            is_stale: AtomicBool::new(self.is_stale()),
            ..Self::of(&self.vfs, &self.refused, spots)
        }
    }

    fn opened(&self) -> HashMap<PackName, Arc<Pack>> {
        let opened = |spot: &Spot| Some((spot.name, Arc::clone(spot.pack.get()?.as_ref()?)));
        self.spots.iter().filter_map(opened).collect()
    }

    fn list_tables(&mut self, before: &[Listed]) {
        let mut found = self.open_tables(before);
        found.sort_by_key(|(_, table)| std::cmp::Reverse(table.n_entries()));
        let at = |(at, spot): (usize, &Spot)| (spot.name, at);
        let mut missing: HashMap<PackName, usize> = self.spots.iter().enumerate().map(at).collect();
        for (path, table) in found {
            // A pack that two tables cover is found through the larger one.
            let spots: Vec<_> = table.packs().iter().map(|name| missing.remove(name)).collect();
            if spots.iter().any(Option::is_some) {
                self.tables.push(Listed { path, table, spots });
            } else {
                self.useless.push(path);
            }
        }
        self.uncovered = missing.into_values().collect();
        self.uncovered.sort_unstable();
    }

    /// Tables are a cache: one that cannot be read is none.
    fn open_tables(&mut self, before: &[Listed]) -> Vec<(String, Arc<Table>)> {
        let mut found = Vec::new();
        for file in self.vfs.list("cache").unwrap_or_default() {
            if !file.starts_with(TABLE_PREFIX) {
                continue;
            }
            let path = format!("cache/{file}");
            let known = before.iter().find(|listed| listed.path == path);
            let known = known.map(|listed| Arc::clone(&listed.table));
            let open = || Table::open(&*self.vfs, &path);
            let table = known.or_else(|| open().map(Arc::new));
            if let Some(table) = table.filter(|table| !table.is_spoiled()) {
                found.push((path, table));
            } else {
                tracing::debug!(path, "a table of packs is damaged or gone");
                self.useless.push(path);
            }
        }
        found
    }

    /// The same and a pack that was published after the listing.
    pub(super) fn with(&self, name: PackName, pack: Arc<Pack>) -> Self {
        let mut spots = self.spots.clone();
        let spot = Spot::with(name, Some(pack));
        if let Some(known) = spots.iter_mut().find(|known| known.name == name) {
            *known = spot;
            return self.with_spots(spots);
        }
        spots.push(spot);
        let mut shelf = self.with_spots(spots);
        shelf.uncovered.insert(0, self.spots.len());
        shelf
    }

    /// The first answer of `look` for packs that hold the object.
    pub(super) fn visit<'shelf, T>(
        &'shelf self,
        name: &ObjectName,
        mut look: impl FnMut(&'shelf Arc<Pack>, usize) -> Option<T>,
    ) -> Option<T> {
        for listed in &self.tables {
            let found = self.visit_listed(listed, name, &mut look);
            if found.is_some() {
                return found;
            }
        }
        if self.uncovered.is_empty() {
            return None;
        }
        match self.near() {
            Some(near) => self.visit_listed(near, name, &mut look),
            None => self.uncovered.iter().find_map(|spot| self.search(*spot, name, &mut look)),
        }
    }

    /// Reads what look-ups of these names are going to read. Where a table is spoiled they find out.
    pub(super) fn prefetch(&self, names: &[ObjectName]) {
        let near = self.near.get().and_then(Option::as_ref);
        for listed in self.tables.iter().chain(near) {
            let _spoiled = listed.table.prefetch(names);
        }
    }

    fn visit_listed<'shelf, T>(
        &'shelf self,
        listed: &'shelf Listed,
        name: &ObjectName,
        look: &mut impl FnMut(&'shelf Arc<Pack>, usize) -> Option<T>,
    ) -> Option<T> {
        let found = listed.table.find(name, |Location { pack, entry }| {
            let pack = self.open(listed.spots.get(pack).copied()??)?;
            (entry < pack.n_entries()).then(|| look(pack, entry))?
        });
        found.unwrap_or_else(|Spoiled| {
            let mut spots = listed.spots.iter().flatten();
            spots.find_map(|spot| self.search(*spot, name, look))
        })
    }

    /// The table over packs that are in none, once it is worth making.
    fn near(&self) -> Option<&Listed> {
        if let Some(near) = self.near.get() {
            return near.as_ref();
        }
        // Searches at the same time may count as one.
        let n_searches = self.n_searches.load(Ordering::Relaxed) + 1;
        self.n_searches.store(n_searches, Ordering::Relaxed);
        if !n_searches.is_multiple_of(SEARCHES_MIN) {
            return None;
        }
        let n_entries = self.uncovered.iter().map(|spot| self.spots[*spot].n_entries()).sum();
        if NEAR_MAX < n_entries || n_searches * ENTRIES_PER_SEARCH < n_entries {
            return None;
        }
        self.near.get_or_init(|| self.make_near(n_entries)).as_ref()
    }

    #[cold]
    fn make_near(&self, n_entries: usize) -> Option<Listed> {
        let mut builder = TableBuilder::new(n_entries, 0);
        let mut spots = Vec::with_capacity(self.uncovered.len());
        for spot in &self.uncovered {
            let Some(pack) = self.open(*spot) else { continue };
            let known = |at| Some((at, pack.entry(at)?.name));
            builder.add(pack.name(), (0..pack.n_entries()).filter_map(known));
            spots.push(Some(*spot));
        }
        let table = Arc::new(builder.into_table()?);
        Some(Listed { path: String::new(), table, spots })
    }

    fn search<'shelf, T>(
        &'shelf self,
        spot: usize,
        name: &ObjectName,
        look: &mut impl FnMut(&'shelf Arc<Pack>, usize) -> Option<T>,
    ) -> Option<T> {
        let pack = self.open(spot)?;
        look(pack, pack.place(name)?)
    }

    /// The names of all packs.
    pub(super) fn names(&self) -> impl Iterator<Item = PackName> + '_ {
        self.spots.iter().map(|spot| spot.name)
    }

    /// All packs that can be opened, with the names of their files.
    pub(super) fn named(&self) -> impl Iterator<Item = (PackName, &Arc<Pack>)> {
        (0..self.spots.len()).filter_map(|spot| Some((self.spots[spot].name, self.open(spot)?)))
    }

    /// Those of them that are in no table, the newest first.
    pub(super) fn uncovered(&self) -> impl Iterator<Item = (PackName, &Arc<Pack>)> {
        let named = |spot: &usize| Some((self.spots[*spot].name, self.open(*spot)?));
        self.uncovered.iter().filter_map(named)
    }

    /// How many packs are in no table.
    pub(super) fn n_uncovered(&self) -> usize {
        self.uncovered.len()
    }

    /// Files of tables that say nothing.
    pub(super) fn useless(&self) -> &[String] {
        &self.useless
    }

    /// The tables, the largest first.
    pub(super) fn tables(&self) -> &[Listed] {
        &self.tables
    }

    /// Whether the store has other packs by now.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    /// Whether more packs are open than should be.
    pub(super) fn is_crowded(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) > OPEN_MAX
            || self.n_entries.load(Ordering::Relaxed) > ENTRIES_MAX
    }

    /// The same without packs that were not looked into since this was last done, and of others
    /// with as many as half of what is allowed needs.
    pub(super) fn thinned_out(&self) -> Self {
        let (mut n_kept, mut n_entries) = (0, 0);
        let spots = self.spots.iter().map(|spot| {
            let size = spot.n_entries();
            let is_used = spot.is_used.load(Ordering::Relaxed);
            let is_kept = is_used && n_kept < OPEN_MAX / 2 && n_entries + size <= ENTRIES_MAX / 2;
            let mut thinned = Spot::with(spot.name, None);
            if is_kept {
                n_kept += usize::from(spot.pack.get().is_some());
                n_entries += size;
                thinned.pack = spot.pack.clone();
            }
            thinned.is_used = AtomicBool::new(false);
            thinned
        });
        self.with_spots(spots.collect())
    }

    fn open(&self, spot: usize) -> Option<&Arc<Pack>> {
        let spot = self.spots.get(spot)?;
        let pack = match spot.pack.get() {
            Some(pack) => pack,
            None => spot.pack.get_or_init(|| self.open_first(spot)),
        };
        if !spot.is_used.load(Ordering::Relaxed) {
            spot.is_used.store(true, Ordering::Relaxed);
        }
        pack.as_ref()
    }

    #[cold]
    fn open_first(&self, spot: &Spot) -> Option<Arc<Pack>> {
        let path = spot.name.path();
        let opened = if self.n_open.fetch_add(1, Ordering::Relaxed) < FILES_MAX {
            Pack::open(&*self.vfs, &path)
        } else {
            Pack::open_each_time(&self.vfs, &path)
        };
        match opened {
            Ok(pack) => {
                self.n_entries.fetch_add(pack.n_entries(), Ordering::Relaxed);
                Some(Arc::new(pack))
            }
            // Collected since the listing: what it held has moved, or nobody needs it.
            Err(error) if error.is_not_found() => {
                self.is_stale.store(true, Ordering::Relaxed);
                None
            }
            // What only it held is missing, and fsck names the pack.
            Err(error) => {
                tracing::warn!(path = error.path, "skipping a damaged pack");
                self.refused.add(spot.name, error);
                None
            }
        }
    }
}

impl Clone for Spot {
    fn clone(&self) -> Self {
        let is_used = AtomicBool::new(self.is_used.load(Ordering::Relaxed));
        Self { name: self.name, pack: self.pack.clone(), is_used }
    }
}

impl Spot {
    fn with(name: PackName, pack: Option<Arc<Pack>>) -> Self {
        let pack = pack.map_or_else(OnceLock::new, |pack| OnceLock::from(Some(pack)));
        Self { name, pack, is_used: AtomicBool::new(true) }
    }

    fn n_entries(&self) -> usize {
        self.pack.get().and_then(Option::as_ref).map_or(0, |pack| pack.n_entries())
    }
}

impl Listed {
    /// Whether all of its packs are there, and are found through it.
    pub(super) fn is_whole(&self) -> bool {
        self.spots.iter().all(Option::is_some)
    }
}
