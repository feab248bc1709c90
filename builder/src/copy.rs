//! COPY and the local half of ADD, as functions on trees.
//!
//! ```text
//! CopySpec ── select(source) ──► Selection ── place(destination) ──► Tree (a changeset)
//!                                    └─ content_id ──► ContentId (the part of the key that is content)
//! ```
//!
//! Nothing is mounted, opened or walked on a disk. A directory that lands where nothing was is
//! shared with its source, so that copying a large tree costs a few entries.

pub mod canvas;
pub mod error;
pub(crate) mod filter;
pub(crate) mod glob;
pub mod heredoc;
pub mod key;
pub(crate) mod links;
pub mod mode;
pub mod place;
pub mod route;
pub mod select;
#[cfg(test)]
pub(crate) mod tests;

use wythe_store::timestamp::Timestamp;

use crate::owner::Owner;

use self::error::{CopyCause, CopyError};
use self::mode::ModeChange;
use self::route::Route;

/// What a COPY or ADD instruction asks for, with every word expanded.
#[derive(Clone, Debug, Default)]
pub struct CopySpec {
    /// Paths and patterns beneath the source's root.
    pub sources: Vec<String>,
    /// Absolute path in the destination, with the `/` or `/.` it was written with at its end.
    pub destination: String,
    /// Owner of everything that is written, instead of the source's.
    pub owner: Option<Owner>,
    /// Mode of everything that is written, instead of the source's.
    pub mode: Option<ModeChange>,
    /// Whether directories on the way to a source are recreated.
    pub layout: Layout,
    /// `--exclude` patterns, in the order written.
    pub exclude: Vec<String>,
    /// Whether what the destination holds is looked at.
    pub base: CopyTarget,
    /// Whether owner and mode of a directory that is a source are seen.
    pub tops: Tops,
    /// Modification time of directories that come from nowhere.
    pub created: Timestamp,
}

impl CopySpec {
    /// The routes a context has to be scanned along for this copy.
    ///
    /// # Errors
    /// A source whose pattern has no end.
    pub fn routes(&self) -> Result<Vec<Route>, CopyError> {
        let route = |word: &String| {
            let route = match (self.layout, word.split_once("/./")) {
                (Layout::Flat, _) => Route::flat(word),
                (Layout::Parents, None) => Route::nested(word),
                (Layout::Parents, Some((pivot, pattern))) => {
                    Route::flat(pivot).zip(Route::nested(pattern)).map(|(up, down)| down.after(up))
                }
            };
            let cause = CopyCause::Pattern;
            route.ok_or_else(|| CopyError { subject: word.clone(), cause })
        };
        self.sources.iter().map(route).collect()
    }
}

/// What becomes of the directories that lead to a source.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Layout {
    /// They are left out.
    #[default]
    Flat,
    /// `--parents`: they are recreated, from the root or from a `/./` on.
    Parents,
}

/// What becomes of owner, mode and attributes of a directory that is itself a source.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Tops {
    /// Only what is in it is copied.
    #[default]
    Unseen,
    /// It is mounted, and looked at.
    Seen,
}

/// What a copy is laid upon.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum CopyTarget {
    /// The destination: its links are followed and its directories kept.
    #[default]
    Destination,
    /// `--link`: nothing, so that the result does not depend on the destination.
    Nothing,
}
