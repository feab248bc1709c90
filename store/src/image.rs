//! Images: from a name to documents that agree with each other, and into and out of the store.
//!
//! ```text
//! ImageSource ── resolve ──► ResolvedImage ── save ──► documents in the store
//!                                 └── fetch_blob ────► a layer's blob, when its bytes are needed
//! Store ── open_image ──► StoredImage                  a ref, read back
//!       └─ StoredContent ──► exporters and pushes
//! ```

pub mod blob_origin;
pub mod catalog;
pub mod docker_archive;
pub mod encode;
pub mod load;
pub mod local_output;
pub mod recode;
pub mod resolve;
pub mod rewrite;
pub mod rootfs;
pub mod save;
pub mod seekable;
mod select;
pub mod soci;
pub mod stacks;
pub mod tar_output;
pub mod whole;

#[cfg(test)]
mod tests;
