//! Fetching what is remote.
//!
//! ```text
//! graph ── gather ──► fetch each once, at the same time ──► Remotes ──► keys and copies
//! ```
//!
//! Everything is fetched before the first key is computed, for keys are over what was fetched and
//! not over where it came from. What was fetched before is asked after with its validators.

mod checkout;
pub mod context;
mod file;
pub(crate) mod gather;
pub(crate) mod time;
mod worktree;

#[cfg(test)]
mod tests;
