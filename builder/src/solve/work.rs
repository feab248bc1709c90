//! What a build has made so far, whoever of its solvers has made it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::settle::{Settled, Use};
use super::{Known, Made};
use wythe_store::claims::Claims;

/// What became of the vertices of a graph.
pub(crate) struct Work {
    pub(super) made: Vec<OnceLock<Made>>,
    /// Layers that were made before what is below them.
    pub(super) loose: Vec<OnceLock<Known>>,
    /// Vertices that ran in this build.
    ran: Vec<AtomicBool>,
    /// What vertices are called once their layers are sealed.
    pub(super) settled: Vec<OnceLock<Settled>>,
    pub(super) settling: Claims<usize>,
    /// Which results are used as they were made.
    uses: Mutex<Vec<Use>>,
}

impl Work {
    /// Nothing is done yet of a graph of so many vertices.
    pub(crate) fn new(vertices: usize) -> Self {
        let each = 0..vertices;
        Self {
            made: each.clone().map(|_| OnceLock::new()).collect(),
            loose: each.clone().map(|_| OnceLock::new()).collect(),
            ran: each.clone().map(|_| AtomicBool::new(false)).collect(),
            settled: each.map(|_| OnceLock::new()).collect(),
            settling: Claims::default(),
            uses: Mutex::new(vec![Use::Free; vertices]),
        }
    }

    /// Whether a vertex ran in this build.
    pub(super) fn ran(&self, index: usize) -> bool {
        self.ran[index].load(Ordering::Relaxed)
    }

    /// Whether any did.
    pub(super) fn any_ran(&self) -> bool {
        (0..self.ran.len()).any(|index| self.ran(index))
    }

    /// Notes that a vertex ran.
    pub(super) fn note_run(&self, index: usize) {
        self.ran[index].store(true, Ordering::Relaxed);
    }

    pub(super) fn uses(&self) -> MutexGuard<'_, Vec<Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
