//! Which schedules to try: all with one deviation before any with two.
//!
//! Most faults need few switches: a search by their number finds the short ones first, and the
//! schedule that fails is one that can be understood.

use std::collections::VecDeque;

use crate::sim::schedule::stage::{Run, Weight};
use crate::sim::schedule::{Deviation, Schedule};

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most deviations of a schedule.
    pub deviations: usize,
    /// Before which operations another actor may go first, by how many deviations there are yet:
    /// the first is tried before these.
    pub first: Weight,
    /// All later ones before these.
    pub later: Weight,
    /// Whether actors die.
    pub kills: Kills,
    /// How many schedules at most; of those beyond, each is tried with equal chance.
    pub most: usize,
}

/// Whether actors are killed too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kills {
    /// Everybody lives.
    None,
    /// At every [heavy](Weight::Heavy) operation.
    Heavy,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    bounds: Bounds,
    names: Vec<&'static str>,
    pending: VecDeque<Schedule>,
    n_tried: usize,
    seed: u64,
}

impl Search {
    /// A search over the schedules of actors of these names.
    pub fn new(names: Vec<&'static str>, bounds: Bounds, seed: u64) -> Self {
        let pending = VecDeque::from([Schedule::default()]);
        Self { bounds, names, pending, n_tried: 0, seed: seed | 1 }
    }

    /// The next schedule to try.
    pub fn next_schedule(&mut self) -> Option<Schedule> {
        if self.n_tried == self.bounds.most {
            return None;
        }
        self.n_tried += 1;
        // Where there is no time for all of a depth, some of all places of it are tried.
        if self.pending.len() > self.bounds.most - self.n_tried {
            let at = usize::try_from(self.throw() % self.pending.len() as u64).unwrap_or(0);
            self.pending.swap(0, at);
        }
        self.pending.pop_front()
    }

    /// How many have been tried.
    pub fn n_tried(&self) -> usize {
        self.n_tried
    }

    /// Adds what a run has shown to be possible: one more deviation after the last.
    pub fn learn(&mut self, schedule: &Schedule, run: &Run) {
        let depth = schedule.deviations.len();
        if depth == self.bounds.deviations {
            return;
        }
        let least = if depth == 0 { self.bounds.first } else { self.bounds.later };
        let last = schedule.deviations.last().map(Deviation::place);
        let after =
            last.and_then(|last| run.moments.iter().position(|moment| moment.place == *last));
        let from = after.map_or(0, |at| at + 1);
        for moment in run.moments[from..].iter().filter(|moment| moment.weight >= least) {
            for other in &moment.others {
                let to = self.names[*other].to_owned();
                self.pending.push_back(schedule.then(Deviation::Switch(moment.place.clone(), to)));
            }
            if moment.weight == Weight::Heavy && self.bounds.kills == Kills::Heavy {
                self.pending.push_back(schedule.then(Deviation::Kill(moment.place.clone())));
            }
        }
    }

    /// xorshift64: variety is enough.
    fn throw(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed >> 11
    }
}
