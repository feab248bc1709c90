//! What is remembered of a stage as a whole, put in order once for all its steps that are not found.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::error::ReadError;
use wythe_store::store::Store;

use super::inputs::is_same_kind;
use super::notes::Place;
use super::past::records;
use crate::operation::facts::Fact;

/// What an operation of each kind is about, by names of facts: steps that have this in common are the
/// same step that was moved.
const ESSENCE: [&str; 8] =
    ["argument", "script", "path", "source", "heredoc", "url", "git", "destination"];

type Essence = Vec<Fact>;

/// What was read of stages: their numbers, what their places have in common, and what is remembered.
pub(crate) type KnownStages = HashMap<(usize, [u8; 16]), Arc<StagePast>>;

/// The steps that a stage has now, and the results that its places had when this was asked.
#[derive(Debug, Default)]
pub(crate) struct StagePast {
    operations: HashSet<Essence>,
    /// In the order of the places, and of each the latest first.
    results: HashMap<Essence, Vec<(Place, ActionRecord)>>,
}

impl StagePast {
    /// Of the stage of a place, whose steps do `operations` in this build.
    pub(crate) fn of(
        store: &Store,
        place: Place,
        operations: impl Iterator<Item = Vec<Fact>>,
    ) -> Result<Self, ReadError> {
        let operations = operations.map(|facts| essence(&facts)).collect();
        let mut results: HashMap<Essence, Vec<(Place, ActionRecord)>> = HashMap::new();
        for (place, known) in place.of_stage(store) {
            for action in records(store, &known)? {
                let about = essence(&action.inputs);
                results.entry(about).or_default().push((place, action));
            }
        }
        Ok(Self { operations, results })
    }

    /// Whether a result is of another step than the one with these inputs.
    pub(super) fn is_anothers(&self, result: &[Fact], inputs: &[Fact]) -> bool {
        let told = essence(result);
        told != essence(inputs) && self.operations.contains(&told)
    }

    /// Results that other places had of a step with these inputs, which was moved.
    pub(super) fn moved(&self, to: Place, inputs: &[Fact]) -> impl Iterator<Item = &ActionRecord> {
        let found = self.results.get(&essence(inputs)).into_iter().flatten();
        found
            .filter(move |(place, action)| *place != to && is_same_kind(&action.inputs, inputs))
            .map(|(_, action)| action)
    }
}

fn essence(facts: &[Fact]) -> Essence {
    facts.iter().filter(|(name, _)| ESSENCE.contains(&name.as_str())).cloned().collect()
}
