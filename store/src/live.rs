//! Directories of unpacked layers.
//!
//! A step writes into a [`Scratch`](scratch::Scratch) directory, which becomes a layer by being
//! renamed. Layers that came as trees are made into directories when a step first needs them.

mod attributes;
mod building;
pub mod compare;
pub mod correction;
pub mod device;
pub mod ensure;
pub(crate) mod files;
mod filler;
pub mod found;
pub mod gather;
pub mod materialise;
pub(crate) mod mount_change;
pub mod mount_read;
pub(crate) mod mount_reread;
pub mod mount_seen;
pub mod mount_write;
pub mod naming;
pub mod owner;
mod owners;
mod place;
pub mod reading;
pub mod scratch;
pub mod seal;
pub mod small;
pub mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod unpack;
pub mod upper;
pub mod whole;
