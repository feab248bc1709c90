//! The OCI distribution protocol as a client.
//!
//! ```text
//! Settings ──► Client ── ImageSource ──► manifests and blobs in      (resolve, pull)
//!                 └───── push ─────────► blobs and manifests out
//! ```
//!
//! # Invariants
//!
//! * A credential goes to the origin it was looked up for, and to the token service that this origin
//!   named where nobody in between could have named another.
//! * Plain HTTP is spoken, and a certificate of nobody believed, only with loopback addresses and with hosts
//!   the caller listed.
//! * A manifest is handed over only if it hashes to what was asked for.
//! * A tag is written after everything it leads to.
//!
//! The environment, the clock and the terminal are the caller's: see [`settings::Settings`].

mod agent;
mod auth;
pub mod challenge;
pub mod client;
pub mod credentials;
pub mod delivered;
mod download;
pub mod error;
pub mod exchange;
pub mod fake;
pub mod hosts;
pub mod learned;
pub mod login;
mod manifest;
mod mirrored;
pub mod notice;
pub mod objects;
mod origin;
mod pieces;
mod places;
pub mod profile;
pub mod proxy;
pub mod push;
mod ranges;
mod realm;
pub mod referrers;
pub mod retry;
pub mod settings;
mod tls;
pub mod traffic;
mod transport;
mod upload;
pub mod web;
