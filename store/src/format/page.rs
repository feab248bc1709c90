//! `docs/store-format.md` says what the code does: its words and numbers are compared with the
//! code's, in both directions.

mod tests;
