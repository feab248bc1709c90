//! Builds container images from Dockerfiles.
//!
//! ```text
//! init ──► Builder::open ──► build ──► images in the store ──► keep, under their names
//!                               └─ events to a Progress, while it lasts
//! ```
//!
//! A program calls [`init`] first in `main`, opens a store and a [`Builder`](builder::Builder) in
//! it, and builds as often as it likes. Who wants to decide more
//! fills in an [`Environment`](environment::Environment) and calls [`build`](build::build).
//!
//! # Invariants
//!
//! * The same text, context, base images and options give the same image, byte for byte.
//! * A name is given to an image only after all of it is on disk.
//! * A build that fails or is cancelled leaves nothing but results that the next one can use.
//!
//! # What is not here
//!
//! No registry, no terminal, no environment, no clock: they come in through the environment of a
//! build. Sockets are opened for steps alone: to an agent, and where a list of hosts lets them. How an image leaves for a registry or an archive is the crate `wythe-delivery`'s to know.
//! Programs that want all of it as one value take the crate `wythe-api`.

pub mod add;
pub mod assemble;
mod bases;
pub mod build;
pub mod builder;
pub mod built;
pub mod caches;
pub mod context;
pub mod copy;
pub mod demand;
pub mod egress;
pub mod environment;
mod epoch;
pub mod error;
mod execute;
pub mod explain;
pub mod fetch;
mod finish;
pub mod graph;
pub mod ground;
pub mod history;
pub mod ignore;
pub mod input;
pub mod inspect;
pub mod key;
pub mod lint;
pub mod lower;
mod merge;
pub mod mount_identity;
pub mod operation;
pub mod options;
pub mod origin;
pub mod owner;
mod permits;
pub mod progress;
pub mod reason;
mod reference;
pub mod remote;
mod root;
pub mod schedule;
pub mod sealed;
pub mod shared_steps;
mod solve;
mod sources;
mod unfetched;
pub mod user;
pub mod view;
pub mod working_directory;

pub use wythe_sandbox::init;
