//! What a solver does of a graph, and what of it waits for what.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use super::Solver;
use crate::error::VertexError;
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

    /// Does it, and hands what was made on to be settled.
    pub(super) fn task(&self, task: Task, made: &Sender<usize>) -> Result<(), VertexError> {
        let (index, (layer, created)) = match task {
            Task::Run(index) => (index, self.run(index)?),
            Task::Make(index) => {
                // Every vertex is solved once.
                let _ = self.loose[index].set(self.run(index)?);
                return Ok(());
            }
            Task::Place(index) => match self.loose[index].get() {
                Some(known) => (index, *known),
                None => return Ok(()),
            },
        };
        self.put(index, layer, created)?;
        if self.ran[index].load(Ordering::Relaxed) {
            // Where settling has ended already, it says why.
            made.send(index).unwrap_or_default();
        }
        Ok(())
    }
}
