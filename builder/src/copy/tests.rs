//! COPY as a table of cases, and against plain file operations.

mod exclude;
mod reference;
pub(crate) mod sketch;
mod table;
