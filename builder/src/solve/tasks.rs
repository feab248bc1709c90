//! What a solver does of a graph, and what of it waits for what.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use super::Solver;
use crate::error::VertexError;
use crate::graph::VertexId;
use crate::schedule::Planned;

/// Something to be done for a vertex.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// All of it.
    Run(usize),
    /// Its layer.
    Make(usize),
    /// To put that over what is below.
    Place(usize),
}

impl Task {
    /// What it is done for.
    pub(super) fn vertex(self) -> usize {
        let (Self::Run(index) | Self::Make(index) | Self::Place(index)) = self;
        index
    }
}

impl Solver<'_> {
    /// What is to be done, and what waits for what; `ends` has the number of the last task of each vertex,
    /// and those that were begun are in it. A copy that does not look at what is below it makes its layer
    /// without waiting for that, and is put over it when both are there.
    pub(super) fn tasks(&self, ends: &mut BTreeMap<usize, usize>) -> Vec<Planned<(&Self, Task)>> {
        let first = ends.values().map(|last| last + 1).max().unwrap_or(0);
        let mut planned: Vec<Planned<(&Self, Task)>> = Vec::new();
        for &index in self.found.unknown.iter().filter(|index| !self.begun.contains(index)) {
            let vertex = &self.graph.vertices[index];
            let end = |id: VertexId| ends.get(&id.0).copied();
            let inputs = vertex.inputs.iter().filter_map(|id| end(*id)).collect();
            match vertex.parent.and_then(end) {
                Some(parent) if vertex.operation.stands_alone() => {
                    planned.push(((self, Task::Make(index)), inputs));
                    let layer = first + planned.len() - 1;
                    planned.push(((self, Task::Place(index)), vec![parent, layer]));
                }
                parent => {
                    let inputs = parent.into_iter().chain(inputs).collect();
                    planned.push(((self, Task::Run(index)), inputs));
                }
            }
            ends.insert(index, first + planned.len() - 1);
        }
        planned
    }

    /// Does it, and hands what was made on to be settled.
    pub(super) fn task<'s>(
        &'s self,
        task: Task,
        made: &Sender<(&'s Self, Task)>,
    ) -> Result<(), VertexError> {
        let (index, (layer, created)) = match task {
            Task::Run(index) => (index, self.run(index)?),
            Task::Make(index) => {
                // Every vertex is solved once.
                let _ = self.work.loose[index].set(self.run(index)?);
                return Ok(());
            }
            Task::Place(index) => match self.work.loose[index].get() {
                Some(known) => (index, *known),
                None => return Ok(()),
            },
        };
        self.put(index, layer, created)?;
        if self.work.ran(index) {
            // Where settling has ended already, it says why.
            made.send((self, task)).unwrap_or_default();
        }
        Ok(())
    }
}
