//! Caches of build results that machines share: clients of what people have anyway.
//!
//! # Invariants
//!
//! * Nothing that a server says is believed: whoever asks for a blob hashes it.
//! * No method waits longer than its requests may take.
//! * What others have written is never overwritten: it is merged with, or left alone.
//!
//! Each engine is a [`CacheBackend`](wythe_store::cache_backend::CacheBackend), and keeps to one [`contract`].

mod action_result;
mod bundles;
mod busy_time;
pub mod contract;
pub mod counted;
pub mod deferred;
#[cfg(test)]
mod fake_web;
pub mod gha;
pub mod http;
mod inline;
pub mod layout_archive;
pub mod local;
pub mod mount_upload;
mod pack;
pub mod parallel;
pub mod protobuf;
mod ranged;
pub mod registry;
mod requests;
pub mod s3;
pub mod scope;
pub mod signature;
pub mod signed;
pub mod upload;
