//! Layers of copies are hashed while the files that they are made of are read.
//!
//! What a `COPY` makes of a directory is known but for what its files hold once it is known which there are; and in which
//! order a layer has them. So beside a scan that stores much, one thread looks at names and numbers alone, lays them where
//! the copy will, and hashes each file as it arrives in the store. Whoever measures the layer goes on from there. Where the
//! layer turns out to be another one, since a file has changed or a base has what was not thought of, that was for nothing,
//! and does no harm.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::layer::midstate::{ArrivingBodies, measure_ahead};
use wythe_store::lease::Lease;
use wythe_store::stat_cache::FileStat;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Tree};

use crate::context::body::Bodies;
use crate::context::error::ContextError;
use crate::context::{Context, Scan};
use crate::copy::mode::ModeChange;
use crate::copy::place::copy;
use crate::copy::route::Route;
use crate::copy::{CopySpec, CopyTarget};
use crate::environment::Environment;
use crate::graph::{Graph, Vertex, VertexId};
use crate::operation::copy::{Archives, CopyStep};
use crate::operation::{FileSource, Operation};
use crate::reference::paths_of;
use crate::user::{Accounts, copy_owner, needs_no_file};

/// So much is stored before it pays to look at all names a second time: a tenth of a second of hashing.
const WORTH_BYTES: u64 = 32 << 20;
/// Files are this long on average where it pays: looking at a name costs as much as hashing some kilobytes.
const WORTH_EACH: u64 = 256 << 10;
/// Where it does not pay for the first so many files that are read, nobody goes on looking whether it will.
const FILES_MAX: u64 = 1 << 14;

/// The directories at the top that images have in common: a copy to one of them names it as it is there.
const OF_SYSTEMS: [&str; 19] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root",
    "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];

/// Who knows what lies below a step, and does not wait for that.
pub(crate) trait FilesBelow: Sync {
    /// The files that a vertex stands for, as far as a copy onto them asks; nothing where they are not known.
    fn files_of(&self, vertex: VertexId) -> Option<Arc<Directory>>;
}

/// Nobody.
impl FilesBelow for () {
    fn files_of(&self, _: VertexId) -> Option<Arc<Directory>> {
        None
    }
}

/// A copy of files of a directory.
#[derive(Clone, Debug)]
pub(super) struct ForeseenCopy {
    spec: CopySpec,
    /// The time of directories that it makes, where that is known.
    epoch: Option<i64>,
    /// What it is laid upon, where that is anything.
    parent: Option<VertexId>,
    /// Whether that is an image, which will have nothing in this place.
    is_likely_clear: bool,
}

impl ForeseenCopy {
    /// The copies of a directory that make what can be foreseen.
    pub(super) fn all(graph: &Graph, source: &FileSource) -> Vec<Self> {
        let found = |vertex: &Vertex| match &vertex.operation {
            Operation::Copy(step) if step.from == *source => Self::of((graph, vertex), step),
            Operation::Base(_) | Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => {
                None
            }
        };
        graph.vertices.iter().filter_map(found).collect()
    }

    fn of((graph, vertex): (&Graph, &Vertex), step: &CopyStep) -> Option<Self> {
        let paths = paths_of(step);
        if step.archives != Archives::Keep || paths.sources.len() != step.sources.len() {
            return None;
        }
        let owner = match step.chown.as_deref() {
            None => None,
            Some(text) if needs_no_file(text) => {
                let nobody = Accounts { passwd: None, group: None };
                Some(copy_owner(text, nobody).ok()?.owner)
            }
            Some(_) => return None,
        };
        let mode = step.chmod.as_deref().map(ModeChange::parse).transpose().ok()?;
        let spec = CopySpec {
            destination: step.destination.clone(),
            owner,
            mode,
            base: step.base,
            created: step.epoch.map_or_else(Timestamp::default, Timestamp::from_seconds),
            ..paths
        };
        let parent = vertex.parent.filter(|_| step.base == CopyTarget::Destination);
        let top = step.destination.trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_image = |id| matches!(graph.vertex(id).operation, Operation::Base(_));
        let is_likely_clear =
            parent.is_some_and(is_image) && !matches!(top, "" | ".") && !OF_SYSTEMS.contains(&top);
        Some(Self { spec, epoch: step.epoch, parent, is_likely_clear })
    }

    fn below(&self, known: &dyn FilesBelow) -> Option<Arc<Directory>> {
        let Some(parent) = self.parent else { return Some(Arc::default()) };
        known.files_of(parent).or_else(|| self.is_likely_clear.then(Arc::default))
    }

    /// What it makes of files; nothing where that depends on what is not known, or on when it is made.
    fn changes(&self, source: &Tree, known: &dyn FilesBelow) -> Option<Tree> {
        let below = self.below(known)?;
        let changes = copy(source, &below, &self.spec).ok()?;
        if self.epoch.is_some() {
            return Some(changes);
        }
        let created = Timestamp::from_seconds(self.spec.created.seconds + 1);
        let later = copy(source, &below, &CopySpec { created, ..self.spec.clone() }).ok()?;
        (later == changes).then_some(changes)
    }
}

/// Scans a directory, in the pool, and hashes meanwhile what copies will make of it where that pays.
pub(super) fn scan(
    env: Environment<'_>,
    (context, routes): (&Context, &[Route]),
    bodies: &dyn Bodies,
    (copies, below): (&[ForeseenCopy], &dyn FilesBelow),
) -> Result<Scan, ContextError> {
    // One thread has enough to do.
    if copies.is_empty() || env.pool.current_num_threads() < 2 {
        return env.pool.install(|| context.scan(routes, bodies));
    }
    let arriving = &Arriving::new(bodies);
    std::thread::scope(|scope| {
        scope.spawn(|| arriving.hash(env.lease, (context, routes), (copies, below)));
        let _over = Over(arriving);
        env.pool.install(|| context.scan(routes, arriving))
    })
}

/// Files of a scan, as they arrive in the store.
struct Arriving<'a> {
    bodies: &'a dyn Bodies,
    state: Mutex<State>,
    /// One has arrived for which somebody waits, or that is over.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// How many bytes were stored, of how many files.
    stored: u64,
    files: u64,
    /// What stands for each of those, and what it holds.
    arrived: HashMap<BodyId, BodyId>,
    /// What stands for others that are not known from an earlier scan.
    awaited: HashSet<BodyId>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Phase {
    /// It is not known whether it pays.
    #[default]
    Watched,
    /// Somebody hashes what arrives.
    Hashed,
    /// Nobody waits for anything.
    Over,
}

/// Ends the waiting, however a scan ends.
struct Over<'a, 'b>(&'a Arriving<'b>);

impl Drop for Over<'_, '_> {
    fn drop(&mut self) {
        self.0.state().phase = Phase::Over;
        self.0.changed.notify_all();
    }
}

impl<'a> Arriving<'a> {
    fn new(bodies: &'a dyn Bodies) -> Self {
        Self { bodies, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Hashes what copies make of the files, once it pays, for as long as somebody reads them.
    fn hash(
        &self,
        lease: &Lease,
        (context, routes): (&Context, &[Route]),
        (copies, below): (&[ForeseenCopy], &dyn FilesBelow),
    ) {
        let is_watched = |state: &mut State| state.phase == Phase::Watched;
        drop(self.changed.wait_while(self.state(), is_watched));
        if self.is_over() {
            return;
        }
        // Who reads the files says why one cannot be looked at.
        let Ok(Scan { tree, .. }) = context.scan(routes, &Unread(self)) else { return };
        for changes in copies.iter().filter_map(|copy| copy.changes(&tree, below)) {
            measure_ahead(lease, &changes, self);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bodies for Arriving<'_> {
    fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
        self.bodies.recall(path, stat)
    }

    fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError> {
        let stored = self.bodies.store(file, size)?;
        let mut state = self.state();
        state.stored += stored.1;
        state.files += 1;
        if state.phase == Phase::Watched {
            if WORTH_BYTES.max(state.files * WORTH_EACH) <= state.stored {
                state.phase = Phase::Hashed;
                self.changed.notify_all();
            } else if FILES_MAX < state.files {
                (state.phase, state.arrived) = (Phase::Over, HashMap::new());
                self.changed.notify_all();
            }
        }
        Ok(stored)
    }

    fn remember(&self, path: &[u8], stat: &FileStat, body: BodyId) {
        self.bodies.remember(path, stat, body);
        let mut state = self.state();
        if state.phase != Phase::Over {
            state.arrived.insert(stand_in(path), body);
            self.changed.notify_all();
        }
    }
}

impl ArrivingBodies for Arriving<'_> {
    fn arrived(&self, stand_in: &BodyId) -> Option<BodyId> {
        let is_lacking = |state: &mut State| {
            state.phase == Phase::Hashed
                && state.awaited.contains(stand_in)
                && !state.arrived.contains_key(stand_in)
        };
        let state = self.changed.wait_while(self.state(), is_lacking);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let is_over = state.phase != Phase::Hashed;
        (!is_over).then(|| state.arrived.get(stand_in).copied().unwrap_or(*stand_in))
    }

    fn is_over(&self) -> bool {
        self.state().phase == Phase::Over
    }
}

/// Takes every file for one that is known, so that none is opened.
struct Unread<'a, 'b>(&'a Arriving<'b>);

impl Bodies for Unread<'_, '_> {
    fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
        let known = self.0.bodies.recall(path, stat);
        Some(known.unwrap_or_else(|| {
            let stand_in = stand_in(path);
            self.0.state().awaited.insert(stand_in);
            stand_in
        }))
    }

    fn store(&self, file: Option<&mut File>, size: u64) -> Result<(BodyId, u64), WriteError> {
        // That of a socket, which holds nothing.
        self.0.bodies.store(file, size)
    }

    fn remember(&self, _: &[u8], _: &FileStat, _: BodyId) {}
}

/// What stands for the file at a path while it is not known what it holds.
fn stand_in(path: &[u8]) -> BodyId {
    BodyId::of(path)
}

#[cfg(test)]
mod tests;
