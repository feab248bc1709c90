//! Whoever sends layers ahead is told of them, and of the targets whose images they are of.

use wythe_store::digest::DiffId;
use wythe_store::layers::LayerRecord;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::{Compression, MediaType};

use super::{Ground, Solver};
use crate::bases::BaseLayer;
use crate::environment::Environment;
use crate::graph::{Graph, ImagePlan, VertexId};
use crate::operation::Operation;
use crate::progress::{Event, StepId};
use crate::root::Chain;

impl Solver<'_> {
    /// Tells of the layers that results from before have in images.
    pub(super) fn tell_of_all_known(&self) {
        self.found.known.keys().for_each(|index| self.tell_of_known(*index));
    }

    /// Tells of the layer that a result from before has in an image, where that was made here: it can leave
    /// while the steps above it run.
    fn tell_of_known(&self, index: usize) {
        let (own, targets) = (self.made(index), targets_of(self.graph, index));
        let own = own.and_then(|made| made.chain.last().copied());
        let own = own.filter(|_| !targets.is_empty() && self.image(index).is_none());
        // Where it cannot be read, the end of the build says so.
        if let Some(record) = own.and_then(|own| self.env.store.layer(&own).ok().flatten()) {
            tell(self.env, (index, &record), &targets);
        }
        // Where that cannot be read, the end of the build says so.
        drop(self.tell_result(index));
    }

    /// Tells of the files of the layer at the top of a chain, where it takes a while to say what they are.
    pub(super) fn tell_of_files(&self, chain: &Chain, targets: &[&str]) {
        let own = chain.last().and_then(|own| self.env.store.layer(own).ok().flatten());
        // Where it cannot be read, whoever seals it says so.
        if let Some(record) = own.filter(|one| one.tree.is_some() && one.diff_id.is_none()) {
            self.env.layers.made(record.id, targets);
        }
    }

    /// Whether a vertex's layer is one of an image.
    pub(super) fn is_exported(&self, index: usize) -> bool {
        !targets_of(self.graph, index).is_empty()
    }
}

/// Tells of the layers that images have of their bases, before steps run.
pub(super) fn tell_of_bases(ground: &Ground<'_>) {
    let Ground { env, graph, bases, .. } = *ground;
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let Operation::Base(base) = &vertex.operation else { continue };
        let targets = targets_on(graph, index);
        if targets.is_empty() {
            continue;
        }
        // Where it cannot be resolved, the build says so.
        for layer in bases.resolve(base).iter().flat_map(|found| &found.layers) {
            match built_here(env, layer) {
                // It is compressed when it leaves.
                Some(record) => drop(tell_layer(env, &record, &targets)),
                None => env.layers.base(&layer.origin, &targets),
            }
        }
    }
}

/// The record of a layer of a base that was built here, and not pulled.
fn built_here(env: Environment<'_>, layer: &BaseLayer) -> Option<LayerRecord> {
    let descriptor = &layer.origin.descriptor;
    let is_plain = descriptor.media_type.layer_compression() == Some(Compression::None);
    // Where the store cannot be read, the build says so.
    let is_pulled = || env.store.foreign_blob_unverified(&descriptor.digest).ok()?;
    let record = env.store.layer(&layer.id).ok()?.filter(|record| record.tree.is_some());
    record.filter(|_| is_plain && is_pulled().is_none())
}

/// Tells of the layer that a vertex has in images.
pub(super) fn tell(env: Environment<'_>, (index, record): (usize, &LayerRecord), targets: &[&str]) {
    if let Some(Descriptor { digest, size, .. }) = tell_layer(env, record, targets) {
        let (step, diff_id) = (StepId(index + 1), DiffId(digest));
        env.progress.event(&Event::Layer { step, diff_id, size });
    }
}

/// Hands over a layer, if it is known what it is.
fn tell_layer(env: Environment<'_>, record: &LayerRecord, targets: &[&str]) -> Option<Descriptor> {
    record.tree?;
    let layer = Descriptor::new(MediaType::LAYER, record.diff_id?.0, record.tar_size?);
    env.layers.sealed(record.id, &layer, targets);
    Some(layer)
}

/// The targets of the images that a vertex's own layer is one of.
pub(super) fn targets_of(graph: &Graph, index: usize) -> Vec<&str> {
    let layer = Some(VertexId(index));
    targets_where(graph, |plan| plan.instructions.iter().any(|record| record.layer == layer))
}

/// The targets of the images that stand on a base.
fn targets_on(graph: &Graph, base: usize) -> Vec<&str> {
    targets_where(graph, |plan| {
        let mut at = plan.top;
        while let Some(parent) = at.and_then(|id| graph.vertex(id).parent) {
            at = Some(parent);
        }
        at == Some(VertexId(base))
    })
}

fn targets_where(graph: &Graph, is_one: impl Fn(&ImagePlan) -> bool) -> Vec<&str> {
    let plans = graph.images.iter().filter(|plan| is_one(plan));
    let mut targets: Vec<&str> = plans.map(|plan| &*plan.target).collect();
    // The platforms of a target follow each other.
    targets.dedup();
    targets
}
