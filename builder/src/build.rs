//! A whole build: text, tree, graph, layers, images. One stage after the other, none reaching back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::diagnostic::Severity;
use wythe_dockerfile::line::decode;
use wythe_dockerfile::parse::{Parsed, parse};
use wythe_store::error::WriteError;
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::tree::entry::Tree;

use crate::bases::{Asked, ImageBases};
use crate::environment::Environment;
use crate::epoch;
use crate::error::{BuildCause, BuildError, Place};
use crate::finish::finish;
use crate::graph::Graph;
use crate::interruptible::Interruptible;
use crate::lint::{self, Subject};
use crate::lower::{LowerError, Lowered, Surroundings, lower};
use crate::merge::merge;
use crate::options::Options;
use crate::origin::{BlobOrigin, Material};
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
    /// The main context where it is no directory; its files are in the store.
    pub files: Option<Tree>,
    /// `SOURCE_DATE_EPOCH=context`: when the main context was made, where that is known.
    pub time: Option<i64>,
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
            files: None,
            time: None,
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
    /// Where those are to be had: the store lacks the ones that no step has needed.
    pub origins: Vec<BlobOrigin>,
    /// `SOURCE_DATE_EPOCH`, where it was given.
    pub epoch: Option<i64>,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub struct Built {
    /// The targets, in the order in which they were asked for; one where none was named.
    pub targets: Vec<BuiltTarget>,
}

/// What a target came to.
#[derive(Clone, Debug)]
pub struct BuiltTarget {
    /// The name of the stage in lower case, or `default` where it has none.
    pub name: String,
    /// What a name of it stands for: a manifest, or an index where there are several platforms.
    pub root: Descriptor,
    /// The images, in the order in which their platforms were asked for.
    pub images: Vec<Image>,
    /// The base images of all stages it needs, each once.
    pub materials: Vec<Material>,
}

impl BuiltTarget {
    /// Keeps it in the store under names, which until now meant something else or nothing.
    ///
    /// When this returns it is there for good: no later crash takes it away, unless the store was
    /// opened without durability. What has no name stays for as long as `lease` lives.
    ///
    /// # Errors
    ///
    /// Where the store cannot be written.
    pub fn keep(&self, lease: &Lease, names: &[Reference]) -> Result<(), WriteError> {
        let mut batch = Batch::new();
        for name in names {
            batch.set_ref(&ref_name(name), &self.root);
        }
        lease.commit(batch, Durability::Durable).map(drop)
    }
}

/// Builds an image of every target for every platform. A step that several need is done once.
///
/// The images are in the store, under no name; [`BuiltTarget::keep`] gives them one.
///
/// # Errors
///
/// [`BuildError`] with the place in the Dockerfile.
pub fn build(input: &Input, options: &Options, env: Environment<'_>) -> Result<Built, BuildError> {
    let source: Arc<str> = decode(&input.dockerfile).into();
    let place = Place { file: input.name.clone(), source: source.clone(), span: None };
    let fail = |cause| BuildError { place: place.clone(), step: None, cause };
    let parsed = parse(&source);
    if parsed.first_error().is_some() {
        announce(&parsed, env);
        return Err(fail(lint::syntax(parsed)));
    }
    lint::misspelt(&source, &parsed, options, env.progress);
    let (targets, platforms) = (targets(options), platforms(options));
    let bases = ImageBases::new(env, options);
    let (target, platform) = (targets[0], &platforms[0]);
    let around = Surroundings { options, bases: &bases, target, platform };
    let settled = epoch::settle(env, around, &parsed.dockerfile, input.time).map_err(|cause| {
        let span = if let BuildCause::Lower(error) = &cause { error.span } else { None };
        BuildError { place: Place { span, ..place.clone() }, step: None, cause }
    })?;
    let (options, around) = (&*settled, Surroundings { options: &settled, ..around });
    let images = targets.iter().flat_map(|target| platforms.iter().map(|one| (*target, one)));
    let lowered = lower_all(&parsed.dockerfile, around, images).map_err(|error| {
        let place = Place { span: error.span, ..place.clone() };
        BuildError { place, step: None, cause: error.into() }
    });
    // Afterwards, so that what base images say is known; and also where lowering failed, since a
    // finding may well be the reason.
    let subject = Subject { source: &source, parsed: &parsed, input };
    let asked = Surroundings { bases: &Asked(&bases), ..around };
    let checked = lint::warn(subject, asked, env.progress);
    let Lowered { graph, warnings } = lowered?;
    checked.map_err(fail)?;
    for diagnostic in &warnings {
        env.progress.event(&Event::Warning { diagnostic });
    }
    lint::strictly(warnings, options).map_err(fail)?;
    let main = MainContext {
        directory: input.context.clone(),
        dockerfile: input.path.clone(),
        files: input.files.clone(),
    };
    let at = |error: VertexError| located(error, &graph, &place);
    let remotes = Remotes::gather(env, options, &graph).map_err(at)?;
    let sources = Sources::over(remotes).look(env, options, &main, &graph).map_err(fail)?;
    // What one step's failure stops is this build, not whoever builds.
    let (interrupt, steps) = (env.cancel, env.cancel.below());
    let steps = steps.map_err(|error| fail(BuildCause::Descriptors(error)))?;
    let images = Interruptible { images: env.images, cancel: &steps };
    let env = Environment { images: &images, cancel: &steps, ..env };
    let solver = Solver::new(env, options, &graph, (&bases, sources), interrupt).map_err(at)?;
    solver.solve().map_err(at)?;
    finish(&solver, options).map_err(at)
}

/// What is built, each stage once: the last one where none is named.
fn targets(options: &Options) -> Vec<Option<&str>> {
    let mut targets: Vec<Option<&str>> = Vec::new();
    for target in &options.targets {
        let known = targets.iter().flatten().any(|known| known.eq_ignore_ascii_case(target));
        if !known {
            targets.push(Some(target));
        }
    }
    if targets.is_empty() {
        targets.push(None);
    }
    targets
}

/// What is built for, each platform once.
fn platforms(options: &Options) -> Vec<Platform> {
    let mut platforms: Vec<Platform> = Vec::new();
    for platform in &options.platforms {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    if platforms.is_empty() {
        platforms.push(options.build_platform.clone());
    }
    platforms
}

/// The graph of all images. What deserves attention is told once, not for each of them.
fn lower_all<'a>(
    dockerfile: &Dockerfile,
    around: Surroundings<'a>,
    images: impl Iterator<Item = (Option<&'a str>, &'a Platform)>,
) -> Result<Lowered, LowerError> {
    let (mut graphs, mut warnings) = (Vec::new(), Vec::new());
    for (target, platform) in images {
        let lowered = lower(dockerfile, Surroundings { target, platform, ..around })?;
        graphs.push((platform, lowered.graph));
        for warning in lowered.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(Lowered { graph: merge(graphs), warnings })
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
