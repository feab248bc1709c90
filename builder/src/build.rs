//! A whole build: text, tree, graph, layers, images. One stage after the other, none reaching back.

use std::io;
use std::sync::Arc;

use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::diagnostic::Severity;
use wythe_dockerfile::line::decode;
use wythe_dockerfile::parse::{Parsed, parse};
use wythe_store::oci::interruptible::Interruptible;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::transfer::Watched;

use crate::bases::{Asked, ImageBases, Unasked};
use crate::built::Built;
use crate::environment::Environment;
use crate::epoch;
use crate::error::{BuildCause, BuildError, SourceLocation, VertexError};
use crate::finish::finish;
use crate::graph::Graph;
use crate::input::Input;
use crate::lint::{self, Subject};
use crate::lower::{LowerError, Lowered, Surroundings, lower};
use crate::merge::merge;
use crate::options::{Misses, Options};
use crate::progress::{AsEvents, Event};
use crate::remote::NoRemote;
use crate::root::Roots;
use crate::solve::{Ground, Work, solve};
use crate::sources::{MainContext, Sources};
use crate::unfetched::NoImages;

/// Builds an image of every target for every platform. A step that several need is done once.
///
/// The images are in the store, under no name; [`BuiltTarget::keep`](crate::built::BuiltTarget::keep)
/// gives them one.
///
/// # Errors
///
/// [`BuildError`] with the place in the Dockerfile.
pub fn build(input: &Input, options: &Options, env: Environment<'_>) -> Result<Built, BuildError> {
    let env = match options.misses {
        Misses::Refuse => Environment { images: &NoImages, remote: &NoRemote, git: None, ..env },
        Misses::Run => env,
    };
    let source: Arc<str> = decode(&input.dockerfile).into();
    let place = SourceLocation { file: input.name.clone(), source: source.clone(), span: None };
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
        BuildError { place: SourceLocation { span, ..place.clone() }, step: None, cause }
    })?;
    let (options, around) = (&*settled, Surroundings { options: &settled, ..around });
    let images = targets.iter().flat_map(|target| platforms.iter().map(|one| (*target, one)));
    let images: Vec<_> = images.collect();
    ask(&parsed.dockerfile, around, (&bases, &images));
    let lowered = lower_all(&parsed.dockerfile, around, images.into_iter()).map_err(|error| {
        let place = SourceLocation { span: error.span, ..place.clone() };
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
    loop {
        let made = make(env, (&graph, options), (&bases, &main));
        let warnings = env.caches.warnings();
        for reason in &warnings {
            env.progress.event(&Event::CacheFailed { reason });
        }
        match made {
            // What was made until then is found again.
            Err(_) if !env.cancel.is_cancelled() && env.caches.distrust_lost() => {}
            made => return made.map_err(at),
        }
    }
}

/// Makes what the images of a graph need, and puts them together.
fn make(
    env: Environment<'_>,
    (graph, options): (&Graph, &Options),
    (bases, main): (&ImageBases<'_>, &MainContext),
) -> Result<Built, VertexError> {
    // What one step's failure stops is this build, not whoever builds.
    let (interrupt, steps) = (env.cancel, env.cancel.below());
    let steps = steps.map_err(BuildCause::Descriptors)?;
    let transfers = AsEvents(env.progress);
    let images = Watched { images: env.images, transfers: &transfers };
    let check = || if steps.is_cancelled() { Err(io::Error::other("cancelled")) } else { Ok(()) };
    let images = Interruptible { images: &images, check: &check };
    let inside = Environment { images: &images, cancel: &steps, ..env };
    let (roots, work) = (Roots::new(inside, options.jobs), Work::new(graph.vertices.len()));
    let (roots, work) = (&roots, &work);
    let ground = Ground { env: inside, interrupt, options, graph, bases, roots, work };
    let solver = solve(&ground, || Sources::look(inside, options, main, (graph, &ground)))?;
    finish(&solver, options)
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

/// Asks for all base images at the same time, which lowering asks for one after another.
fn ask(
    dockerfile: &Dockerfile,
    around: Surroundings<'_>,
    (bases, images): (&ImageBases<'_>, &[(Option<&str>, &Platform)]),
) {
    loop {
        let unasked = Unasked::new(bases);
        for &(target, platform) in images {
            // What is wrong with the Dockerfile is told by who lowers it for good.
            drop(lower(dockerfile, Surroundings { bases: &unasked, target, platform, ..around }));
        }
        if !unasked.ask() {
            return;
        }
    }
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

fn located(error: VertexError, graph: &Graph, place: &SourceLocation) -> BuildError {
    let vertex = error.vertex.map(|index| &graph.vertices[index]);
    let place = SourceLocation { span: vertex.map(|vertex| vertex.span), ..place.clone() };
    BuildError { place, step: vertex.map(|vertex| vertex.name.clone()), cause: error.cause }
}
