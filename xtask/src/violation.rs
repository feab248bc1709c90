//! What a rule reports, and why a rule could not be applied.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A rule that is broken somewhere.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Violation {
    /// The file or crate.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub complaint: String,
}

impl Violation {
    /// A violation at a place.
    pub fn new(place: &str, complaint: String) -> Self {
        Self { place: place.to_owned(), complaint }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.complaint)
    }
}

/// Why the workspace could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TidyError {
    /// `cargo metadata` did not print what it is documented to print.
    #[error("cannot understand the answer of cargo metadata")]
    Metadata(#[source] serde_json::Error),
    /// A file or directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl TidyError {
    /// For `map_err` at a path.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Read { path: path.into(), cause }
    }
}
