//! Images on their way out of a store.
//!
//! ```text
//! what a build made, one image a platform ── PlatformImages::encode ─┐
//! what a name of the store stands for ────── OutgoingImage::encode ──┴─► OutgoingImage
//!                                                                          ├─► push
//!                                                                          ├─► write_oci, write_docker
//!                                                                          ├─► write_layout
//!                                                                          └─► Engine::take, Loopback::serve
//! ```
//!
//! Layers lie in the store uncompressed, or as they came; they are compressed when they leave, and a
//! push sends those that are done while others are compressed. Layers of a base image that the store
//! lacks are fetched where they are needed, and those that the registry has are not needed.
//!
//! Nothing here prints, looks at the environment or at the clock.

pub mod ahead;
pub mod annotation;
pub mod archive;
pub mod attestation;
pub mod content;
mod docker;
pub mod encode;
pub mod engine;
pub mod error;
pub mod files;
pub mod image;
pub mod loopback;
pub mod options;
pub mod platforms;
pub mod push;
mod root;
pub mod statements;
