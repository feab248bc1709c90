//! What is shown to a person or a program.

pub(crate) mod lines;
pub(crate) mod quantity;
pub(crate) mod sanitize;
pub(crate) mod stopwatch;
pub(crate) mod table;
