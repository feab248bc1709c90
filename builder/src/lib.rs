//! Builds container images from Dockerfiles.

pub mod account;
pub mod add;
pub mod assemble;
pub mod context;
pub mod copy;
pub mod demand;
pub mod execute;
pub mod graph;
pub mod history;
pub mod ignore;
pub mod key;
pub mod lower;
pub mod operation;
pub mod options;
pub mod progress;
pub mod schedule;
