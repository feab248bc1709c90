//! Builds container images from Dockerfiles.

pub mod account;
pub mod context;
pub mod copy;
pub mod ignore;
pub mod demand;
pub mod schedule;
