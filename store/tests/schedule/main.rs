//! Several processes on one store, in orders that are chosen: builders, pullers, collectors and
//! recoveries, interleaved before every operation that others could notice, killed at each, and
//! the power cut at each.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

mod checks;
mod fixtures;
mod held;
mod kept;
mod plays;
mod searched;
