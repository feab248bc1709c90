//! Damage of any object is traced to the images that suffer from it, and repaired where it can be.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

mod made;
mod named;
mod repaired;
