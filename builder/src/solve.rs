//! From graph to layers: what is known is looked up, what is not is run.
//!
//! Every vertex has a key over how it is defined, which needs no bytes but the context's. A vertex
//! that is not found under it, and whose inputs had to run, is looked up once more over what those
//! inputs turned out to be, so that a step that made what it made before invalidates nothing. For that
//! their layers have to be sealed; so it is only done where an operation like it has a result.

mod below;
mod early;
mod elsewhere;
mod flow;
mod keys;
mod leaving;
mod listed;
mod past;
mod settle;
mod tasks;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use wythe_sandbox::Cancel;
use wythe_store::action::ActionRecord;
use wythe_store::id::{CacheKey, LayerId};
use wythe_store::image::save::SaveError;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::live::found::is_at_hand;
use wythe_store::timestamp::Timestamp;

use crate::bases::ImageBases;
use crate::demand::{Demand, Wiring, demand};
use crate::environment::Environment;
use crate::error::{BuildCause, VertexError};
use crate::execute::Execution;
use crate::execute::mounts::{cache_identities, clear_caches};
use crate::explain::KnownStages;
use crate::explain::durations::{duration_of, note_duration};
use crate::explain::notes::StepOutcome;
use crate::graph::Graph;
use crate::operation::facts::Fact;
use crate::operation::{BaseSource, Operation};
use crate::options::{Caching, Misses, Options};
use crate::progress::{Event, Hit, StepId};
use crate::root::{Chain, Roots};
use crate::shared_steps::Turn;
use crate::sources::{Look, Sources};

pub(crate) use self::flow::solve;
use self::keys::{operation_key, whole_key};
pub(crate) use self::work::Work;

/// What a vertex came to.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// All layers up to its own.
    pub(crate) chain: Chain,
    /// When its own was made.
    pub(crate) created: Timestamp,
}

/// What the solvers of a build have in common.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// Its switch stops the steps of this build, and so does the one it is below.
    pub(crate) env: Environment<'a>,
    /// The switch of whoever builds, which no failure throws.
    pub(crate) interrupt: &'a Cancel,
    pub(crate) options: &'a Options,
    pub(crate) graph: &'a Graph,
    pub(crate) bases: &'a ImageBases<'a>,
    pub(crate) roots: &'a Roots<'a>,
    pub(crate) work: &'a Work,
}

/// What is known of a graph by what was looked at, and how to make the rest.
pub(crate) struct Solver<'a> {
    pub(crate) env: Environment<'a>,
    pub(crate) interrupt: &'a Cancel,
    pub(crate) options: &'a Options,
    pub(crate) graph: &'a Graph,
    pub(crate) bases: &'a ImageBases<'a>,
    pub(crate) roots: &'a Roots<'a>,
    work: &'a Work,
    pub(crate) sources: Sources,
    /// Of the vertices whose sources were looked at.
    keys: BTreeMap<usize, CacheKey>,
    /// What each vertex's whole root is known as: its key, and that of everything below it.
    whole: BTreeMap<usize, CacheKey>,
    /// Vertices that are to run again, and those above them.
    stale: Vec<bool>,
    /// Vertices that are made by an earlier solver.
    begun: BTreeSet<usize>,
    /// What the images need, and what of it was known at the start.
    found: Demand<Known>,
    /// What of it was known at the start and is told when what lies below is made. It stands whatever
    /// a collection removes meanwhile: what such a vertex was made from is nowhere.
    deferred: BTreeMap<usize, Known>,
    /// Locked for as long as one is read.
    stages: Mutex<KnownStages>,
}

/// The layer of a known vertex, and when it was made. Bases have none of their own.
type Known = (Option<LayerId>, Timestamp);

impl<'a> Solver<'a> {
    fn over(ground: &Ground<'a>, sources: Sources, begun: BTreeSet<usize>) -> Self {
        let Ground { env, interrupt, options, graph, bases, roots, work } = *ground;
        let (keys, whole, stale, found) = Default::default();
        let (deferred, stages) = Default::default();
        Self {
            env,
            interrupt,
            options,
            graph,
            bases,
            roots,
            work,
            sources,
            keys,
            whole,
            stale,
            begun,
            found,
            deferred,
            stages,
        }
    }

    /// Prepares to solve a graph: computes the key of every vertex. Some have been begun.
    fn new(
        ground: &Ground<'a>,
        sources: Sources,
        begun: BTreeSet<usize>,
    ) -> Result<Self, VertexError> {
        let Ground { env, options, .. } = *ground;
        let mut solver = Self::over(ground, sources, begun);
        solver.look_up()?;
        if options.misses == Misses::Refuse
            && !(solver.found.unknown.is_empty() && solver.sources.confirm(env))
        {
            return Err(BuildCause::Uncached.into());
        }
        while solver.look_closer()? == Look::Scanned {
            solver.look_up()?;
        }
        solver.sources.remember(env)?;
        Ok(solver)
    }

    /// Gives every vertex its key, and finds out what is known.
    fn look_up(&mut self) -> Result<(), VertexError> {
        self.assign_keys(&|_| true)?;
        (self.found, self.deferred) = self.demand(&self.graph.wiring())?;
        Ok(())
    }

    /// Gives vertices their keys, but for those whose sources were not looked at.
    fn assign_keys(&mut self, is_looked_at: &dyn Fn(usize) -> bool) -> Result<(), VertexError> {
        let graph = self.graph;
        (self.keys, self.whole, self.stale) = Default::default();
        for (index, vertex) in graph.vertices.iter().enumerate() {
            let refreshed = vertex.caching == Caching::Refresh;
            let stale = refreshed || vertex.reads().any(|id| self.stale[id.0]);
            self.stale.push(stale);
            if is_looked_at(index) {
                let key = self.definition_key(vertex);
                let key = key.map_err(|cause| VertexError { vertex: Some(index), cause })?;
                let below = vertex.parent.map(|parent| self.whole[&parent.0]);
                self.keys.insert(index, key);
                self.whole.insert(index, whole_key(below, key));
            }
        }
        Ok(())
    }

    /// Looks at directories that are only taken to be as they were. Where the files of one are needed
    /// they are read before anything runs, and all keys follow from that reading: so a step gets the
    /// very files that its key speaks of. The others are compared with what they were.
    fn look_closer(&mut self) -> Result<Look, VertexError> {
        let mut look = Look::Stands;
        for &index in &self.found.unknown {
            let scanned = self.sources.scan_for(self.env, &self.graph.vertices[index]);
            if scanned.map_err(|cause| VertexError { vertex: Some(index), cause })? == Look::Scanned
            {
                look = Look::Scanned;
            }
        }
        match look {
            Look::Scanned => Ok(look),
            Look::Stands => Ok(self.sources.scan_changed(self.env)?),
        }
    }

    /// What the images need, and what of it is known.
    fn demand(
        &self,
        wiring: &Wiring,
    ) -> Result<(Demand<Known>, BTreeMap<usize, Known>), VertexError> {
        let tops = self.graph.images.iter().filter_map(|plan| plan.top);
        let tops: Vec<usize> = tops.map(|top| top.0).collect();
        self.ask_caches(wiring, &tops)?;
        let mut found = demand(wiring, &tops, &mut |index| {
            self.find(index).map_err(|cause| VertexError { vertex: Some(index), cause })
        })?;
        let deferred = defer(&mut found, wiring);
        Ok((found, deferred))
    }

    /// Empties the caches of all steps that are to run without, before any does: what one of them puts
    /// there is for the others. What a step relies on that is not to run without stays as it is.
    fn clear_caches(&self) -> Result<(), VertexError> {
        let relied = self.graph.vertices.iter().filter(|other| other.caching == Caching::Reuse);
        let relied = relied.filter_map(|other| match &other.operation {
            Operation::Run(run) => Some(cache_identities(run)),
            Operation::Base(_) | Operation::Copy(_) | Operation::Workdir(_) => None,
        });
        let relied: BTreeSet<Vec<u8>> = relied.flatten().collect();
        for &index in &self.found.unknown {
            let vertex = &self.graph.vertices[index];
            if let (Operation::Run(run), Caching::Refresh) = (&vertex.operation, vertex.caching) {
                clear_caches(self.env.store, run, &relied)
                    .map_err(|error| VertexError { vertex: Some(index), cause: error.into() })?;
            }
        }
        Ok(())
    }

    /// What a vertex came to, once it is solved.
    pub(crate) fn made(&self, index: usize) -> Option<&Made> {
        self.work.made.get(index)?.get()
    }

    /// The remembered result of a vertex. Bases are always known: their layers wait elsewhere.
    fn find(&self, index: usize) -> Result<Option<Known>, BuildCause> {
        let vertex = &self.graph.vertices[index];
        if matches!(
            vertex.operation,
            Operation::Base(BaseSource::Image { .. } | BaseSource::Layout { .. })
        ) {
            return Ok(Some((None, Timestamp::default())));
        }
        if self.stale[index] || self.begun.contains(&index) {
            return Ok(None);
        }
        let Some(key) = self.keys.get(&index) else { return Ok(None) };
        if self.is_beyond(index, key) {
            return Ok(None);
        }
        match self.remembered(key)? {
            Some(known) => Ok(Some(known)),
            None => self.cached_elsewhere(index, *key),
        }
    }

    fn remembered(&self, key: &CacheKey) -> Result<Option<Known>, BuildCause> {
        let Some(action) = self.env.store.action(key)? else { return Ok(None) };
        let Some(layer) = action.layer else { return Ok(None) };
        let at_hand = is_at_hand(self.env.store, &layer, self.env.idmap)?;
        Ok(at_hand.then_some((Some(layer), action.created)))
    }

    /// Takes over what is known, parents first, unless it was before.
    fn settle(&self) -> Result<(), VertexError> {
        let is_new = |(index, _): &(&usize, &Known)| self.made(**index).is_none();
        for (&index, &(layer, created)) in self.found.known.iter().filter(is_new) {
            self.put(index, layer, created)?;
            if !matches!(self.graph.vertices[index].operation, Operation::Base(_)) {
                let own = layer.filter(|own| self.roots.cached_content(own).is_some());
                self.cached(index, own.map_or(Hit::Definition, |_| Hit::Cache));
            }
        }
        Ok(())
    }

    fn cached(&self, index: usize, hit: Hit) {
        let (step, name) = (StepId(index + 1), &self.graph.vertices[index].name);
        let saved = duration_of(self.env.store, &self.keys[&index]);
        let told = (hit == Hit::Cache).then(|| self.env.caches.origin(&self.keys[&index]));
        let told = told.flatten();
        let origin = told.as_ref();
        self.env.progress.event(&Event::Cached { step, name, hit, saved, origin });
    }

    fn put(
        &self,
        index: usize,
        layer: Option<LayerId>,
        created: Timestamp,
    ) -> Result<(), VertexError> {
        let vertex = &self.graph.vertices[index];
        let mut chain = match &vertex.operation {
            Operation::Base(base) => self.base_chain(base),
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => self.below(vertex)?,
        };
        chain.extend(layer);
        // Every vertex is solved once.
        let _ = self.work.made[index].set(Made { chain, created });
        Ok(())
    }

    fn base_chain(&self, base: &BaseSource) -> Chain {
        self.bases.resolve(base).map(|found| self.roots.announce(&found.layers)).unwrap_or_default()
    }

    /// Runs a vertex that is not known by definition.
    fn run(&self, index: usize) -> Result<Known, VertexError> {
        let at = |cause: BuildCause| VertexError { vertex: Some(index), cause };
        if self.env.cancel.is_cancelled() {
            return Err(at(BuildCause::Cancelled));
        }
        let vertex = &self.graph.vertices[index];
        let turn = self.env.shared.map(|shared| shared.turn(self.keys[&index]));
        let is_made = turn.as_ref().is_some_and(Turn::is_made);
        let known = match self.deferred.get(&index) {
            Some(known) => Some(*known),
            None if self.stale[index] && !is_made => None,
            None => self.admitted(index, &self.keys[&index]).map_err(at)?,
        };
        if let Some(known) = known {
            let own = known.0.filter(|own| self.roots.cached_content(own).is_some());
            self.cached(index, own.map_or(Hit::Definition, |_| Hit::Cache));
            return Ok(known);
        }
        if vertex.caching == Caching::Reuse
            && let Some(known) = self.found_by_content(index)?
        {
            self.cached(index, Hit::Content);
            return Ok(known);
        }
        let stands_alone = vertex.operation.stands_alone();
        let below = if stands_alone { Chain::new() } else { self.below(vertex)? };
        let inputs = vertex.inputs.iter().map(|id| self.input(&vertex.operation, *id));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let place = turn.as_ref().map(Turn::place);
        let known = self.execute(index, &below, inputs).map_err(at)?;
        drop(place);
        if let Some(turn) = turn {
            turn.made();
        }
        Ok(known)
    }

    /// The result of the same operation over the same files, where there is one. Nothing is waited for
    /// where that operation has no result at all, as in a first build.
    fn found_by_content(&self, index: usize) -> Result<Option<Known>, VertexError> {
        let at = |cause: BuildCause| VertexError { vertex: Some(index), cause };
        let operation = &self.graph.vertices[index].operation;
        if self.remembered(&operation_key(operation)).map_err(at)?.is_none() {
            return Ok(None);
        }
        let key = self.content_key(index)?;
        let Some((Some(mut layer), created)) = self.admitted(index, &key).map_err(at)? else {
            return Ok(None);
        };
        if matches!(operation, Operation::Run(_)) {
            let below = self.settled_below(&self.graph.vertices[index])?.chain;
            layer = self.named_here(layer, &below).map_err(at)?;
        }
        let listed = self.listed(index)?;
        let mut batch = Batch::new();
        self.carry_notes(&mut batch, &key, &self.keys[&index]);
        self.remember(batch, index, (layer, created), listed).map_err(at)?;
        Ok(Some((Some(layer), created)))
    }

    /// Runs a vertex that nothing is known of, and keeps what it made.
    fn execute(
        &self,
        index: usize,
        below: &Chain,
        inputs: Vec<Chain>,
    ) -> Result<Known, BuildCause> {
        let vertex = &self.graph.vertices[index];
        let (step, name) = (StepId(index + 1), &vertex.name);
        self.env.progress.event(&Event::Started { step, name });
        self.explain(index)?;
        let started = Instant::now();
        let mut batch = Batch::new();
        let execution = self.execution(index, below, inputs);
        let outcome = execution.run(&mut batch);
        let elapsed = started.elapsed();
        let layer = match outcome {
            Ok(layer) => layer,
            Err(cause) if self.is_cut_off(&cause) => {
                self.env.progress.event(&Event::Cancelled { step, elapsed });
                return Err(BuildCause::Cancelled);
            }
            Err(cause) => {
                self.env.progress.event(&Event::Failed { step, elapsed });
                self.note_failure(index);
                return Err(cause);
            }
        };
        let created = self.env.clock.now();
        note_duration(&mut batch, &self.keys[&index], elapsed);
        self.note_egress(&mut batch, index, execution);
        self.remember(batch, index, (layer, created), Vec::new())?;
        self.work.note_run(index);
        self.env.progress.event(&Event::Finished { step, elapsed });
        Ok((Some(layer), created))
    }

    /// A step, with what it may use.
    fn execution<'s>(
        &'s self,
        index: usize,
        below: &'s Chain,
        inputs: Vec<Chain>,
    ) -> Execution<'s> {
        let vertex = &self.graph.vertices[index];
        let Self { env, interrupt, options, roots, ref sources, .. } = *self;
        let contacts = Mutex::default();
        Execution {
            env,
            interrupt,
            options,
            roots,
            sources,
            index,
            vertex,
            below,
            inputs,
            contacts,
        }
    }

    /// Whether a step ended because it was told to.
    fn is_cut_off(&self, cause: &BuildCause) -> bool {
        let fetching = matches!(cause, BuildCause::Save(SaveError::Transfer { .. }));
        matches!(cause, BuildCause::Cancelled) || fetching && self.env.cancel.is_cancelled()
    }

    /// Remembers the result of a step by how it is defined, with all that it put into the batch.
    fn remember(
        &self,
        mut batch: Batch,
        index: usize,
        result: (LayerId, Timestamp),
        listed: Vec<Fact>,
    ) -> Result<(), BuildCause> {
        self.note(&mut batch, index, result, listed)?;
        self.note_outcome(&mut batch, index, StepOutcome::Made);
        self.env.lease.commit(batch, Durability::Relaxed)?;
        Ok(())
    }

    /// Puts a result into the batch, with what it was made from.
    fn note(
        &self,
        batch: &mut Batch,
        index: usize,
        (layer, created): (LayerId, Timestamp),
        listed: Vec<Fact>,
    ) -> Result<(), BuildCause> {
        let mut inputs = self.inputs_of(index)?;
        inputs.extend(listed);
        let (key, layer) = (self.keys[&index], Some(layer));
        batch.put_action(&ActionRecord { key, layer, created, inputs });
        Ok(())
    }
}

/// Moves what is known above something that has to run to the things that run: its own result stands,
/// but the layers below it are not known before.
fn defer<T>(found: &mut Demand<T>, wiring: &Wiring) -> BTreeMap<usize, T> {
    let (known, mut deferred) = (found.known.keys().copied().collect::<Vec<_>>(), BTreeMap::new());
    for index in known {
        let parent = wiring.parents[index];
        if parent.is_some_and(|parent| found.unknown.contains(&parent)) {
            deferred.extend(found.known.remove(&index).map(|result| (index, result)));
            found.unknown.push(index);
        }
    }
    found.unknown.sort_unstable();
    deferred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_at_the_start_stays_known_above_what_runs() {
        // base(0) ← run(1) ← copy(3) from other(2), which is not asked for
        let parents = vec![None, Some(0), None, Some(1)];
        let wiring = Wiring { parents, inputs: vec![vec![], vec![0], vec![], vec![1, 2]] };
        let known = BTreeMap::from([(0, "base"), (3, "copy")]);
        let mut found = Demand { known, unknown: vec![1] };
        assert_eq!(defer(&mut found, &wiring), BTreeMap::from([(3, "copy")]));
        assert_eq!((found.known, found.unknown), (BTreeMap::from([(0, "base")]), vec![1, 3]));
    }
}
