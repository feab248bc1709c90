//! Runs build steps in rootless namespaces.
//!
//! A program calls [`init`] first in `main`, while it has one thread: it enters one user
//! namespace, makes its mounts private and executes itself again from a read-only copy. From then
//! on it is root of that namespace, and any of its threads may [`run`] a [`Step`]: an overlay of
//! layer directories, a few mounts, a command, an identity. A step is compiled in safe Rust to a
//! flat list of operations (`plan`); the cloned child only interprets it.
//!
//! ```no_run
//! use wythe_sandbox::step::{RootFs, Scratch};
//! use wythe_sandbox::{Cancel, Output, Step, Stream};
//!
//! struct Terminal;
//!
//! impl Output for Terminal {
//!     fn write(&self, _: Stream, bytes: &[u8]) {
//!         print!("{}", String::from_utf8_lossy(bytes));
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     wythe_sandbox::init()?;
//!     let root = RootFs::Layers {
//!         lowers: vec!["/layers/base".into()],
//!         scratch: Scratch { upper: "/layers/new".into(), work: "/layers/work".into() },
//!     };
//!     let step = Step::new(root, vec![b"/bin/true".to_vec()]);
//!     let outcome = wythe_sandbox::run(&step, &Terminal, &Cancel::new()?)?;
//!     std::process::exit(outcome.code())
//! }
//! ```
//!
//! The library never prints, exits or reads the clock for a result. `unsafe` lives in `sys`
//! and `spawn`.

mod below;
pub mod binfmt;
pub mod cancel;
mod channel;
mod child;
pub mod chroot;
pub mod enter;
pub mod error;
mod group;
mod guarded;
pub mod idmap;
mod leftovers;
pub mod mounted_layers;
mod nest;
pub mod network;
pub mod outcome;
pub mod output;
mod overlay;
mod pipes;
mod plan;
pub mod probe;
pub mod quota;
mod run;
mod seal;
mod seccomp;
mod spawn;
pub mod step;
mod supervisor;
mod sys;
pub mod terminal;
mod watch;

pub use binfmt::Emulators;
pub use cancel::Cancel;
pub use enter::{Entry, InitError, init};
pub use error::StepError;
pub use outcome::Outcome;
pub use output::{Output, Stream};
pub use overlay::stacks_layers;
pub use run::run;
pub use step::Step;
