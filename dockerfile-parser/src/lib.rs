//! Dockerfiles as text and as syntax trees.
//!
//! Text goes in, a tree with byte spans and a list of diagnostics come out. Everything here is a
//! pure function of its arguments: no file is read, no variable of the environment looked at.

#![forbid(unsafe_code)]

pub mod ast;
pub mod span;
