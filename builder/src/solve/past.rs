//! What is kept with a result to explain a later miss, and why a step runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::{Arc, PoisonError};

use wythe_dockerfile::mount::Requirement;
use wythe_store::action::{ActionRecord, LISTING};
use wythe_store::cache_backend::CacheBackend;
use wythe_store::digest::Digest;
use wythe_store::image::save::SaveError;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::MAX_DOCUMENT;
use wythe_store::portable_action::PortableAction;
use wythe_store::portable_listings::unpack;
use wythe_store::record_origin::without_credentials;
use wythe_store::tree::entry::Tree;

use super::Solver;
use crate::copy::CopySpec;
use crate::copy::select::select;
use crate::error::{BuildCause, VertexError};
use crate::explain::inputs::{ABSENT, BASE, BELOW, FILES, INPUT, REMOTE, of_operation};
use crate::explain::notes::{Place, StepOutcome};
use crate::explain::{Elsewhere, Past, Present, StagePast, StepBelow, listing};
use crate::graph::{Vertex, VertexId};
use crate::operation::copy::CopySource;
use crate::operation::facts::Fact;
use crate::operation::run::{MountKind, RunStep};
use crate::operation::{BaseSource, FileSource, Operation};
use crate::options::Caching;
use crate::progress::{Event, StepId};
use crate::reason::Reason;
use crate::reference::{paths_of, single};

/// Files that a step reads: what they are called, where they are, and which.
type SelectedFiles = (String, FileSource, CopySpec);

impl Solver<'_> {
    /// What a vertex is made from, in words that say the same on every machine.
    pub(super) fn inputs_of(&self, index: usize) -> Result<Vec<Fact>, BuildCause> {
        let vertex = &self.graph.vertices[index];
        let mut inputs = of_operation(&vertex.operation);
        let parent = vertex.parent.filter(|_| !vertex.operation.stands_alone());
        inputs.extend(parent.map(|parent| self.ground(parent)).transpose()?);
        for (within, source, spec) in read_by(&vertex.operation) {
            match source {
                FileSource::Input(position) => {
                    let input = vertex.inputs.get(position);
                    inputs.extend(input.map(|id| (format!("{INPUT}{within}"), self.known_as(*id))));
                }
                FileSource::Context | FileSource::Directory(_) => {
                    let content = self.sources.content(self.env, &source, &spec)?;
                    inputs.push((format!("{FILES}{within}"), content.to_string()));
                }
                FileSource::Nothing => {}
            }
        }
        match &vertex.operation {
            Operation::Copy(step) => inputs.extend(self.remote_inputs(&step.sources)),
            Operation::Run(step) => inputs.extend(self.absent(step)),
            Operation::Base(_) | Operation::Workdir(_) => {}
        }
        Ok(inputs)
    }

    fn ground(&self, parent: VertexId) -> Result<Fact, BuildCause> {
        let below = || Ok((BELOW.to_owned(), self.known_as(parent)));
        let Operation::Base(base) = &self.graph.vertex(parent).operation else { return below() };
        let name = match base {
            BaseSource::Image { reference, .. } => reference.canonical(),
            BaseSource::Layout { context, .. } => context.clone(),
            BaseSource::Directory { .. } => return below(),
        };
        let root = self.bases.resolve(base).map_err(SaveError::Source)?.root;
        let name = name.split('@').next().unwrap_or_default();
        Ok((BASE.to_owned(), format!("{name}@{root}")))
    }

    /// What the root of another step is known as, and the name of that step.
    fn known_as(&self, VertexId(index): VertexId) -> String {
        format!("{} {}", self.whole[&index], self.graph.vertices[index].name)
    }

    fn remote_inputs(&self, sources: &[CopySource]) -> Vec<Fact> {
        let remote = |source: &CopySource| {
            let content = self.sources.remotes.content_id(source)?;
            let address = match source {
                CopySource::Url(url) => url,
                CopySource::Git(repository) => &repository.url,
                CopySource::Heredoc { .. } | CopySource::Path(_) => return None,
            };
            Some((format!("{REMOTE}{}", without_credentials(address)), content.to_string()))
        };
        sources.iter().filter_map(remote).collect()
    }

    fn absent(&self, step: &RunStep) -> Vec<Fact> {
        let id = |kind: &MountKind| match kind {
            MountKind::Secret { id, required: Requirement::Optional, .. }
            | MountKind::SecretVariable { id, required: Requirement::Optional, .. } => {
                Some(id.clone())
            }
            MountKind::Bind { .. }
            | MountKind::Cache(_)
            | MountKind::Secret { .. }
            | MountKind::SecretVariable { .. }
            | MountKind::Ssh { .. }
            | MountKind::Tmpfs { .. } => None,
        };
        let ids = step.mounts.iter().filter_map(|mount| id(&mount.kind));
        let absent = ids.filter(|id| !self.options.secrets.contains_key(id));
        absent.map(|id| (ABSENT.to_owned(), id)).collect()
    }

    /// What is kept of the files that a vertex has read: inputs with the ids of listings, which are in
    /// the store.
    pub(super) fn listed(&self, index: usize) -> Result<Vec<Fact>, VertexError> {
        let at = |cause: BuildCause| VertexError { vertex: Some(index), cause };
        let mut listed = Vec::new();
        for read in read_by(&self.graph.vertices[index].operation) {
            let Some(listing) = self.listing(index, &read)? else { continue };
            let body = self.env.lease.put_body(&listing).map_err(|error| at(error.into()))?;
            listed.push((format!("{LISTING}{}", read.0), body.to_string()));
        }
        Ok(listed)
    }

    fn listing(
        &self,
        index: usize,
        (_, source, spec): &SelectedFiles,
    ) -> Result<Option<Vec<u8>>, VertexError> {
        let vertex = &self.graph.vertices[index];
        let tree: Arc<Tree> = match source {
            FileSource::Input(position) => {
                let Some(VertexId(input)) = vertex.inputs.get(*position) else { return Ok(None) };
                let tree = self.roots.tree(&self.settled(*input)?.chain);
                tree.map_err(|cause| VertexError { vertex: Some(index), cause })?
            }
            FileSource::Context | FileSource::Directory(_) => self.sources.tree(source).into(),
            FileSource::Nothing => return Ok(None),
        };
        // A step that selects what is not there says so itself.
        let Ok(selection) = select(&tree, spec) else { return Ok(None) };
        Ok(listing::encode(&selection, spec))
    }

    /// Tells why a vertex runs, to who wants to know.
    pub(super) fn explain(&self, index: usize) -> Result<(), BuildCause> {
        if self.env.progress.is_curious() {
            let (step, reason) = (StepId(index + 1), &self.reason(index)?);
            self.env.progress.event(&Event::Explained { step, reason });
        }
        Ok(())
    }

    fn reason(&self, index: usize) -> Result<Reason, BuildCause> {
        let vertex = &self.graph.vertices[index];
        if vertex.caching == Caching::Refresh {
            return Ok(Reason::Refresh);
        }
        if let Some(below) = vertex.reads().find(|id| self.stale[id.0]) {
            return Ok(Reason::RefreshBelow { step: self.graph.vertex(below).name.clone() });
        }
        let inputs = self.inputs_of(index)?;
        let (place, stage) = (self.place(vertex), self.stage_past(vertex)?);
        let past =
            Past::of(self.env.store, (place, self.latest_elsewhere(place)), &inputs, &stage)?;
        let listed = |within: &str| {
            let read = read_by(&vertex.operation).into_iter().find(|(name, ..)| name == within)?;
            self.listing(index, &read).ok()?
        };
        // It is compared with that of each earlier result.
        let known = RefCell::new(BTreeMap::new());
        let listings = |within: &str| {
            let mut known = known.borrow_mut();
            known.entry(within.to_owned()).or_insert_with(|| listed(within)).clone()
        };
        let ran = |id: VertexId| self.work.ran(id.0);
        let below = if vertex.parent.is_some_and(ran) { StepBelow::Ran } else { StepBelow::Stood };
        let present = Present { inputs: &inputs, listings: &listings, below };
        Ok(past.reason(&self.keys[&index], present))
    }

    /// What was remembered of the stage of a vertex when the first of its steps was not found.
    fn stage_past(&self, vertex: &Vertex) -> Result<Arc<StagePast>, BuildCause> {
        let place = self.place(vertex);
        let mut known = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(past) = known.get(&(vertex.stage, place.stage())) {
            return Ok(Arc::clone(past));
        }
        let own = self.graph.vertices.iter().filter(|other| other.stage == vertex.stage);
        let operations = own.map(|other| of_operation(&other.operation));
        let past = Arc::new(StagePast::of(self.env.store, place, operations)?);
        known.insert((vertex.stage, place.stage()), Arc::clone(&past));
        Ok(past)
    }

    /// What a cache says of the latest result of a place, with the listings that it was made from.
    fn latest_elsewhere(&self, place: Place) -> Option<Elsewhere> {
        let (action, key, backend) = self.env.caches.latest(&place.shared())?;
        if let Some(listings) = &action.listings {
            // Without them it is not told which files changed.
            match fetch_listings(&*backend, listings) {
                Ok(packed) => unpack(self.env.lease, &packed).ok()?,
                Err(error) => tracing::debug!(%error, "cannot read the listings of a cache"),
            }
        }
        let PortableAction { created, inputs, origin, .. } = action;
        Some((ActionRecord { key, layer: None, created, inputs }, origin))
    }

    pub(super) fn place(&self, vertex: &Vertex) -> Place {
        Place::of(&self.options.project, &vertex.name)
    }

    /// Notes what came of a vertex.
    pub(super) fn note_outcome(&self, batch: &mut Batch, index: usize, outcome: StepOutcome) {
        let place = self.place(&self.graph.vertices[index]);
        place.note(self.env.store, batch, (self.keys[&index], outcome));
    }

    /// Notes that a step failed, as well as that can be: why it did is what has to be told.
    pub(super) fn note_failure(&self, index: usize) {
        let mut batch = Batch::new();
        self.note_outcome(&mut batch, index, StepOutcome::Failed);
        if let Err(error) = self.env.lease.commit(batch, Durability::Relaxed) {
            tracing::debug!(%error, "cannot note that a step failed");
        }
    }
}

/// The listings that a cache has, whole and as they were announced.
fn fetch_listings(backend: &dyn CacheBackend, blob: &Descriptor) -> io::Result<Vec<u8>> {
    if blob.size > MAX_DOCUMENT as u64 {
        return Err(io::Error::other("the listings are too long"));
    }
    let mut packed = Vec::new();
    let reader = backend.blob(&blob.digest, 0..blob.size).map_err(io::Error::other)?;
    reader.take(blob.size).read_to_end(&mut packed)?;
    if Digest::of(&packed) == blob.digest {
        Ok(packed)
    } else {
        Err(io::Error::other("the listings are not what their digest says"))
    }
}

/// What files an operation reads.
fn read_by(operation: &Operation) -> Vec<SelectedFiles> {
    match operation {
        Operation::Base(BaseSource::Directory { context }) => {
            let source = FileSource::Directory(context.clone());
            vec![(format!("the context {context}"), source, single("/"))]
        }
        Operation::Copy(step) => {
            let has_paths = step.sources.iter().any(|one| matches!(one, CopySource::Path(_)));
            let read = || (step.from_name.clone(), step.from.clone(), paths_of(step));
            has_paths.then(read).into_iter().collect()
        }
        Operation::Run(step) => {
            let mounts = step.mounts.iter().filter_map(|mount| {
                let (from, path) = mount.kind.files()?;
                let of_step = matches!(mount.kind, MountKind::Bind { .. })
                    || matches!(from, FileSource::Input(_));
                of_step.then(|| (format!("mount {}", mount.target), from.clone(), single(path)))
            });
            mounts.collect()
        }
        Operation::Base(_) | Operation::Workdir(_) => Vec::new(),
    }
}
