//! The documents of the OCI image specification as values.
//!
//! Raw bytes are kept beside every parse: a digest is never recomputed from re-serialised JSON.

pub mod archive;
pub mod closure;
pub mod config;
pub mod content;
pub mod descriptor;
pub mod document;
mod frame;
pub mod growing;
pub mod index;
pub mod interruptible;
pub mod json;
pub mod layout;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod source;
pub mod transfer;
