//! The rules that turn expanded words into values of a graph.

pub mod args;
pub mod port;
pub mod remote;
