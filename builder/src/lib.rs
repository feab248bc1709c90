//! Builds container images from Dockerfiles.

pub mod account;
pub mod add;
pub mod assemble;
mod bases;
pub mod build;
pub mod context;
pub mod copy;
pub mod demand;
pub mod environment;
pub mod error;
pub mod execute;
mod explain;
mod finish;
pub mod graph;
pub mod history;
pub mod ignore;
pub mod key;
pub mod lint;
pub mod lower;
mod merge;
pub mod operation;
pub mod options;
pub mod origin;
pub mod progress;
pub mod remote;
mod root;
pub mod schedule;
mod solve;
mod sources;
pub mod workshop;

pub use wythe_sandbox::init;
