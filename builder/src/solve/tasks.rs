//! What a solver does of a graph, and what of it waits for what.

use std::collections::BTreeMap;

use super::Solver;
use crate::error::BuildCause;
use crate::graph::VertexId;
use crate::schedule::Plan;

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
    pub(super) fn vertex(self) -> usize {
        match self {
            Self::Run(index) | Self::Make(index) | Self::Place(index) => index,
        }
    }
}

impl Solver<'_> {
    /// What is to be done, and what waits for what. A copy that does not look at what is below it makes
    /// its layer without waiting for that, and is put over it when both are there.
    pub(super) fn plan(&self) -> (Vec<Task>, Plan) {
        let (mut tasks, mut plan, mut ends) = (Vec::new(), Plan::default(), BTreeMap::new());
        for &index in &self.found.unknown {
            let vertex = &self.graph.vertices[index];
            let end = |id: VertexId| ends.get(&id.0).copied();
            let inputs = vertex.inputs.iter().filter_map(|id| end(*id));
            match vertex.parent.and_then(end) {
                Some(parent) if vertex.operation.stands_alone() => {
                    plan.inputs.push(inputs.collect());
                    tasks.push(Task::Make(index));
                    plan.inputs.push(vec![parent, tasks.len() - 1]);
                    tasks.push(Task::Place(index));
                }
                parent => {
                    plan.inputs.push(parent.into_iter().chain(inputs).collect());
                    tasks.push(Task::Run(index));
                }
            }
            ends.insert(index, tasks.len() - 1);
        }
        (tasks, plan)
    }

    /// Does it.
    pub(super) fn task(&self, task: Task) -> Result<(), BuildCause> {
        match task {
            Task::Run(index) => {
                let (layer, created) = self.run(index)?;
                self.put(index, layer, created);
                Ok(())
            }
            Task::Make(index) => {
                // Every vertex is solved once.
                let _ = self.loose[index].set(self.run(index)?);
                Ok(())
            }
            Task::Place(index) => {
                if let Some(&(layer, created)) = self.loose[index].get() {
                    self.put(index, layer, created);
                }
                Ok(())
            }
        }
    }
}
