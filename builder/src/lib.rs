//! Builds container images from Dockerfiles.

pub mod schedule;
