//! A registry with the peculiarities of real ones, for testing clients.
//!
//! ```text
//! switch (the table) ──► Quirks ──► Server ── connection ── routes ──► registry
//!                                                  └── fault: what goes wrong on the wire
//! ```
//!
//! Without a switch it does what the distribution specification asks for, and is strict with clients:
//! state in the query of an upload has to come back byte for byte, and a manifest is refused unless all it
//! lists is there. Each [`switch`] makes it behave as a registry, or what stands in front of one, was seen to.
//!
//! There are two origins: the registry, and a storage that redirects and uploads may lead to. The storage wants
//! no credentials; those that reach it are counted as strays.

mod access;
mod answer;
mod blobs;
pub mod certificates;
mod connection;
mod contents;
pub mod fault;
pub mod journal;
mod manifests;
pub mod quirks;
mod referrers;
mod request;
mod routes;
pub mod server;
pub mod step;
pub mod switch;
mod uploads;
mod wire;

pub use journal::{Counts, Entry, Origin};
