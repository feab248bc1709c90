//! Runs build steps in rootless namespaces.
//!
//! A program calls [`init`] first in `main`, while it has one thread: it enters one user
//! namespace, makes its mounts private and executes itself again from a read-only copy. From then
//! on it is root of that namespace, and any of its threads may [`run`] a [`Step`]: an overlay of
//! layer directories, a few mounts, a command, an identity. A step is compiled in safe Rust to a
//! flat list of operations ([`plan`]); the cloned child only interprets it.
//!
//! The library never prints, exits or reads the clock for a result. `unsafe` lives in `sys`,
//! `child` and `spawn`.

pub mod cancel;
pub mod error;
pub mod idmap;
pub mod outcome;
pub mod output;
pub mod step;

pub use cancel::Cancel;
pub use outcome::Outcome;
pub use output::{Output, Stream};
pub use step::Step;
mod seccomp;
