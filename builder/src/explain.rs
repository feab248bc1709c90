//! Why a step ran: what it is made from beside what the nearest earlier result was made from.
//!
//! With every result its [inputs](wythe_store::action::ActionRecord::inputs) are remembered, as names and
//! values that say the same on every machine: what the operation does, which base it stands on, which
//! step, which files it reads. Which files those were is a listing, a body of the store that stays as
//! long as the result. None of this is part of a key, and nothing but an explanation is lost with it.

mod compare;
pub(crate) mod durations;
pub(crate) mod inputs;
pub(crate) mod listing;
pub(crate) mod notes;
pub(crate) mod origins;
mod past;
mod stage;
mod subjects;

pub(crate) use self::compare::{Present, StepBelow};
pub(crate) use self::past::{Elsewhere, Past};
pub use self::past::{Remembered, remembered};
pub(crate) use self::stage::{KnownStages, StagePast};
