//! Directories of unpacked layers.
//!
//! A step writes into a [`Scratch`](scratch::Scratch) directory, which becomes a layer by being
//! renamed. Layers that came as trees are made into directories when a step first needs them.

pub mod materialise;
pub mod scratch;
pub mod seal;
pub mod upper;
