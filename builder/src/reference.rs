//! What a step refers to: paths in the roots of other steps, in contexts and in directories.

use crate::copy::error::CopyError;
use crate::copy::{CopySpec, Tops};
use crate::graph::Vertex;
use crate::operation::copy::{CopySource, CopyStep};
use crate::operation::run::MountKind;
use crate::operation::{BaseSource, FileSource, Operation};

/// Which parts of which sources a vertex refers to.
///
/// # Errors
/// A source whose pattern has no end.
pub(crate) fn references(vertex: &Vertex) -> Result<Vec<(FileSource, CopySpec)>, CopyError> {
    let mut found = Vec::new();
    match &vertex.operation {
        Operation::Base(BaseSource::Directory { context }) => {
            found.push((FileSource::Directory(context.clone()), single("/")));
        }
        Operation::Copy(step) if step.sources.iter().any(is_path) => {
            found.push((step.from.clone(), paths_of(step)));
        }
        Operation::Run(step) => {
            for mount in &step.mounts {
                if let MountKind::Bind { from, path, .. } = &mount.kind {
                    found.push((from.clone(), single(path)));
                }
                if let MountKind::Cache(cache) = &mount.kind {
                    found.push((cache.from.clone(), single("/")));
                }
            }
        }
        Operation::Base(_) | Operation::Copy(_) | Operation::Workdir(_) => {}
    }
    found.iter().try_for_each(|(_, spec)| spec.routes().map(drop))?;
    Ok(found)
}

/// A selection of one path, as a mount of it shows it.
pub(crate) fn single(path: &str) -> CopySpec {
    CopySpec { sources: vec![path.to_owned()], tops: Tops::Seen, ..CopySpec::default() }
}

fn is_path(source: &CopySource) -> bool {
    matches!(source, CopySource::Path(_))
}

/// The part of a copy that decides what is selected.
pub(crate) fn paths_of(step: &CopyStep) -> CopySpec {
    let path = |source: &CopySource| match source {
        CopySource::Path(path) => Some(path.clone()),
        CopySource::Heredoc { .. } | CopySource::Url(_) | CopySource::Git(_) => None,
    };
    CopySpec {
        sources: step.sources.iter().filter_map(path).collect(),
        layout: step.layout,
        exclude: step.excludes.clone(),
        ..CopySpec::default()
    }
}
