//! `type=reapi`: a cache that speaks the remote execution API of Bazel (version 2) over gRPC, of which its content-addressable
//! storage and its action cache are used: `BuildBuddy`, Buildbarn, bazel-remote, `BuildGrid`, `NativeLink`.
//!
//! # Invariants
//!
//! * Nothing that a server says is believed: whoever asks for a blob hashes it.
//! * No call waits longer than it may take, and none is made twice that may not be.
//! * Nobody else needs what this crate needs: it is one cargo feature of the program.
//!
//! ```text
//! message ── wire   what is said, as protocol buffers
//! grpc    ── channel (h2, TLS)   how it is said
//! cache   ── CacheBackend        why
//! ```

mod address;
mod cache;
mod channel;
mod grpc;
mod message;

pub use self::address::{ReapiAddress, ReapiAddressError};
pub use self::cache::{ReapiCache, ReapiOptions};

#[cfg(test)]
mod tests;
