//! A content-addressed store for the layers of container images.

pub mod digest;
pub mod id;
pub mod image;
pub mod oci;
pub mod timestamp;
pub mod tree;
