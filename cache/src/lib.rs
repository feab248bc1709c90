//! Caches of build results that machines share: clients of what people have anyway.
//!
//! # Invariants
//!
//! * Nothing that a server says is believed: whoever asks for a blob hashes it.
//! * No method waits longer than its requests may take.

mod action_result;
mod busy_time;
#[cfg(test)]
mod fake_web;
pub mod gha;
pub mod http;
mod parallel;
mod ranged;
mod requests;
