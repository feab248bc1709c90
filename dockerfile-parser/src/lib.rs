//! Dockerfiles as text and as syntax trees.
//!
//! Text goes in, a tree with byte spans and a list of diagnostics come out:
//!
//! ```
//! let parsed = wythe_dockerfile::parse::parse("FROM scratch\nRUNN make\n");
//! let finding = &parsed.diagnostics[0];
//! assert_eq!(finding.message, "unknown instruction: RUNN");
//! assert_eq!(finding.help.as_deref(), Some("did you mean RUN?"));
//! ```
//!
//! Everything here is a pure function of its arguments: no file is read, no variable of the
//! environment looked at. Words stay as written; they are expanded once the variables are known.

#![forbid(unsafe_code)]

pub mod ast;
pub mod diagnostic;
mod directive;
pub mod dump;
mod duration;
mod exec_form;
pub mod expand;
mod flag;
mod frontend;
mod heredoc;
pub mod line;
pub mod lint;
pub mod mount;
pub mod parse;
pub mod pattern;
pub mod span;
pub mod stage;
pub mod suggest;
mod words;
