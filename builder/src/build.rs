//! A whole build: text, tree, graph, layers, image. One stage after the other, none reaching back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use wythe_dockerfile::diagnostic::Severity;
use wythe_dockerfile::line::decode;
use wythe_dockerfile::parse::{Parsed, parse};
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::timestamp::Timestamp;

use crate::assemble::{MadeLayer, configuration, manifest};
use crate::bases::ImageBases;
use crate::environment::Environment;
use crate::error::{BuildCause, BuildError, Place};
use crate::graph::Graph;
use crate::lower::{Lowered, Surroundings, lower};
use crate::options::Options;
use crate::progress::Event;
use crate::remote::gather::Remotes;
use crate::solve::{Solver, VertexError};
use crate::sources::{MainContext, Sources};

/// What is built: a Dockerfile and the directory its paths mean.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The Dockerfile's bytes.
    pub dockerfile: Vec<u8>,
    /// What messages call it.
    pub name: String,
    /// Where it was read from, if it was a file: an ignore file may lie beside it.
    pub path: Option<PathBuf>,
    /// The main context; a build without one can copy nothing from it.
    pub context: Option<PathBuf>,
}

impl Input {
    /// The Dockerfile at `path`, with `context` as its context.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn read(path: &Path, context: &Path) -> std::io::Result<Self> {
        let name = path.file_name().map_or("Dockerfile".into(), |name| name.to_string_lossy());
        Ok(Self {
            dockerfile: std::fs::read(path)?,
            name: name.into_owned(),
            path: Some(path.to_owned()),
            context: Some(context.to_owned()),
        })
    }
}

/// An image that was built. Its layers and documents are in the store.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest, whose new layers are listed uncompressed.
    pub manifest: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// What it is for.
    pub platform: Platform,
    /// How many of its layers come from the base image.
    pub base_layers: usize,
    /// `SOURCE_DATE_EPOCH`, where it was given.
    pub epoch: Option<i64>,
}

/// Builds an image and keeps it under `names`.
///
/// When this returns the image is in the store for good: no later crash takes it away, unless the
/// store was opened without durability.
///
/// # Errors
///
/// [`BuildError`] with the place in the Dockerfile; nothing is tagged then.
pub fn build(
    input: &Input,
    options: &Options,
    names: &[Reference],
    env: Environment<'_>,
) -> Result<Image, BuildError> {
    let source: Arc<str> = decode(&input.dockerfile).into();
    let place = Place { file: input.name.clone(), source: source.clone(), span: None };
    let fail = |cause| BuildError { place: place.clone(), step: None, cause };
    let parsed = parse(&source);
    announce(&parsed, env);
    if parsed.first_error().is_some() {
        let errors = parsed.diagnostics.into_iter();
        let errors = errors.filter(|finding| finding.severity == Severity::Error).collect();
        return Err(fail(BuildCause::Syntax(errors)));
    }
    let platform = options.platforms.first().unwrap_or(&options.build_platform).clone();
    let bases = ImageBases::new(env, options);
    let around = Surroundings { options, bases: &bases, platform: &platform };
    let lowered = lower(&parsed.dockerfile, around).map_err(|error| {
        let place = Place { span: error.span, ..place.clone() };
        BuildError { place, step: None, cause: error.into() }
    })?;
    for diagnostic in &lowered.warnings {
        env.progress.event(&Event::Warning { diagnostic });
    }
    let Lowered { graph, .. } = lowered;
    let main = MainContext { directory: input.context.clone(), dockerfile: input.path.clone() };
    let at = |error: VertexError| located(error, &graph, &place);
    let remotes = Remotes::gather(env, options, &graph).map_err(at)?;
    let sources = Sources::over(remotes).scan(env, options, &main, &graph).map_err(fail)?;
    let solver = Solver::new(env, options, &graph, (&bases, sources)).map_err(at)?;
    solver.solve().map_err(at)?;
    let finished = finish(&solver, options, names, platform);
    finished.map_err(fail)
}

fn announce(parsed: &Parsed, env: Environment<'_>) {
    for diagnostic in &parsed.diagnostics {
        if diagnostic.severity == Severity::Warning {
            env.progress.event(&Event::Warning { diagnostic });
        }
    }
}

fn located(error: VertexError, graph: &Graph, place: &Place) -> BuildError {
    let vertex = error.vertex.map(|index| &graph.vertices[index]);
    let place = Place { span: vertex.map(|vertex| vertex.span), ..place.clone() };
    BuildError { place, step: vertex.map(|vertex| vertex.name.clone()), cause: error.cause }
}

/// Puts configuration and manifest together and commits them under their names.
fn finish(
    solver: &Solver<'_>,
    options: &Options,
    names: &[Reference],
    platform: Platform,
) -> Result<Image, BuildCause> {
    let env = solver.env;
    let plan = &solver.graph.image;
    let (layers, made, base_layers) = sealed(solver)?;
    let config = configuration(plan, &made, now(env, plan.epoch))?;
    let config_bytes = config.to_bytes();
    env.lease.put_document(&config_bytes)?;
    let config = Descriptor::of(MediaType::CONFIG, &config_bytes);
    let manifest = manifest(config.clone(), layers, &options.annotations);
    let manifest_bytes = manifest.to_bytes();
    env.lease.put_document(&manifest_bytes)?;
    let manifest = Descriptor::of(MediaType::MANIFEST, &manifest_bytes);
    let mut batch = Batch::new();
    for name in names {
        batch.set_ref(&ref_name(name), &manifest);
    }
    let durability = if names.is_empty() { Durability::Relaxed } else { Durability::Durable };
    env.lease.commit(batch, durability)?;
    Ok(Image { manifest, config, platform, base_layers, epoch: plan.epoch })
}

fn now(env: Environment<'_>, epoch: Option<i64>) -> Timestamp {
    epoch.map_or_else(|| env.clock.now(), Timestamp::from_seconds)
}

type Sealed = (Vec<Descriptor>, BTreeMap<crate::graph::VertexId, MadeLayer>, usize);

/// Descriptors of all layers, what each new one is, and how many come from the base.
fn sealed(solver: &Solver<'_>) -> Result<Sealed, BuildCause> {
    let plan = &solver.graph.image;
    let chain = plan.top.and_then(|top| solver.made(top.0)).map(|made| made.chain.clone());
    let chain = chain.unwrap_or_default();
    let new: Vec<_> = plan.instructions.iter().filter_map(|record| record.layer).collect();
    let base_layers = chain.len() - new.len().min(chain.len());
    let mut descriptors = Vec::new();
    for layer in &chain[..base_layers] {
        descriptors.push(match solver.roots.foreign(layer) {
            Some(base) => base.descriptor,
            None => uncompressed(&solver.roots.sealed(&chain[..=descriptors.len()])?)?,
        });
    }
    let records = solver.env.pool.install(|| {
        let tops = base_layers + 1..=chain.len();
        tops.into_par_iter().map(|end| solver.roots.sealed(&chain[..end])).collect::<Vec<_>>()
    });
    let mut made = BTreeMap::new();
    for (vertex, record) in new.iter().zip(records) {
        let record = record?;
        let created = solver.made(vertex.0).map(|made| made.created).unwrap_or_default();
        descriptors.push(uncompressed(&record)?);
        if let Some(diff_id) = record.diff_id {
            made.insert(*vertex, MadeLayer { diff_id, created });
        }
    }
    Ok((descriptors, made, base_layers))
}

fn uncompressed(record: &wythe_store::layers::LayerRecord) -> Result<Descriptor, BuildCause> {
    match (record.diff_id, record.tar_size) {
        (Some(diff_id), Some(size)) => Ok(Descriptor::new(MediaType::LAYER, diff_id.0, size)),
        _ => Err(BuildCause::Seal(wythe_store::live::seal::SealError::Gone)),
    }
}
