//! Bake files, and the builds of Compose files, as values.
//!
//! Files go in, as text: HCL, JSON, Compose's YAML. A [`definition::Definition`] comes out, which
//! knows its targets, groups and variables; asked for some of them, with what the command line changes,
//! it gives a [`plan::Plan`]: targets with everything said.
//!
//! Nothing here reads a file or a variable of the environment: a
//! [`surroundings::Surroundings`] is asked, which the caller brings along.

#![forbid(unsafe_code)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other kind than the wanted ones is refused, whatever kinds there will be"
)]

pub mod compose;
mod csv;
pub mod definition;
pub mod error;
mod evaluate;
mod function;
mod kind;
mod number;
pub mod overrides;
mod path;
pub mod plan;
mod resolve;
pub mod source;
pub mod surroundings;
mod syntax;
pub mod target;
mod value;
