//! Steps that need nothing of what is looked at: they begin meanwhile.
//!
//! Keys of what is copied follow from the files of directories, from what servers say of files and from the
//! commits that git refs mean. Vertices that read none of these, nor stand on what does, have their keys at
//! once. What of them the images need is clear for those below an image's top: their layers are in it,
//! whatever lies above. What another stage is for shows only when it is known what was copied from it;
//! but if one of its steps has no result here, then what was made of it has none either, unless results
//! were collected apart. A cache of other machines may have the one without the other, so that where there is
//! one nothing of another stage begins early.

use std::collections::BTreeSet;

use super::{Ground, Solver};
use crate::demand::Wiring;
use crate::error::{BuildCause, VertexError};
use crate::graph::{Graph, Vertex};
use crate::operation::copy::CopySource;
use crate::operation::{FileSource, Operation};
use crate::options::Misses;
use crate::reference::references;
use crate::sources::Sources;

impl<'a> Solver<'a> {
    /// A solver of what can begin before anything was looked at. What of that is to be run is `unknown`;
    /// nothing where nothing is to run.
    pub(super) fn early(ground: &Ground<'a>) -> Result<Self, VertexError> {
        let mut solver = Self::over(ground, Sources::default(), BTreeSet::new());
        if ground.options.misses == Misses::Refuse {
            return Ok(solver);
        }
        let free = free(ground.graph)?;
        solver.assign_keys(&|index| free[index])?;
        let wiring = solver.certain_wiring(&free);
        (solver.found, solver.deferred) = solver.demand(&wiring)?;
        if solver.found.unknown.iter().any(|index| free[*index]) {
            // Of all that run again, also of those that cannot begin yet.
            solver.clear_caches()?;
        }
        solver.found.unknown.retain(|index| free[*index]);
        Ok(solver)
    }

    /// How vertices hang together as far as it is certain.
    fn certain_wiring(&self, free: &[bool]) -> Wiring {
        let mut wiring = self.graph.wiring();
        if !self.env.caches.is_empty() {
            let uncertain = |index: &usize| !free[*index] && !self.stale[*index];
            for index in (0..free.len()).filter(uncertain) {
                wiring.inputs[index] = wiring.parents[index].into_iter().collect();
            }
        }
        wiring
    }
}

/// Which vertices read nothing that has to be looked at, nor anything that does.
fn free(graph: &Graph) -> Result<Vec<bool>, VertexError> {
    let mut free: Vec<bool> = Vec::new();
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let own = reads_nothing_outside(vertex);
        let own = own.map_err(|cause| VertexError { vertex: Some(index), cause })?;
        let is_free = own && vertex.reads().all(|id| free[id.0]);
        free.push(is_free);
    }
    Ok(free)
}

fn reads_nothing_outside(vertex: &Vertex) -> Result<bool, BuildCause> {
    let is_remote = |source: &CopySource| matches!(source, CopySource::Git(_) | CopySource::Url(_));
    if let Operation::Copy(step) = &vertex.operation
        && step.sources.iter().any(is_remote)
    {
        return Ok(false);
    }
    let is_here = |source: &FileSource| match source {
        FileSource::Context | FileSource::Directory(_) => false,
        FileSource::Input(_) | FileSource::Nothing => true,
    };
    Ok(references(vertex)?.iter().all(|(source, _)| is_here(source)))
}
