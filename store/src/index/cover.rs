//! Writing tables: cheaply after commits, completely by a collection.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{At, ReadError, WriteError};
use crate::id::hex;
use crate::index::Packs;
use crate::index::shelf::{Listed, Shelf, TABLE_PREFIX};
use crate::index::table::{TableBuilder, TableBytes};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::vfs::{Lock, Vfs};

/// So many packs may be in no table: searching them costs about as much as writing one for them
/// after every commit would.
const UNCOVERED_MAX: usize = 8;

/// A commit writes tables of at most so many objects, or of as many as all others have: what is
/// written seldom may cost more.
const ENTRIES_PER_COMMIT: usize = 128 * 1024;

/// A table is taken into a new one that is at least this part of it, so that of small tables each
/// has several times the size of the one before, and three are enough for any store. Each object is
/// written about eight times by a thousand commits.
const GROWTH: usize = 8;

/// How much of a table is written at once.
const PIECE: usize = 4 * 1024 * 1024;

const LOCK: &str = "lock/index";

/// How much a table is written for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// For packs that are in none, where they are many; small tables go into it.
    Some,
    /// For all packs.
    All,
}

/// What goes into a new table.
#[derive(Debug, Default)]
struct Plan {
    packs: Vec<(PackName, Arc<Pack>)>,
    tables: Vec<Listed>,
    /// Files that it makes needless.
    superseded: Vec<String>,
    n_entries: usize,
}

impl Packs {
    /// Writes a table where one is missed. `scratch` is a path in a directory of the caller's.
    ///
    /// # Errors
    ///
    /// If it cannot be written, which takes nothing from anybody but time.
    pub fn cover(&self, scratch: &str, extent: Extent) -> Result<(), WriteError> {
        self.cover_while(scratch, extent, &|| true)
    }

    /// As [`cover`](Self::cover), as long as there is time for it. What there is none for leaves
    /// nothing but the scratch file.
    pub(crate) fn cover_while(
        &self,
        scratch: &str,
        extent: Extent,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), WriteError> {
        if self.plan(extent)?.is_none() {
            return Ok(());
        }
        let Some(_lock) = try_lock(&*self.vfs).writing(LOCK)? else { return Ok(()) };
        // Others may have written one before they let go of the lock.
        self.reload()?;
        let Some(plan) = self.plan(extent)? else { return Ok(()) };
        let done = self.write(scratch, &plan, go_on);
        self.reload()?;
        done
    }

    /// Takes all tables away: for whoever has found that one is wrong.
    pub(crate) fn forget_tables(&self) -> Result<(), ReadError> {
        let path = |listed: &Listed| listed.path.clone();
        for path in self.with(|shelf| shelf.tables().iter().map(path).collect::<Vec<_>>())? {
            if let Err(error) = unlink(&*self.vfs, &path) {
                tracing::debug!(%error, path, "cannot take a table of packs away");
            }
        }
        self.reload()
    }

    fn plan(&self, extent: Extent) -> Result<Option<Plan>, ReadError> {
        self.with(|shelf| match extent {
            Extent::Some => Plan::of_some(shelf),
            Extent::All => Plan::of_all(shelf),
        })
    }

    fn write(
        &self,
        scratch: &str,
        plan: &Plan,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), WriteError> {
        let (vfs, mut ours) = (&*self.vfs, None);
        let present: HashSet<PackName> = self.names()?.into_iter().collect();
        // Where one of the old ones is damaged, the next attempt finds its packs in none.
        if let Some(table) = plan.build(&present, go_on) {
            let name = hex(&blake3::hash(&table.head).as_bytes()[..16]);
            let path = format!("cache/{TABLE_PREFIX}{name}");
            let file = vfs.create(scratch).writing(scratch)?;
            for piece in table.parts().iter().flat_map(|part| part.chunks(PIECE)) {
                if !go_on() {
                    return Ok(());
                }
                file.append(piece).writing(scratch)?;
            }
            file.seal().and_then(|()| vfs.replace(scratch, &path)).writing(scratch)?;
            ours = Some(path);
        } else if !go_on() {
            return Ok(());
        }
        let old = plan.superseded.iter().filter(|path| Some(*path) != ours.as_ref());
        old.into_iter().try_for_each(|path| unlink(vfs, path))
    }
}

impl Plan {
    /// Packs that are in no table, as many as a commit may pay for, and tables so small that one
    /// more of that size is too many.
    fn of_some(shelf: &Shelf) -> Option<Self> {
        let is_spoiled = shelf.tables().iter().any(|listed| listed.table.is_spoiled());
        // The second look does without packs that nobody can open.
        if !is_spoiled
            && (shelf.n_uncovered() <= UNCOVERED_MAX || shelf.uncovered().count() <= UNCOVERED_MAX)
        {
            return None;
        }
        let covered: usize = shelf.tables().iter().map(|listed| listed.table.n_entries()).sum();
        let limit = ENTRIES_PER_COMMIT.max(covered);
        let mut plan = Self { superseded: shelf.useless().to_vec(), ..Self::default() };
        for (name, pack) in shelf.uncovered() {
            plan.add(name, pack);
            if plan.n_entries >= limit {
                break;
            }
        }
        for listed in shelf.tables().iter().rev() {
            let count = listed.table.n_entries();
            if count > plan.n_entries * GROWTH || plan.n_entries + count > limit {
                break;
            }
            plan.absorb(listed);
        }
        Some(plan)
    }

    /// Everything, unless one table says it all.
    fn of_all(shelf: &Shelf) -> Option<Self> {
        let is_whole = match shelf.tables() {
            // So few are as soon searched.
            [] => shelf.n_uncovered() <= UNCOVERED_MAX,
            [listed] => shelf.n_uncovered() == 0 && listed.is_whole(),
            [..] => false,
        };
        if is_whole && shelf.useless().is_empty() {
            return None;
        }
        let mut plan = Self { superseded: shelf.useless().to_vec(), ..Self::default() };
        // From the packs themselves: this is what puts a table right that is wrong.
        shelf.named().for_each(|(name, pack)| plan.add(name, pack));
        plan.superseded.extend(shelf.tables().iter().map(|listed| listed.path.clone()));
        Some(plan)
    }

    fn add(&mut self, name: PackName, pack: &Arc<Pack>) {
        self.n_entries += pack.n_entries();
        self.packs.push((name, Arc::clone(pack)));
    }

    fn absorb(&mut self, listed: &Listed) {
        self.n_entries += listed.table.n_entries();
        self.superseded.push(listed.path.clone());
        self.tables.push(listed.clone());
    }

    /// The table; `None` where there is nothing to say or no time, or one that goes into it is
    /// damaged.
    fn build(&self, present: &HashSet<PackName>, go_on: &dyn Fn() -> bool) -> Option<TableBytes> {
        if self.packs.is_empty() && self.tables.is_empty() {
            return None;
        }
        let largest = self.tables.iter().max_by_key(|listed| listed.table.n_entries());
        let seed = largest.map_or_else(|| self.seed(), |listed| listed.table.seed());
        let mut builder = TableBuilder::new(self.n_entries, seed);
        let mut done: HashSet<PackName> = HashSet::new();
        for listed in &self.tables {
            builder
                .absorb(&listed.table, |pack| present.contains(pack) && !done.contains(pack))
                .ok()?;
            done.extend(listed.table.packs());
        }
        for (name, pack) in self.packs.iter().filter(|(name, _)| !done.contains(name)) {
            if !go_on() {
                return None;
            }
            let known = |at| Some((at, pack.entry(at)?.name));
            builder.add(*name, (0..pack.n_entries()).filter_map(known));
        }
        builder.finish()
    }

    /// A seed nobody can know before the packs are there.
    fn seed(&self) -> u64 {
        let names: Vec<[u8; 16]> = self.packs.iter().map(|(name, _)| *name.as_bytes()).collect();
        xxh3_64(names.as_flattened())
    }
}

fn try_lock(vfs: &dyn Vfs) -> io::Result<Option<Lock>> {
    match vfs.try_lock(LOCK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vfs.lock(LOCK).map(Some),
        lock => lock,
    }
}

/// Others may have been faster.
fn unlink(vfs: &dyn Vfs, path: &str) -> Result<(), WriteError> {
    match vfs.unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.writing(path),
    }
}
