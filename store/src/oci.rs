//! The documents of the OCI image specification as values.
//!
//! Raw bytes are kept beside every parse: a digest is never recomputed from re-serialised JSON.

pub mod descriptor;
pub mod media_type;
pub mod platform;
