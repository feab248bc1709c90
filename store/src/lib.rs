//! A content-addressed store for the layers of container images.

pub mod action;
pub mod blob;
pub mod body;
pub mod bytes;
pub mod digest;
pub mod error;
pub mod format;
pub mod id;
pub mod image;
pub mod index;
pub mod journal;
pub mod layers;
pub mod lease;
pub mod live_record;
pub mod map;
pub mod object;
pub mod oci;
pub mod pack;
mod recover;
pub mod refs;
pub mod sim;
pub mod store;
pub mod sys;
pub mod timestamp;
pub mod tree;
pub mod vfs;
mod wire;
