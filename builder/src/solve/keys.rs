//! The keys of vertices: over how they are defined, and over what their inputs turned out to be.

use wythe_store::id::{CacheKey, ContentId, LayerId};

use super::Solver;
use crate::error::BuildCause;
use crate::graph::Vertex;
use crate::key::{InputKey, absent_secrets, cache_key};
use crate::operation::copy::CopySource;
use crate::operation::run::MountKind;
use crate::operation::{BaseSource, FileSource, Lookup, Operation};
use crate::reference::paths_of;
use crate::root::Chain;

impl Solver<'_> {
    /// The key over how a vertex is defined.
    pub(super) fn definition_key(&self, vertex: &Vertex) -> Result<CacheKey, BuildCause> {
        let mut inputs = Vec::new();
        match &vertex.operation {
            Operation::Base(base) => inputs.push(InputKey::Content(self.base_content(base)?)),
            Operation::Copy(step) if step.base == crate::copy::CopyTarget::Nothing => {}
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => {
                inputs.push(match vertex.parent {
                    Some(parent) => InputKey::Definition(self.whole[parent.0]),
                    None => InputKey::Content(ContentId::of(b"")),
                });
            }
        }
        inputs.extend(vertex.inputs.iter().map(|id| InputKey::Definition(self.whole[id.0])));
        inputs.extend(self.context_content(vertex)?);
        Ok(cache_key(&vertex.operation, Lookup::Definition, &inputs))
    }

    /// The key over what the inputs of a vertex turned out to be.
    pub(super) fn content_key(
        &self,
        vertex: &Vertex,
        below: &Chain,
    ) -> Result<CacheKey, BuildCause> {
        let below = match &vertex.operation {
            Operation::Base(base) => self.base_content(base)?,
            Operation::Copy(step) if step.base == crate::copy::CopyTarget::Nothing => {
                chain_content(&[])
            }
            Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => chain_content(below),
        };
        let mut inputs = vec![InputKey::Content(below)];
        for id in &vertex.inputs {
            let made = self.made(id.0).map(|made| made.chain.clone()).unwrap_or_default();
            inputs.push(InputKey::Content(match &vertex.operation {
                Operation::Copy(step) => {
                    let tree = self.roots.tree(&made)?;
                    let selection = crate::copy::select::select(&tree, &paths_of(step));
                    selection.map_err(|error| error.within(&step.from_name))?.content_id()
                }
                Operation::Base(_) | Operation::Run(_) | Operation::Workdir(_) => {
                    chain_content(&made)
                }
            }));
        }
        inputs.extend(self.context_content(vertex)?);
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

/// What a chain of layers contains: layers are named by content, or by the run that made them.
fn chain_content(chain: &[LayerId]) -> ContentId {
    let mut hasher = ContentId::hasher();
    for layer in chain {
        hasher.update(layer.as_bytes());
    }
    ContentId::from_hasher(&hasher)
}
