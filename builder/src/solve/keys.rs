//! The keys of vertices: over how they are defined, and over what their inputs turned out to be.

use wythe_store::digest::DiffId;
use wythe_store::id::{CacheKey, ContentId};

use super::Solver;
use crate::copy::CopySpec;
use crate::copy::error::{CopyCause, CopyError, Missing};
use crate::copy::select::select;
use crate::error::{BuildCause, MountError, VertexError};
use crate::graph::Vertex;
use crate::key::{InputKey, absent_secrets, cache_key};
use crate::operation::copy::CopySource;
use crate::operation::run::{MountKind, RunMount};
use crate::operation::{BaseSource, FileSource, Lookup, Operation, RULES};
use crate::reference::{paths_of, single};

impl Solver<'_> {
    /// The key over how a vertex is defined.
    pub(super) fn definition_key(&self, vertex: &Vertex) -> Result<CacheKey, BuildCause> {
        let mut inputs = Vec::new();
        match &vertex.operation {
            Operation::Base(base) => inputs.push(InputKey::Content(self.base_content(base)?)),
            Operation::Copy(step) if step.base == crate::copy::CopyTarget::Nothing => {}
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => {
                inputs.push(match vertex.parent {
                    Some(parent) => InputKey::Definition(self.whole[&parent.0]),
                    None => InputKey::Content(ContentId::of(b"")),
                });
            }
        }
        inputs.extend(vertex.inputs.iter().map(|id| InputKey::Definition(self.whole[&id.0])));
        inputs.extend(self.context_content(vertex)?);
        Ok(cache_key(&vertex.operation, Lookup::Definition, &inputs))
    }

    /// The key over what the inputs of a vertex turned out to be.
    pub(super) fn content_key(&self, index: usize) -> Result<CacheKey, VertexError> {
        let at = |cause: BuildCause| VertexError { vertex: Some(index), cause };
        let vertex = &self.graph.vertices[index];
        let below = match &vertex.operation {
            Operation::Base(base) => self.base_content(base).map_err(at)?,
            Operation::Copy(step) if step.base == crate::copy::CopyTarget::Nothing => bottom([]),
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => {
                self.settled_below(vertex)?.content
            }
        };
        let mut inputs = vec![InputKey::Content(below)];
        for (position, spec, within) in selected(&vertex.operation) {
            let Some(input) = vertex.inputs.get(position) else { continue };
            let tree = self.roots.tree(&self.settled(input.0)?.chain).map_err(at)?;
            let seen = || select(&tree, &spec).map(|selection| selection.seen_id(spec.tops));
            let content = self.env.pool.install(seen);
            inputs.push(InputKey::Content(content.map_err(|error| at(within(error)))?));
        }
        inputs.extend(self.context_content(vertex).map_err(at)?);
        Ok(cache_key(&vertex.operation, Lookup::Content, &inputs))
    }

    fn base_content(&self, base: &BaseSource) -> Result<ContentId, BuildCause> {
        match base {
            BaseSource::Directory { context } => {
                let source = FileSource::Directory(context.clone());
                self.sources.mounted(self.env, &source, "/")
            }
            BaseSource::Image { .. } | BaseSource::Layout { .. } => {
                let found = self.bases.resolve(base);
                let found = found.map_err(wythe_store::image::save::SaveError::Source)?;
                Ok(found.identity)
            }
        }
    }

    /// What a vertex reads from directories of the machine, and which secrets it has.
    fn context_content(&self, vertex: &Vertex) -> Result<Vec<InputKey>, BuildCause> {
        let mut found = Vec::new();
        match &vertex.operation {
            Operation::Copy(step) => {
                let local = matches!(step.from, FileSource::Context | FileSource::Directory(_));
                if local && step.sources.iter().any(|one| matches!(one, CopySource::Path(_))) {
                    let content = self.sources.content(self.env, &step.from, &paths_of(step))?;
                    found.push(InputKey::Content(content));
                }
                let remotes = &self.sources.remotes;
                let fetched = step.sources.iter().filter_map(|one| remotes.content_id(one));
                found.extend(fetched.map(InputKey::Content));
            }
            Operation::Run(step) => {
                for mount in &step.mounts {
                    found.extend(self.mount_content(&mount.kind)?);
                }
                found.extend(absent_secrets(step, |id| self.options.secrets.contains_key(id)));
            }
            Operation::Base(_) | Operation::Workdir(_) => {}
        }
        Ok(found)
    }

    fn mount_content(&self, kind: &MountKind) -> Result<Option<InputKey>, BuildCause> {
        match kind {
            MountKind::Bind {
                from: from @ (FileSource::Context | FileSource::Directory(_)),
                path,
                ..
            } => Ok(Some(InputKey::Content(self.sources.mounted(self.env, from, path)?))),
            MountKind::Bind { .. }
            | MountKind::Cache(_)
            | MountKind::Secret { .. }
            | MountKind::SecretVariable { .. }
            | MountKind::Ssh { .. }
            | MountKind::Tmpfs { .. } => Ok(None),
        }
    }
}

/// What a root is known as. A copy that does not look at what is below it has a key without it, and
/// what stands on such a copy still depends on all of it.
pub(super) fn whole_key(below: Option<CacheKey>, key: CacheKey) -> CacheKey {
    let mut hasher = CacheKey::hasher();
    for part in below.iter().chain([&key]) {
        hasher.update(part.as_bytes());
    }
    CacheKey::from_hasher(&hasher)
}

/// What an operation reads of the vertex's inputs: which, what of it, and how to tell that it is not
/// there.
fn selected(operation: &Operation) -> Vec<Selected<'_>> {
    match operation {
        Operation::Copy(step) => match step.from {
            FileSource::Input(position) => {
                let within = |error: CopyError| error.within(&step.from_name).into();
                vec![(position, paths_of(step), Box::new(within))]
            }
            FileSource::Context | FileSource::Directory(_) | FileSource::Nothing => Vec::new(),
        },
        Operation::Run(step) => step.mounts.iter().filter_map(mounted).collect(),
        Operation::Base(_) | Operation::Workdir(_) => Vec::new(),
    }
}

type Selected<'s> = (usize, CopySpec, Box<dyn Fn(CopyError) -> BuildCause + 's>);

fn mounted(mount: &RunMount) -> Option<Selected<'_>> {
    let (from, path) = mount.kind.files()?;
    let FileSource::Input(position) = from else { return None };
    let within = |error: CopyError| match error {
        CopyError { cause: CopyCause::Missing(missing), .. } => {
            let within = Some("the source of the mount".to_owned());
            MountError::Source(Box::new(Missing { within, ..*missing })).into()
        }
        error => error.into(),
    };
    Some((*position, single(path), Box::new(within)))
}

/// What an operation is known by, whatever it reads.
pub(super) fn operation_key(operation: &Operation) -> CacheKey {
    cache_key(operation, Lookup::Content, &[])
}

/// What a result is known by: what it contains, and what lies below it.
pub(super) fn result_key(below: &ContentId, own: &ContentId) -> CacheKey {
    let mut hasher = CacheKey::hasher();
    hasher.update(b"result").update(&RULES.to_le_bytes());
    hasher.update(below.as_bytes()).update(own.as_bytes());
    CacheKey::from_hasher(&hasher)
}

/// What the layers of an image contain, the lowest first.
pub(super) fn bottom(layers: impl IntoIterator<Item = DiffId>) -> ContentId {
    let mut hasher = ContentId::hasher();
    hasher.update(b"image");
    for layer in layers {
        hasher.update(layer.0.as_bytes());
    }
    ContentId::from_hasher(&hasher)
}

/// What a layer and those below it contain.
pub(super) fn stacked(below: &ContentId, own: &ContentId) -> ContentId {
    let mut hasher = ContentId::hasher();
    hasher.update(b"stack").update(below.as_bytes()).update(own.as_bytes());
    ContentId::from_hasher(&hasher)
}
