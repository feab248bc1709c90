//! What steps made is read, sealed and named by what it is, beside the steps that run on it.
//!
//! A `RUN` hands on its directory, and the next step works on that at once. Meanwhile one thread reads
//! the directories in the order in which they were made; who needs a layer's files earlier reads them
//! itself. With that the result is remembered by content: by what the step read, so that a step that
//! reads the same again is not run; and by what it made, so that a step that made again what one made
//! before, but for times, is taken for that one, and what stands on it stands.

use std::sync::mpsc::Receiver;

use wythe_store::action::ActionRecord;
use wythe_store::digest::DiffId;
use wythe_store::id::{CacheKey, ContentId, LayerId};
use wythe_store::image::save::SaveError;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::live::naming::{Directory, name_layer, name_over};
use wythe_store::timestamp::Timestamp;

use super::Solver;
use super::keys::{bottom, operation_key, result_key, stacked};
use super::leaving::{targets_of, tell};
use super::tasks::Task;
use crate::environment::Environment;
use crate::error::{BuildCause, VertexError};
use crate::graph::{Vertex, VertexId};
use crate::operation::facts::Fact;
use crate::operation::{BaseSource, Operation};
use crate::options::Caching;
use crate::root::Chain;

/// What a vertex came to, with all names final.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// All layers up to its own.
    pub(crate) chain: Chain,
    /// What they contain, times left out.
    pub(crate) content: ContentId,
    /// When its own was made.
    pub(crate) created: Timestamp,
}

/// How the result of a vertex is used before it is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// Not at all: an earlier result may still take its place.
    Free,
    /// Something runs on it.
    Taken,
    /// An earlier result takes its place.
    Replaced,
}

/// Under which keys a result is remembered once it is settled.
struct Keys {
    content: CacheKey,
    operation: CacheKey,
    /// What is kept of the files that the step read, if it ran.
    listed: Vec<Fact>,
}

impl Solver<'_> {
    /// Settles what steps have made, in that order, until nothing more comes or one cannot be sealed,
    /// which ends the build.
    pub(super) fn settle_all(
        env: Environment<'_>,
        made: Receiver<(&Self, Task)>,
    ) -> Result<(), VertexError> {
        for (solver, task) in made {
            let is_over = env.cancel.is_cancelled();
            if is_over && !solver.is_made_for_others() {
                // What the steps made is remembered, and sealed by who needs it.
                return Ok(());
            }
            match solver.seal(task.vertex()) {
                Ok(()) => {}
                // Why it is over is what is told.
                Err(_) if is_over => {}
                Err(error) => {
                    env.cancel.cancel();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether others are to have what steps made before one failed. Nobody waits for that who has interrupted the
    /// build.
    fn is_made_for_others(&self) -> bool {
        self.env.results.is_wanted() && !self.interrupt.is_cancelled()
    }

    /// Settles a vertex, and computes what an image says of its layer, if it is in one. Nobody but
    /// images waits for that, and who wants results early.
    fn seal(&self, index: usize) -> Result<(), VertexError> {
        let settled = self.settled(index)?;
        let targets = targets_of(self.graph, index);
        if !targets.is_empty() {
            self.tell_of_files(&settled.chain, &targets);
            let sealed = self.roots.sealed(&settled.chain);
            let sealed = sealed.map_err(|cause| VertexError { vertex: Some(index), cause })?;
            tell(self.env, (index, &sealed), &targets);
        }
        self.tell_result(index)
    }

    /// What a vertex is with all names final; settles it where nobody has.
    pub(crate) fn settled(&self, index: usize) -> Result<&Settled, VertexError> {
        if let Some(settled) = self.work.settled[index].get() {
            return Ok(settled);
        }
        let vertex = &self.graph.vertices[index];
        let below = self.settled_below(vertex)?;
        // Before anything is claimed: others may be in the middle of what this asks for.
        let keys = self.keys_to_be(index)?;
        let _alone = self.work.settling.claim(index);
        if let Some(settled) = self.work.settled[index].get() {
            return Ok(settled);
        }
        let settled = self.settle_one(index, below, keys);
        let settled = settled.map_err(|cause| VertexError { vertex: Some(index), cause })?;
        Ok(self.work.settled[index].get_or_init(|| settled))
    }

    /// What lies below a vertex, with all names final.
    pub(super) fn settled_below(&self, vertex: &Vertex) -> Result<Settled, VertexError> {
        let nothing = || {
            let (chain, created) = (Chain::new(), Timestamp::default());
            Settled { chain, content: bottom([]), created }
        };
        vertex.parent.map_or_else(|| Ok(nothing()), |parent| self.settled(parent.0).cloned())
    }

    /// What lies below a vertex, for a step that runs on directories and waits for nothing.
    pub(super) fn below(&self, vertex: &Vertex) -> Result<Chain, VertexError> {
        vertex.parent.map_or_else(|| Ok(Chain::new()), |parent| self.as_made(parent))
    }

    /// What an input of a step is, as far as the step needs it.
    pub(super) fn input(&self, operation: &Operation, id: VertexId) -> Result<Chain, VertexError> {
        match operation {
            Operation::Run(_) => self.as_made(id),
            Operation::Base(_) | Operation::Copy(_) | Operation::Workdir(_) => {
                Ok(self.settled(id.0)?.chain.clone())
            }
        }
    }

    /// The layers of a vertex as they are now, which from now on they are.
    fn as_made(&self, VertexId(index): VertexId) -> Result<Chain, VertexError> {
        if let Some(settled) = self.work.settled[index].get() {
            return Ok(settled.chain.clone());
        }
        let mut uses = self.work.uses();
        if uses[index] == Use::Replaced {
            drop(uses);
            return Ok(self.settled(index)?.chain.clone());
        }
        uses[index] = Use::Taken;
        drop(uses);
        Ok(self.made(index).map(|made| made.chain.clone()).unwrap_or_default())
    }

    /// The keys of a vertex whose result is not remembered by content yet.
    fn keys_to_be(&self, index: usize) -> Result<Option<Keys>, VertexError> {
        let at = |cause: BuildCause| VertexError { vertex: Some(index), cause };
        let operation = &self.graph.vertices[index].operation;
        let ran = self.work.ran(index);
        let is_new = ran || !self.is_sealed(index).map_err(at)?;
        // What a known result was made from need not have been made in this build.
        let is_there = |id: VertexId| self.made(id.0).is_some();
        if !is_new || !self.graph.vertices[index].inputs.iter().all(|id| is_there(*id)) {
            return Ok(None);
        }
        let content = self.content_key(index)?;
        let listed = if ran { self.listed(index)? } else { Vec::new() };
        Ok(Some(Keys { content, operation: operation_key(operation), listed }))
    }

    /// Whether the files of a vertex's own layer are known; a base that is an image has none.
    fn is_sealed(&self, index: usize) -> Result<bool, BuildCause> {
        if self.image(index).is_some() {
            return Ok(true);
        }
        let own = self.made(index).and_then(|made| made.chain.last().copied());
        if own.is_some_and(|own| self.roots.cached_content(&own).is_some()) {
            return Ok(true);
        }
        let record = own.map(|own| self.env.store.layer(&own)).transpose()?.flatten();
        Ok(record.is_some_and(|record| record.tree.is_some()))
    }

    /// The base that a vertex is, where that is an image.
    pub(super) fn image(&self, index: usize) -> Option<&BaseSource> {
        match &self.graph.vertices[index].operation {
            Operation::Base(base @ (BaseSource::Image { .. } | BaseSource::Layout { .. })) => {
                Some(base)
            }
            Operation::Base(_) | Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => {
                None
            }
        }
    }

    fn settle_one(
        &self,
        index: usize,
        below: Settled,
        keys: Option<Keys>,
    ) -> Result<Settled, BuildCause> {
        let made = self.made(index).ok_or(BuildCause::Cancelled)?;
        let (mut chain, created) = (made.chain.clone(), made.created);
        if let Some(base) = self.image(index) {
            let content = bottom(self.layers_of(base)?);
            return Ok(Settled { chain, content, created });
        }
        let Some(own) = chain.pop() else { return Ok(below) };
        if let Some(content) = self.roots.cached_content(&own) {
            let mut chain = below.chain;
            chain.push(own);
            let content = stacked(&below.content, &content);
            return Ok(Settled { chain, content, created });
        }
        let (record, content) = self.roots.settle(&own, &below.chain)?;
        let mut batch = Batch::new();
        batch.put_layer(&record);
        let (mut layer, mut at) = (own, created);
        if let Some(keys) = keys {
            let result = result_key(&below.content, &content);
            if matches!(self.graph.vertices[index].operation, Operation::Run(_)) {
                let place = (&below.chain[..], Directory::Here);
                layer = name_layer(self.env.lease, &record, place, &mut batch)?;
                (layer, at) = self.earlier(index, result, &below.chain)?.unwrap_or((layer, at));
            }
            if layer != own || !keys.listed.is_empty() {
                self.note(&mut batch, index, (layer, at), keys.listed)?;
            }
            self.carry_notes(&mut batch, &self.keys[&index], &keys.content);
            for key in [keys.content, keys.operation, result] {
                let (inputs, layer) = (Vec::new(), Some(layer));
                batch.put_action(&ActionRecord { key, layer, created: at, inputs });
            }
        }
        self.env.lease.commit(batch, Durability::Relaxed)?;
        let mut chain = below.chain;
        chain.push(layer);
        Ok(Settled { chain, content: stacked(&below.content, &content), created: at })
    }

    /// The earlier result that takes the place of one with the same content, made here over the same
    /// layers, that nothing runs on yet.
    fn earlier(
        &self,
        index: usize,
        result: CacheKey,
        below: &Chain,
    ) -> Result<Option<(LayerId, Timestamp)>, BuildCause> {
        if self.graph.vertices[index].caching == Caching::Refresh {
            return Ok(None);
        }
        let Some((Some(layer), created)) = self.remembered(&result)? else { return Ok(None) };
        let tree = self.env.store.layer(&layer)?.and_then(|record| record.tree);
        if tree.is_none_or(|tree| name_over(&tree, below) != layer) {
            return Ok(None);
        }
        let mut uses = self.work.uses();
        if uses[index] == Use::Taken {
            return Ok(None);
        }
        uses[index] = Use::Replaced;
        Ok(Some((layer, created)))
    }

    /// The name over `below` of a layer that was made over layers with the same content.
    pub(super) fn named_here(&self, layer: LayerId, below: &Chain) -> Result<LayerId, BuildCause> {
        let Some(record) = self.env.store.layer(&layer)? else { return Ok(layer) };
        let mut batch = Batch::new();
        let place = (&below[..], Directory::Elsewhere);
        let named = name_layer(self.env.lease, &record, place, &mut batch)?;
        if named != layer {
            self.env.lease.commit(batch, Durability::Relaxed)?;
        }
        Ok(named)
    }

    /// The layers of a base, by what is in them.
    fn layers_of(&self, base: &BaseSource) -> Result<Vec<DiffId>, BuildCause> {
        let found = self.bases.resolve(base).map_err(SaveError::Source)?;
        Ok(found.layers.iter().map(|layer| layer.diff_id).collect())
    }

    /// The layers of an image with final names, sealed where they were not. Of one that is known
    /// entirely nothing is read.
    pub(crate) fn image_chain(&self, top: VertexId) -> Result<Chain, VertexError> {
        let mut at = Some(top);
        while let Some(VertexId(index)) = at {
            let fail = |cause| VertexError { vertex: Some(index), cause };
            let is_known =
                self.work.settled[index].get().is_none() && self.is_sealed(index).map_err(fail)?;
            if !is_known || self.work.ran(index) {
                return Ok(self.settled(top.0)?.chain.clone());
            }
            at = self.graph.vertices[index].parent;
        }
        Ok(self.made(top.0).map(|made| made.chain.clone()).unwrap_or_default())
    }

    /// When the layer of a vertex was made.
    pub(crate) fn created(&self, index: usize) -> Timestamp {
        let settled = self.work.settled[index].get().map(|settled| settled.created);
        let made = || self.made(index).map(|made| made.created);
        settled.or_else(made).unwrap_or_default()
    }
}
