//! What is remembered of earlier results, and which of them is nearest.

use wythe_store::action::ActionRecord;
use wythe_store::error::ReadError;
use wythe_store::id::{BodyId, CacheKey, LayerId, unhex};
use wythe_store::record_origin::RecordOrigin;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;

use super::compare::{Present, StepBelow, kept_listing};
use super::inputs::{has_kind, is_same_kind};
use super::notes::{Place, PlaceResults, StepOutcome};
use super::origins::origin_of;
use super::stage::StagePast;
use crate::operation::facts::Fact;
use crate::reason::{InputChange, Reason};

/// Files count as so many changes at the most.
const MAX_WEIGHT: usize = 16;

/// How much a change counts of which it is not known how many files it is.
const UNKNOWN_WEIGHT: usize = 8;

/// The latest result of a place that another machine has made, and where and from what that was.
pub(crate) type Elsewhere = (ActionRecord, Option<RecordOrigin>);

/// The earlier results of a step.
#[derive(Debug)]
pub(crate) struct Past<'s> {
    store: &'s Store,
    own: PlaceResults,
    /// Results of the place, the latest first, and then those of its neighbours.
    candidates: Vec<ActionRecord>,
    /// What another machine says of one of them.
    origin: Option<ResultOrigin>,
}

/// Of which result, and when it was made: one that was made under the same key here is another.
type ResultOrigin = ((CacheKey, Timestamp), RecordOrigin);

impl<'s> Past<'s> {
    /// What is remembered of the place of a step that has `inputs`, here and by other machines
    /// (`elsewhere`). What another step of the stage makes now is not its own.
    pub(crate) fn of(
        store: &'s Store,
        (place, elsewhere): (Place, Option<Elsewhere>),
        inputs: &[Fact],
        stage: &StagePast,
    ) -> Result<Self, ReadError> {
        let own = place.results(store);
        let (action, origin) = elsewhere.unzip();
        let action = action.filter(|action| has_kind(&action.inputs));
        let of = action.as_ref().map(|action| (action.key, action.created));
        let origin = of.zip(origin.flatten());
        let mut candidates = records(store, &own)?;
        candidates.extend(action);
        candidates.retain(|action| {
            is_same_kind(&action.inputs, inputs) && !stage.is_anothers(&action.inputs, inputs)
        });
        candidates.extend(stage.moved(place, inputs).cloned());
        Ok(Self { store, own, candidates, origin })
    }

    /// Why a step that is remembered under `key` was not found.
    pub(crate) fn reason(&self, key: &CacheKey, present: Present<'_>) -> Reason {
        match self.own.0.iter().find(|(known, _)| known == key) {
            Some((_, StepOutcome::Failed)) => return Reason::Failed,
            Some((_, StepOutcome::Made)) => return Reason::Evicted,
            None => {}
        }
        match self.nearest(present) {
            Some((earlier, changes)) => {
                let origin = self.origin_of(earlier);
                let (earlier, created) = (earlier.key, earlier.created);
                Reason::Changed { earlier, created, origin, changes }
            }
            None if self.own.0.is_empty() => Reason::Unknown,
            None if self.candidates.is_empty() && self.are_all_gone() => Reason::Evicted,
            None => Reason::Unknown,
        }
    }

    /// Where another machine made a result, as its cache says, or said when it was found.
    fn origin_of(&self, result: &ActionRecord) -> Option<RecordOrigin> {
        let told = self.origin.as_ref().filter(|(of, _)| *of == (result.key, result.created));
        told.map(|(_, origin)| origin.clone()).or_else(|| origin_of(self.store, result))
    }

    /// The result from which the least has changed, the first of several.
    fn nearest(&self, present: Present<'_>) -> Option<(&ActionRecord, Vec<InputChange>)> {
        let mut nearest: Option<(usize, &ActionRecord, Vec<InputChange>)> = None;
        for earlier in &self.candidates {
            let changes = changes(self.store, earlier, present);
            let distance = changes.iter().map(weight).sum::<usize>();
            if changes.is_empty() || nearest.as_ref().is_some_and(|(least, ..)| *least <= distance)
            {
                continue;
            }
            nearest = Some((distance, earlier, changes));
            // None is nearer than by one change, and each may be a look through all files of a context.
            if distance <= 1 {
                break;
            }
        }
        nearest.map(|(_, earlier, changes)| (earlier, changes))
    }

    fn are_all_gone(&self) -> bool {
        let made = self.own.0.iter().filter(|(_, outcome)| *outcome == StepOutcome::Made);
        let keys: Vec<&CacheKey> = made.map(|(key, _)| key).collect();
        let is_gone = |key: &&CacheKey| matches!(self.store.action(key), Ok(None));
        !keys.is_empty() && keys.iter().all(is_gone)
    }
}

/// A result, and what it was made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    /// Under which key.
    pub key: CacheKey,
    /// The layer it made.
    pub layer: Option<LayerId>,
    /// When it was made.
    pub created: Timestamp,
    /// Where and from which source, if it is another machine's that says so.
    pub origin: Option<RecordOrigin>,
    /// What it was made from, as names and values.
    pub inputs: Vec<(String, String)>,
    /// Why it was made and no result before it taken, as far as that is known.
    pub reason: Reason,
}

/// What is remembered under a key; `None` where nothing is, or where that does not say what it was made
/// from.
///
/// # Errors
///
/// If the store cannot be read.
pub fn remembered(store: &Store, key: &CacheKey) -> Result<Option<Remembered>, ReadError> {
    let Some(action) = store.action(key)?.filter(|action| has_kind(&action.inputs)) else {
        return Ok(None);
    };
    let PlaceResults(mut since) = PlaceResults::since(store, key).unwrap_or_default();
    let before = if since.is_empty() { Vec::new() } else { since.split_off(1) };
    let mut candidates = records(store, &PlaceResults(before))?;
    candidates.retain(|earlier| is_same_kind(&earlier.inputs, &action.inputs));
    let listings = |within: &str| listing(store, &action.inputs, within);
    let present = Present { inputs: &action.inputs, listings: &listings, below: StepBelow::Stood };
    let past = Past { store, own: PlaceResults::default(), candidates, origin: None };
    let reason = past.reason(key, present);
    let origin = origin_of(store, &action);
    let ActionRecord { key, layer, created, inputs } = action;
    Ok(Some(Remembered { key, layer, created, origin, inputs, reason }))
}

fn changes(store: &Store, earlier: &ActionRecord, present: Present<'_>) -> Vec<InputChange> {
    let listings = |within: &str| listing(store, &earlier.inputs, within);
    present.changes_since(&earlier.inputs, &listings)
}

/// A kept listing, where the store still has it.
fn listing(store: &Store, inputs: &[Fact], within: &str) -> Option<Vec<u8>> {
    let id = BodyId::from_bytes(unhex(kept_listing(inputs, within)?)?);
    let load = || store.body(&id)?.map(|body| body.load()).transpose();
    match load() {
        Ok(bytes) => bytes.map(|bytes| bytes.to_vec()),
        Err(error) => {
            tracing::debug!(%error, "cannot read a listing");
            None
        }
    }
}

pub(super) fn records(
    store: &Store,
    results: &PlaceResults,
) -> Result<Vec<ActionRecord>, ReadError> {
    let made = results.0.iter().filter(|(_, outcome)| *outcome == StepOutcome::Made);
    let found = made.map(|(key, _)| store.action(key)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().filter(|action| has_kind(&action.inputs)).collect())
}

fn weight(change: &InputChange) -> usize {
    match change {
        InputChange::Files { files, more, .. } => (files.len() + more).min(MAX_WEIGHT),
        InputChange::Contents { .. } => UNKNOWN_WEIGHT,
        InputChange::Value { .. }
        | InputChange::Hidden { .. }
        | InputChange::Base { .. }
        | InputChange::Step { .. } => 1,
    }
}
