//! Definition files as trees, whatever their format.

pub(crate) mod body;
pub(crate) mod expression;
pub(crate) mod hcl;
pub(crate) mod json;
mod template;
