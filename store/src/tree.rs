//! Trees: sets of files as immutable values.
//!
//! A [`Directory`](entry::Directory) is a sorted list of entries; directories are shared by `Arc`, so that a merge, a
//! copy of a subtree or a change deep inside costs only what it touches. The same type describes
//! three things: a *root file system* (no whiteouts, every directory explicit), a *changeset* (what
//! one layer does: whiteouts, opaque and implied directories) and a *context* (files to copy from).

pub mod build;
pub mod diff;
pub mod encode;
pub mod entry;
pub mod files;
pub mod limits;
pub mod links;
pub mod merge;
pub mod platforms;
pub mod resolve;
#[cfg(test)]
pub(crate) mod sketch;
pub(crate) mod skim;
pub mod stored;
pub mod times;
pub mod unnamed;
