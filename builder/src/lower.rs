//! From syntax tree to graph: every word expanded, every name resolved, nothing run.
//!
//! Only the stages that the target needs are lowered. What an image says is asked through
//! [`Bases`], and only its configuration: no layer is fetched to find out what a build does.

pub mod args;
mod copy;
mod cycle;
mod error;
mod expand;
pub(crate) mod facts;
mod from;
mod global;
mod metadata;
mod mount;
mod onbuild;
pub mod port;
pub mod remote;
mod run;
mod signal;
mod source;
mod stage;
mod state;

use wythe_dockerfile::ast::{Dockerfile, Escape};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::stage::{Stages, stages};
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::source::SourceError;

use crate::graph::Graph;
use crate::operation::BaseSource;
use crate::options::Options;

pub use self::error::{LowerCause, LowerError};
use self::global::Globals;
use self::stage::Lowering;

/// What a base image says about itself.
#[derive(Clone, Debug, Default)]
pub struct BaseFacts {
    /// Its configuration.
    pub config: ImageConfig,
}

/// Answers what base images say, without fetching their layers.
pub trait Bases {
    /// The configuration of the image that `base` names.
    ///
    /// # Errors
    ///
    /// Where the image does not exist or cannot be reached.
    fn facts(&self, base: &BaseSource) -> Result<BaseFacts, SourceError>;
}

/// What lowering needs besides the tree.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The options of the build.
    pub options: &'a Options,
    /// Answers about base images.
    pub bases: &'a dyn Bases,
    /// The stage to build; the last one if absent.
    pub target: Option<&'a str>,
    /// The platform of the image.
    pub platform: &'a Platform,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Surroundings").field("platform", self.platform).finish_non_exhaustive()
    }
}

/// A graph, and what deserves attention about how it came to be.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The graph.
    pub graph: Graph,
    /// Findings that do not stop the build.
    pub warnings: Vec<Diagnostic>,
}

/// The value that an argument has before the first stage.
pub(crate) fn global_value(
    file: &Dockerfile,
    around: Surroundings<'_>,
    name: &str,
) -> Result<Option<String>, LowerError> {
    let all: Stages<'_> = stages(file);
    let target = stage::target(&all, around.target)?;
    let globals = Globals::new(&all, around, &target.name, file.directives.escape)?;
    Ok(globals.scope.get(name).map(str::to_owned))
}

/// Lowers the stages that the target needs.
///
/// # Errors
///
/// [`LowerError`] with the place in the Dockerfile.
pub fn lower(file: &Dockerfile, around: Surroundings<'_>) -> Result<Lowered, LowerError> {
    let all: Stages<'_> = stages(file);
    let escape: Escape = file.directives.escape;
    let target = stage::target(&all, around.target)?;
    let globals = Globals::new(&all, around, &target.name, escape)?;
    Lowering::new(&all, around, globals, escape).image(target)
}

#[cfg(test)]
mod tests;
