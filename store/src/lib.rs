//! A content-addressed store for the layers of container images.
//!
//! ```text
//! Store::open ──► Lease ── put ──► objects in packs, visible to this lease
//!                   └───── commit ──► records in the journal: visible to all, and kept
//! ```
//!
//! A layer is a [`tree`] and file bodies; tar streams, compressed blobs and directories for
//! overlay mounts are made from them when somebody asks ([`layer`], [`live`]). Any number of
//! processes and threads use a store at once, without a daemon.
//!
//! # Invariants
//!
//! * An object is immutable and named by the digest of its bytes; what is read is checked.
//! * What a commit has returned for survives a crash at any later moment.
//! * Nothing that a reference or a living lease leads to is collected.
//! * The same tree gives the same bytes: only [`layer::canonical`] decides them.
//!
//! # What is not here
//!
//! No Dockerfile, no socket, no terminal, no clock: times are handed in.

pub mod action;
pub mod blob;
pub mod body;
pub mod bytes;
pub mod cache_backend;
pub mod cache_mount;
mod chunk_list;
pub mod claims;
mod closure;
pub mod digest;
pub mod error;
pub mod format;
pub mod fsck;
pub mod gc;
pub mod id;
pub mod image;
pub mod index;
pub mod journal;
pub mod last_use;
pub mod layer;
pub mod layers;
pub mod lease;
pub mod live;
pub mod live_record;
pub mod map;
pub mod object;
pub mod oci;
pub mod open;
pub mod pack;
pub mod path;
pub mod patience;
pub mod place;
pub mod portable_action;
pub mod portable_blobs;
pub mod portable_bundle;
pub mod portable_document;
pub mod portable_listings;
pub mod portable_mount;
pub mod portable_record;
pub mod racy;
mod read_only;
pub mod record_origin;
mod recover;
pub mod refs;
mod relied;
mod reserve;
pub mod scan_record;
mod sealed;
pub mod side_by_side;
pub mod sim;
mod spare;
mod sparse;
mod spread;
mod stake;
pub mod stat_cache;
pub mod store;
pub mod sys;
pub mod timestamp;
mod trash;
pub mod tree;
pub mod unread;
pub mod usage;
pub mod vfs;
mod wire;
mod writeback;
