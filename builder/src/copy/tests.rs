//! COPY as a table of cases, and against plain file operations.

mod reference;
pub(crate) mod sketch;
mod table;
