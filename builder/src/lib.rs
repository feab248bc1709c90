//! Builds container images from Dockerfiles.

pub mod account;
pub mod add;
pub mod context;
pub mod copy;
pub mod demand;
pub mod ignore;
pub mod schedule;
