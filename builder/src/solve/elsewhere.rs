//! Results that other machines have made, and those that they may have from here.

use std::collections::BTreeMap;

use wythe_store::action::LISTING;
use wythe_store::id::{CacheKey, ContentId, LayerId, hex};
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::origin::remember_announced;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_action::InlineRecord;
use wythe_store::tree::encode::content_id;

use super::{Known, Solver};
use crate::bases::BaseLayer;
use crate::built::{BuiltMount, BuiltStep, Maker};
use crate::demand::{Wiring, demand};
use crate::egress::forget_contacts;
use crate::error::{BuildCause, VertexError};
use crate::explain::durations::{duration_of, note_duration};
use crate::explain::notes::StepOutcome;
use crate::explain::origins::{note_origin, origin_of};
use crate::graph::{ImagePlan, VertexId};
use crate::mount_identity::portable_identity;
use crate::operation::Operation;
use crate::operation::facts::Fact;
use crate::operation::run::cache_of;

/// What layers of caches are called in messages about their blobs.
const NAME: &str = "cache/step";

impl Solver<'_> {
    /// Asks the caches for all that the store does not know and the images may need, at once.
    pub(super) fn ask_caches(&self, wiring: &Wiring, tops: &[usize]) -> Result<(), VertexError> {
        if self.env.caches.is_empty() {
            return Ok(());
        }
        let local = demand(wiring, tops, &mut |index| {
            let is_image = self.image(index).is_some();
            let fail = |cause| VertexError { vertex: Some(index), cause };
            match self.keys.get(&index) {
                _ if is_image => Ok(Some(())),
                Some(key) => self.remembered(key).map(|one| one.map(drop)).map_err(fail),
                None => Ok(None),
            }
        })?;
        let fresh = |index: &&usize| !self.stale[**index];
        let unknown = local.unknown.iter().rev().filter(fresh);
        let keys = unknown.filter_map(|index| self.keys.get(index).copied());
        let place = |index: &usize| self.place(&self.graph.vertices[*index]).shared();
        let places = local.unknown.iter().filter(|_| self.env.progress.asks_caches()).map(place);
        self.env.caches.ask(&keys.chain(places).collect::<Vec<CacheKey>>());
        Ok(())
    }

    /// The result of a vertex that a cache knows. Its bytes stay where they are until somebody needs
    /// them.
    pub(super) fn cached_elsewhere(
        &self,
        index: usize,
        key: CacheKey,
    ) -> Result<Option<Known>, BuildCause> {
        let Some(hit) = self.env.caches.hit(&key) else { return Ok(None) };
        let (action, store) = (hit.action, self.env.store);
        let mut batch = Batch::new();
        let id = remember_announced(store, &action, &mut batch)?;
        if !self.may_be(&id, &action.content)? {
            self.env.caches.distrust(&key);
            return Ok(None);
        }
        let reference: Reference = NAME.parse().expect("a literal that follows the grammar");
        let origin = BlobOrigin::of_cache(action.blob.clone(), reference, hit.layer);
        let layer = BaseLayer { id, diff_id: action.diff_id, origin };
        self.roots.announce_cached(layer, action.content);
        self.note(&mut batch, index, (id, action.created), Vec::new())?;
        self.note_outcome(&mut batch, index, StepOutcome::Made);
        note_duration(&mut batch, &key, action.duration);
        if let Some(origin) = &action.origin {
            note_origin(&mut batch, &key, action.created, origin);
        }
        // What is noted under this key is of a result from here.
        forget_contacts(&mut batch, &key);
        self.env.lease.commit(batch, Durability::Relaxed)?;
        Ok(Some((Some(id), action.created)))
    }

    /// Whether a layer can have these files, as far as it is here or another record speaks of it.
    fn may_be(&self, layer: &LayerId, content: &ContentId) -> Result<bool, BuildCause> {
        if self.roots.cached_content(layer).is_some_and(|known| known != *content) {
            return Ok(false);
        }
        let tree = self.env.store.layer(layer)?.and_then(|record| record.tree);
        let Some(tree) = tree else { return Ok(true) };
        let tree = self.env.store.tree(&tree)?;
        Ok(tree.is_none_or(|tree| content_id(&tree) == *content))
    }

    /// The layer of a cache, where its files are not here.
    pub(crate) fn away(&self, layer: &LayerId) -> Result<Option<BaseLayer>, BuildCause> {
        if self.roots.cached_content(layer).is_none() {
            return Ok(None);
        }
        let record = self.env.store.layer(layer)?;
        let is_here = record.is_some_and(|record| record.tree.is_some());
        Ok(if is_here { None } else { self.roots.foreign(layer) })
    }

    /// Records of the layers that the build put over the first ones of an image.
    pub(crate) fn inline_records(
        &self,
        plan: &ImagePlan,
        base_layers: usize,
    ) -> Result<Vec<InlineRecord>, BuildCause> {
        let mut records = Vec::new();
        let new = plan.instructions.iter().filter_map(|record| record.layer);
        for (layer, VertexId(index)) in (base_layers..).zip(new) {
            let Some(own) = self.own_layer(index) else { continue };
            let Some(record) = self.env.store.layer(&own)? else { continue };
            let content = match (self.roots.cached_content(&own), record.tree) {
                (Some(content), _) => content,
                (None, Some(tree)) => match self.env.store.tree(&tree)? {
                    Some(tree) => content_id(&tree),
                    None => continue,
                },
                (None, None) => continue,
            };
            let created = self.created(index);
            records.push(InlineRecord {
                key: hex(self.keys[&index].as_bytes()),
                layer,
                tar_size: record.tar_size.unwrap_or_default(),
                content: hex(content.as_bytes()),
                created: (created.seconds, created.nanos),
                step: self.graph.vertices[index].name.clone(),
            });
        }
        Ok(records)
    }

    /// What a vertex is made from, and the listings that are kept with its result.
    fn inputs_listed(&self, index: usize) -> Result<Vec<Fact>, BuildCause> {
        let kept = self.env.store.action(&self.keys[&index])?;
        let kept = kept.into_iter().flat_map(|action| action.inputs);
        let listed = kept.filter(|(name, _)| name.starts_with(LISTING));
        Ok(self.inputs_of(index)?.into_iter().chain(listed).collect())
    }

    /// The layer that a vertex came to, by its last name.
    fn own_layer(&self, index: usize) -> Option<LayerId> {
        let made = self.work.settled[index].get().map(|one| &one.chain);
        let chain = made.or_else(|| self.made(index).map(|made| &made.chain));
        chain.and_then(|chain| chain.last().copied())
    }

    /// What the steps of the build came to, but for those that caches know.
    pub(crate) fn steps(&self) -> Result<Vec<BuiltStep>, BuildCause> {
        let all = 0..self.graph.vertices.len();
        all.filter_map(|index| self.step(index).transpose()).collect()
    }

    /// What a step came to by now; nothing for a base, and for what caches know.
    fn step(&self, index: usize) -> Result<Option<BuiltStep>, BuildCause> {
        let vertex = &self.graph.vertices[index];
        let Some(layer) = self.own_layer(index) else { return Ok(None) };
        let is_base = matches!(vertex.operation, Operation::Base(_));
        if is_base || self.roots.cached_content(&layer).is_some() {
            return Ok(None);
        }
        Ok(Some(BuiltStep {
            key: self.keys[&index],
            name: vertex.name.clone(),
            layer,
            created: self.created(index),
            duration: duration_of(self.env.store, &self.keys[&index]),
            place: self.place(vertex).shared(),
            inputs: self.inputs_listed(index)?,
            in_image: self.is_exported(index),
            maker: self.maker(index)?,
        }))
    }

    /// Which build has made what a vertex came to.
    fn maker(&self, index: usize) -> Result<Maker, BuildCause> {
        if self.work.ran(index) {
            return Ok(Maker::Here);
        }
        let kept = self.env.store.action(&self.keys[&index])?;
        Ok(Maker::Other(kept.and_then(|action| origin_of(self.env.store, &action))))
    }

    /// Tells who wants it what a step came to, once its layer is sealed.
    pub(super) fn tell_result(&self, index: usize) -> Result<(), VertexError> {
        if self.env.results.is_wanted() {
            let step = self.step(index);
            let step = step.map_err(|cause| VertexError { vertex: Some(index), cause });
            if let Some(step) = step? {
                self.env.results.sealed(&step);
            }
        }
        Ok(())
    }

    /// The cache mounts of all steps.
    pub(crate) fn mounts(&self) -> Vec<BuiltMount> {
        let mut mounts: BTreeMap<(String, String), BuiltMount> = BTreeMap::new();
        for (index, vertex) in self.graph.vertices.iter().enumerate() {
            let Operation::Run(run) = &vertex.operation else { continue };
            let has_run = self.work.ran(index);
            for cache in run.mounts.iter().filter_map(cache_of) {
                let (identity, platform) = (portable_identity(cache), run.platform.to_string());
                let mount = mounts.entry((identity.clone(), platform.clone()));
                let id = cache.id.clone();
                let new = || BuiltMount { id, identity, platform, was_used: false };
                mount.or_insert_with(new).was_used |= has_run;
            }
        }
        mounts.into_values().collect()
    }
}
