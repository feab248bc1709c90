//! Compose files: what services say of their builds.

mod build;
mod environment;
mod include;
mod interpolate;
mod merge;
pub mod project;
mod size;
mod yaml;

use crate::error::Fault;
use crate::path;
use crate::source::{FileId, Sources};
use crate::surroundings::Surroundings;
use crate::target::{Group, Target};

pub(crate) use self::environment::Environment;
use self::include::Loader;
use self::yaml::Node;

/// What Compose files say.
#[derive(Debug, Default)]
pub(crate) struct Composed {
    pub(crate) targets: Vec<Target>,
    /// All of them, if there are services at all.
    pub(crate) group: Option<Group>,
}

/// Whether text that may be anything is a Compose file.
pub(crate) fn is_compose(sources: &Sources, file: FileId) -> bool {
    let documents = yaml::parse(sources, file).unwrap_or_default();
    let has = |node: &Node, key: &str| node.get(key).is_some();
    documents.iter().any(|node| has(node, "services") || has(node, "secrets"))
}

/// Reads files as one project: what comes later counts more.
pub(crate) fn read(
    sources: &mut Sources,
    files: &[FileId],
    surroundings: &dyn Surroundings,
) -> Result<Composed, Fault> {
    let environment = Environment::read(surroundings)?;
    let mut loader = Loader::new(sources, surroundings, &environment);
    let mut project: Option<Node> = None;
    for file in files {
        let node = loader.file(*file, ".")?;
        project = Some(match project {
            Some(before) => merge::merged(before, node, ""),
            None => node,
        });
    }
    match project {
        Some(project) => build::targets(&project, &environment, surroundings),
        None => Ok(Composed::default()),
    }
}

/// A path of a file in a directory, as it is seen from the working directory.
fn seen_from(directory: &str, path: &str) -> String {
    if directory == "." { path::clean(path) } else { path::join(directory, path) }
}
