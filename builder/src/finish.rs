//! The end of a build: layers are sealed, documents written.

use std::collections::BTreeMap;

use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::save::SaveError;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layers::LayerRecord;
use wythe_store::live::seal::SealError;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document;
use wythe_store::oci::index::Index;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_action::INLINE_FIELD;
use wythe_store::portable_document::PortableDocument;
use wythe_store::timestamp::Timestamp;

use crate::assemble::{MadeLayer, configuration, manifest};
use crate::built::{Built, BuiltTarget, Image};
use crate::environment::Environment;
use crate::error::{BuildCause, VertexError};
use crate::graph::{ImagePlan, VertexId};
use crate::operation::{BaseSource, Operation};
use crate::options::{InlineCache, Options};
use crate::origin::Material;
use crate::root::Chain;
use crate::solve::Solver;

/// Puts configurations and manifests together and commits them.
///
/// # Errors
///
/// At the vertex whose layer cannot be written, where one is to blame.
pub(crate) fn finish(solver: &Solver<'_>, options: &Options) -> Result<Built, VertexError> {
    let plans = solver.graph.images.chunk_by(|one, next| one.target == next.target);
    let targets = plans.map(|plans| target(solver, options, plans)).collect::<Result<_, _>>()?;
    solver.env.lease.commit(Batch::new(), Durability::Relaxed).map_err(BuildCause::from)?;
    let documents = documents(solver)?;
    Ok(Built { targets, steps: solver.steps()?, mounts: solver.mounts(), documents })
}

/// The documents of base images that others may want; what a tag stands for is not among them, since it is asked for
/// by its name.
fn documents(solver: &Solver<'_>) -> Result<Vec<PortableDocument>, BuildCause> {
    if !solver.env.results.is_wanted() {
        return Ok(Vec::new());
    }
    let (mut documents, now) = (BTreeMap::new(), solver.env.clock.now());
    for vertex in &solver.graph.vertices {
        let Operation::Base(base @ BaseSource::Image { reference, .. }) = &vertex.operation else {
            continue;
        };
        let found = solver.bases.resolve(base).map_err(SaveError::Source)?;
        let is_wanted = |digest| reference.digest().is_some() || digest != found.root;
        for (descriptor, bytes) in found.documents.iter().filter(|one| is_wanted(one.0.digest)) {
            let kept = PortableDocument::new(descriptor.media_type.clone(), bytes, now);
            documents.extend(kept.map(|kept| (descriptor.digest, kept)));
        }
    }
    Ok(documents.into_values().collect())
}

/// The images of a target, one for each platform.
fn target(
    solver: &Solver<'_>,
    options: &Options,
    plans: &[ImagePlan],
) -> Result<BuiltTarget, VertexError> {
    let images = plans.iter().map(|plan| image(solver, options, plan));
    let images: Vec<Image> = images.collect::<Result<_, _>>()?;
    let root = match images.as_slice() {
        [only] => only.manifest.clone(),
        several => {
            let index = Index::new(several.iter().map(entry).collect());
            put(solver.env, MediaType::INDEX, &index)?
        }
    };
    let name = plans.first().map(|plan| plan.target.clone()).unwrap_or_default();
    let materials = materials(solver, plans)?;
    // In the order of the graph.
    let below = solver.graph.below(plans.iter().filter_map(|plan| plan.top));
    let egress = below.into_iter().filter_map(|id| solver.egress(id.0)).collect();
    Ok(BuiltTarget { name, root, images, materials, egress })
}

/// The images that the stages of a target start from, in the order of the graph.
fn materials(solver: &Solver<'_>, plans: &[ImagePlan]) -> Result<Vec<Material>, BuildCause> {
    let mut materials = Vec::new();
    for id in solver.graph.below(plans.iter().filter_map(|plan| plan.top)) {
        let operation = &solver.graph.vertex(id).operation;
        let Operation::Base(base @ BaseSource::Image { reference, platform }) = operation else {
            continue;
        };
        let digest = solver.bases.resolve(base).map_err(SaveError::Source)?.root;
        let (reference, platform) = (reference.clone(), platform.clone());
        materials.push(Material { reference, platform, digest });
    }
    Ok(materials)
}

fn entry(image: &Image) -> Descriptor {
    Descriptor { platform: Some(image.platform.clone()), ..image.manifest.clone() }
}

fn image(solver: &Solver<'_>, options: &Options, plan: &ImagePlan) -> Result<Image, VertexError> {
    let env = solver.env;
    let sealed = Sealed::of(solver, plan)?;
    let mut config =
        configuration(plan, &sealed.made, now(env, plan.epoch)).map_err(BuildCause::from)?;
    if options.inline_cache == InlineCache::Carried {
        let records = serde_json::json!(solver.inline_records(plan, sealed.base_layers)?);
        config.other.insert(INLINE_FIELD.to_owned(), records);
    }
    let config = put(env, MediaType::CONFIG, &config)?;
    let manifest = manifest(config.clone(), sealed.descriptors, &options.annotations);
    let manifest = put(env, MediaType::MANIFEST, &manifest)?;
    let Sealed { base_layers, origins, .. } = sealed;
    let platform = plan.platform.clone();
    Ok(Image { manifest, config, platform, base_layers, origins, epoch: plan.epoch })
}

fn put(
    env: Environment<'_>,
    media_type: MediaType,
    document: &impl Document,
) -> Result<Descriptor, BuildCause> {
    let bytes = document.to_bytes();
    env.lease.put_document(&bytes)?;
    Ok(Descriptor::of(media_type, &bytes))
}

fn now(env: Environment<'_>, epoch: Option<i64>) -> Timestamp {
    epoch.map_or_else(|| env.clock.now(), Timestamp::from_seconds)
}

/// The layers of an image.
struct Sealed {
    descriptors: Vec<Descriptor>,
    made: BTreeMap<VertexId, MadeLayer>,
    /// How many come from the base, and where they can be fetched.
    base_layers: usize,
    origins: Vec<BlobOrigin>,
}

impl Sealed {
    fn of(solver: &Solver<'_>, plan: &ImagePlan) -> Result<Self, VertexError> {
        let chain = plan.top.map(|top| solver.image_chain(top)).transpose()?.unwrap_or_default();
        let new: Vec<_> = plan.instructions.iter().filter_map(|record| record.layer).collect();
        let base_layers = chain.len() - new.len().min(chain.len());
        let (descriptors, made) = (Vec::new(), BTreeMap::new());
        let mut sealed = Self { descriptors, made, base_layers, origins: Vec::new() };
        sealed.base(solver, &chain)?;
        sealed.new_layers(solver, &chain, &new)?;
        Ok(sealed)
    }

    fn base(&mut self, solver: &Solver<'_>, chain: &Chain) -> Result<(), BuildCause> {
        for (at, layer) in chain[..self.base_layers].iter().enumerate() {
            self.descriptors.push(match solver.roots.foreign(layer) {
                Some(base) => {
                    self.origins.push(base.origin.clone());
                    base.origin.descriptor
                }
                None => uncompressed(&solver.roots.sealed(&chain[..=at])?)?,
            });
        }
        Ok(())
    }

    fn new_layers(
        &mut self,
        solver: &Solver<'_>,
        chain: &Chain,
        new: &[VertexId],
    ) -> Result<(), VertexError> {
        let tops = self.base_layers + 1..=chain.len();
        for (vertex, end) in new.iter().zip(tops) {
            let fail = |cause| VertexError { vertex: Some(vertex.0), cause };
            let created = solver.created(vertex.0);
            if let Some(away) = solver.away(&chain[end - 1]).map_err(fail)? {
                let diff_id = away.diff_id;
                self.descriptors.push(away.origin.descriptor.clone());
                self.origins.push(away.origin);
                self.made.insert(*vertex, MadeLayer { diff_id, created });
                continue;
            }
            let record = solver.roots.sealed(&chain[..end]).map_err(fail)?;
            self.descriptors.push(uncompressed(&record).map_err(fail)?);
            if let Some(diff_id) = record.diff_id {
                self.made.insert(*vertex, MadeLayer { diff_id, created });
            }
        }
        Ok(())
    }
}

fn uncompressed(record: &LayerRecord) -> Result<Descriptor, BuildCause> {
    match (record.diff_id, record.tar_size) {
        (Some(diff_id), Some(size)) => Ok(Descriptor::new(MediaType::LAYER, diff_id.0, size)),
        _ => Err(BuildCause::Seal(SealError::Gone)),
    }
}
