//! What can be wrong with a store.

use std::fmt;

use crate::digest::Digest;
use crate::error::ReadError;
use crate::id::LayerId;
use crate::live::compare::Difference;
use crate::object::{Kind, ObjectName};
use crate::oci::platform::Platform;
use crate::path::LayerPath;

/// Something in the store that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The table of a pack has changed.
    #[error("the table of {path} has changed")]
    Table {
        /// The pack.
        path: String,
    },
    /// An object is intact, but not what its id names.
    #[error("{kind:?} {id} in {path} holds other bytes")]
    WrongObject {
        /// The pack.
        path: String,
        /// What it is.
        kind: Kind,
        /// Its id, in hex.
        id: String,
    },
    /// A blob has changed.
    #[error("blob {digest} has changed")]
    Blob {
        /// The digest it should have.
        digest: Digest,
    },
    /// A part of the journal has changed.
    #[error("{path} has changed at byte {offset}")]
    Journal {
        /// The file.
        path: String,
        /// Where.
        offset: u64,
    },
    /// A record of the journal makes no sense.
    #[error("what is recorded of {what} makes no sense")]
    Record {
        /// What it is of.
        what: String,
    },
    /// An image that has a name is not to be had whole.
    #[error(transparent)]
    Image(#[from] ImageDamage),
    /// Files of a layer have bytes that are neither in a pack nor where the layer came from.
    #[error("layer {layer} lacks the bytes of {count} files, the first of them {path}")]
    MissingBodies {
        /// The layer.
        layer: LayerId,
        /// The first of the files.
        path: LayerPath,
        /// How many files.
        count: usize,
    },
    /// The directory of a layer is not as the layer is: someone has changed it.
    #[error("{directory} {} {path}", how.verb())]
    Directory {
        /// The directory, relative to the store.
        directory: String,
        /// Where in it.
        path: LayerPath,
        /// In which way.
        how: Difference,
    },
    /// The directory of a layer cannot be read.
    #[error("{directory}: {cause}")]
    UnreadableDirectory {
        /// The directory, relative to the store.
        directory: String,
        /// Why.
        cause: String,
    },
    /// A layer's record names a tree that is not there.
    #[error("layer {layer} needs a tree that is missing")]
    MissingTree {
        /// The layer.
        layer: LayerId,
    },
}

/// A part of an image that is not to be had: whoever asks for the image under this name fails.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("image {name}{}: {part}: {problem}", .platform.as_ref().map_or_else(String::new, |it| format!(" for {it}")))]
pub struct ImageDamage {
    /// The name.
    pub name: String,
    /// For which machines it is, where that is known.
    pub platform: Option<Platform>,
    /// Which part of it.
    pub part: ImagePart,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

/// A part of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ImagePart {
    /// The list of images for several platforms.
    Index(Digest),
    /// The list of its parts.
    Manifest(Digest),
    /// How to run it.
    Configuration(Digest),
    /// Some of its files.
    Layer {
        /// Which one, from 1 for the lowest.
        number: usize,
        /// Of how many.
        of: usize,
        /// What the manifest calls it.
        digest: Digest,
    },
}

/// Why a part of an image is not to be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProblem {
    /// The store has it in no form, and knows of no registry that has.
    #[error("it is missing")]
    Missing,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Its bytes are not those that its digest is of.
    #[error("its bytes have changed")]
    Changed,
    /// The list of its files cannot be had.
    #[error("the list of its files: {0}")]
    Tree(String),
    /// Bytes of files cannot be had.
    #[error("the bytes of {path}{}: {problem}", and_more(*.n_files))]
    Files {
        /// The first of the files.
        path: LayerPath,
        /// How many.
        n_files: usize,
        /// What is wrong with that one.
        problem: String,
    },
    /// A compressed part that it is put together from cannot be had.
    #[error("a compressed part of it, {:?} {}, is missing", .0.kind, crate::id::hex(&.0.id))]
    Part(ObjectName),
}

/// How many files there are besides the one that is named.
fn and_more(n_files: usize) -> String {
    if n_files < 2 { String::new() } else { format!(" and of {} more files", n_files - 1) }
}

impl ImagePart {
    /// What the image calls it.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Index(digest)
            | Self::Manifest(digest)
            | Self::Configuration(digest)
            | Self::Layer { digest, .. } => digest,
        }
    }
}

impl fmt::Display for ImagePart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(digest) => write!(out, "index {digest}"),
            Self::Manifest(digest) => write!(out, "manifest {digest}"),
            Self::Configuration(digest) => write!(out, "configuration {digest}"),
            Self::Layer { number, of, digest } => write!(out, "layer {number} of {of}, {digest}"),
        }
    }
}
