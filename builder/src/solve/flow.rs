//! The flow of a build: what can begin begins, what has to be looked at is, and then the rest is made.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use super::leaving::tell_of_bases;
use super::tasks::Task;
use super::{Ground, Solver};
use crate::error::{BuildCause, VertexError};
use crate::explain::notes::forget_old;
use crate::options::{Options, STEPS_AT_ONCE};
use crate::progress::Event;
use crate::schedule::Schedule;
use crate::sources::Sources;

/// A task, and who does it.
type Assigned<'s, 'a> = (&'s Solver<'a>, Task);

/// A build under way.
struct Flow<'s, 'a> {
    ground: Ground<'a>,
    early: &'s Solver<'a>,
    /// The solver of the whole graph, once all was looked at; nothing in it where that failed.
    whole: &'s OnceLock<Option<Solver<'a>>>,
    schedule: Schedule<Assigned<'s, 'a>, VertexError>,
}

/// Sees to it that nobody waits in vain once all was looked at, however that ended.
struct EndOfLook<'f, 's, 'a>(&'f Flow<'s, 'a>);

impl Drop for EndOfLook<'_, '_, '_> {
    fn drop(&mut self) {
        self.0.whole.get_or_init(|| None);
        self.0.schedule.close();
    }
}

/// Makes what the images need. What `look` finds is needed by copies and mounts of it, and by what stands
/// on those; all else begins meanwhile.
///
/// # Errors
///
/// Why `look` failed, or else the first step that did.
pub(crate) fn solve<'a>(
    ground: &Ground<'a>,
    look: impl FnOnce() -> Result<Sources, VertexError>,
) -> Result<Solver<'a>, VertexError> {
    tell_of_bases(ground);
    let (early, whole) = (Solver::early(ground)?, OnceLock::new());
    let flow =
        Flow { ground: *ground, early: &early, whole: &whole, schedule: Schedule::default() };
    let looked = flow.run(look);
    drop(flow);
    looked?;
    if ground.work.any_ran() {
        forget_old(ground.env.store, ground.env.lease).map_err(BuildCause::from)?;
    }
    whole.into_inner().flatten().ok_or_else(|| BuildCause::Cancelled.into())
}

impl<'s, 'a> Flow<'s, 'a> {
    fn run(&self, look: impl FnOnce() -> Result<Sources, VertexError>) -> Result<(), VertexError> {
        let (made, to_settle) = channel();
        let mut ends = BTreeMap::new();
        let begun = self.begin(&mut ends)?;
        let (looked, steps, settled) = std::thread::scope(|scope| {
            let settling = scope.spawn(|| Solver::settle_all(self.ground.env, to_settle));
            let made_early = made.clone();
            let early = begun.then(|| scope.spawn(move || self.steps(&made_early)));
            let looked = self.look(look, &mut ends);
            let steps = match early {
                Some(early) => {
                    early.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }
                None => self.steps(&made),
            };
            drop(made);
            let settled = settling.join();
            (looked, steps, settled.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        first_reason([looked, steps, settled])
    }

    /// Begins with what can begin now; whether there is anything.
    fn begin(&self, ends: &mut BTreeMap<usize, usize>) -> Result<bool, VertexError> {
        let begun = !self.early.found.unknown.is_empty();
        if begun {
            self.early.settle()?;
            self.schedule.add(self.early.tasks(ends));
        }
        Ok(begun)
    }

    /// Looks at what has to be looked at, and plans the rest.
    fn look(
        &self,
        look: impl FnOnce() -> Result<Sources, VertexError>,
        ends: &mut BTreeMap<usize, usize>,
    ) -> Result<(), VertexError> {
        let _end = EndOfLook(self);
        let begun = self.early.found.unknown.iter().copied().collect();
        let looked = look().and_then(|sources| Solver::new(&self.ground, sources, begun));
        let planned = looked.and_then(|solver| {
            let solver = self.whole.get_or_init(|| Some(solver));
            self.plan(solver.as_ref(), ends)
        });
        if planned.is_err() {
            self.ground.env.cancel.cancel();
        }
        planned
    }

    fn plan(
        &self,
        solver: Option<&'s Solver<'a>>,
        ends: &mut BTreeMap<usize, usize>,
    ) -> Result<(), VertexError> {
        let Some(solver) = solver else { return Ok(()) };
        let steps = solver.found.known.len() + solver.found.unknown.len();
        let progress = self.ground.env.progress;
        progress.event(&Event::Graph { steps: &self.ground.graph.outline() });
        progress.event(&Event::Planned { steps });
        solver.settle()?;
        if solver.begun.is_empty() {
            solver.clear_caches()?;
        }
        self.schedule.add(solver.tasks(ends));
        solver.tell_of_all_known();
        Ok(())
    }

    /// Does what is planned.
    fn steps(&self, made: &Sender<Assigned<'s, 'a>>) -> Result<(), VertexError> {
        let step = |(solver, task): Assigned<'s, 'a>| match solver.task(task, made) {
            // What turned out not to be needed may fail.
            Err(_) if !self.is_needed(task.vertex()) => Ok(()),
            outcome => outcome,
        };
        let stop = || self.ground.env.cancel.cancel();
        self.schedule.run(jobs(self.ground.options), &step, &stop)
    }

    /// Whether the images need a vertex, which is known once all was looked at.
    fn is_needed(&self, index: usize) -> bool {
        self.whole.wait().as_ref().is_none_or(|solver| solver.found.unknown.contains(&index))
    }
}

/// The first of the failures that is a reason: that something was stopped is none where there is another.
fn first_reason(outcomes: [Result<(), VertexError>; 3]) -> Result<(), VertexError> {
    let mut failures: Vec<VertexError> = outcomes.into_iter().filter_map(Result::err).collect();
    failures.sort_by_key(|failure| matches!(failure.cause, BuildCause::Cancelled));
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// Steps mostly wait, so more of them than processors make a build faster.
fn jobs(options: &Options) -> NonZeroUsize {
    options.jobs.unwrap_or(STEPS_AT_ONCE)
}
