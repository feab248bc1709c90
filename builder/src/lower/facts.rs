//! What build checks want to know of the surroundings of a Dockerfile.

use std::collections::{BTreeMap, BTreeSet};

use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::lint::{BaseFacts, Coverage, PlatformMismatch};
use wythe_dockerfile::stage::{Stage, Stages, stages};
use wythe_store::oci::platform::Platform;

use super::global::{Globals, predefined};
use super::source::Origin;
use super::stage::Lowering;
use super::{Surroundings, expand, stage};
use crate::operation::BaseSource;

/// Arguments nobody has to declare, and images that stages start from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The arguments, with their values.
    pub(crate) predefined: BTreeMap<String, String>,
    /// The images, by index of the stage; where nothing can be found out there is none.
    pub(crate) bases: BTreeMap<usize, BaseFacts>,
}

/// The stages that are covered, by index.
pub(crate) fn needed(
    file: &Dockerfile,
    around: Surroundings<'_>,
    coverage: Coverage<'_>,
) -> BTreeSet<usize> {
    let (all, escape) = (stages(file), file.directives.escape);
    let Ok(target) = stage::target(&all, around.target) else { return BTreeSet::new() };
    // What is wrong with the arguments is for a build to complain about.
    let globals = Globals::new(&all, around, &target.name, escape).unwrap_or_default();
    let contexts = around.options.contexts.keys().cloned().collect();
    wythe_dockerfile::lint::needed(&all, coverage, &globals, escape, &contexts)
}

/// The arguments that nobody has to declare, with their values; none where there is no such target.
pub(crate) fn arguments(all: &Stages<'_>, around: Surroundings<'_>) -> BTreeMap<String, String> {
    let Ok(target) = stage::target(all, around.target) else { return BTreeMap::new() };
    let arguments = predefined(&around.options.build_platform, around.platform, &target.name);
    let given = &around.options.build_args;
    let arguments = arguments.into_iter().map(|(name, value)| {
        let value = given.get(&name).cloned().unwrap_or(value);
        (name, value)
    });
    arguments.collect()
}

impl Facts {
    /// Asks about the image of every stage; what fails is left out, for a build to complain about.
    pub(crate) fn gather(file: &Dockerfile, around: Surroundings<'_>) -> Self {
        let all = stages(file);
        let escape = file.directives.escape;
        let Ok(target) = stage::target(&all, around.target) else {
            return Self::default();
        };
        let predefined = arguments(&all, around);
        let Ok(globals) = Globals::new(&all, around, &target.name, escape) else {
            return Self { predefined, ..Self::default() };
        };
        let lowering = Lowering::new(&all, around, globals, escape);
        let known =
            all.stages.iter().filter_map(|stage| Some((stage.index, lowering.known(stage)?)));
        Self { predefined, bases: known.collect() }
    }
}

impl Lowering<'_> {
    /// What is known of the image a stage starts from, if it starts from one.
    fn known(&self, stage: &Stage<'_>) -> Option<BaseFacts> {
        let platform = self.platform(stage).ok()?;
        let image = &stage.from.image;
        let name = expand::word(image, self.escape, &self.globals).ok()?;
        let base = match self.origin(&name, &platform, (stage.index, image.span)).ok()? {
            Origin::Directory(_) | Origin::Scratch => return Some(BaseFacts::default()),
            Origin::Image(reference) => BaseSource::Image { reference, platform: platform.clone() },
            Origin::Layout(context) => BaseSource::Layout { context, platform: platform.clone() },
            Origin::Stage(_) => return None,
        };
        let config = self.around.bases.facts(&base).ok()?.config;
        // Who gives an image by hand has chosen its platform.
        let pulled = self.named_context(&name, &platform).is_none();
        let differs = pulled && !config.architecture.is_empty();
        let actual = differs.then(|| config.platform());
        let mismatch = actual.and_then(|actual| mismatch(&platform, &actual));
        let config = config.config;
        let (environment, shell, triggers) = (config.env, config.shell, config.on_build);
        Some(BaseFacts { environment, shell, triggers, mismatch })
    }
}

fn mismatch(expected: &Platform, actual: &Platform) -> Option<PlatformMismatch> {
    let differ = !expected.accepts(actual);
    let text = || PlatformMismatch { expected: expected.to_string(), actual: actual.to_string() };
    differ.then(text)
}
