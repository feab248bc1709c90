//! What packs hold: kinds of objects, and how their ids follow from their bytes.

use crate::bytes::FileBytes;
use crate::digest::Digest;
use crate::error::ReadError;
use crate::id::{BodyId, TreeId};

/// A kind of object. An object is named by its kind and 32 bytes of id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The bytes of one regular file, by [`BodyId`].
    Body,
    /// The encoding of a tree, by [`TreeId`].
    Tree,
    /// How a blob is put together from fragments, by the digest of the blob.
    Recipe,
    /// A compressed run of tar headers and small files, by a key the layer code derives.
    Run,
    /// One file's compressed bytes, by a key the layer code derives.
    Fragment,
    /// A manifest, index or config as received or written, by its SHA-256.
    Document,
    /// Which bodies a long body consists of, by the [`BodyId`] of the whole.
    ChunkList,
}

/// The name of an object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// Its id within the kind.
    pub id: [u8; 32],
    /// What it is.
    pub kind: Kind,
}

/// How an object's bytes should lie in a pack. What does not shrink is stored raw either way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// As they are, so that reading them costs no copy.
    Raw,
    /// One zstd frame of level 1.
    Zstd,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Body,
        Self::Tree,
        Self::Recipe,
        Self::Run,
        Self::Fragment,
        Self::Document,
        Self::ChunkList,
    ];

    /// The number that stands for the kind in a pack.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Body => 1,
            Self::Tree => 2,
            Self::Recipe => 3,
            Self::Run => 4,
            Self::Fragment => 5,
            Self::Document => 6,
            Self::ChunkList => 7,
        }
    }

    /// The kind of a number.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The id these bytes must have; `None` for kinds whose id is a key of its own, which only
    /// the record's checksum ties to the bytes.
    pub fn identify(self, bytes: &[u8]) -> Option<[u8; 32]> {
        match self {
            Self::Body => Some(*BodyId::of(bytes).as_bytes()),
            Self::Tree => Some(*TreeId::of(bytes).as_bytes()),
            Self::Document => Some(*Digest::of(bytes).as_bytes()),
            Self::Recipe | Self::Run | Self::Fragment | Self::ChunkList => None,
        }
    }
}

impl Kind {
    /// As [`identify`](Self::identify), for bytes that may be too long for memory.
    pub(crate) fn identify_stored(self, bytes: &FileBytes) -> Result<Option<[u8; 32]>, ReadError> {
        if self != Self::Body {
            return Ok(self.identify(&bytes.load()?));
        }
        let mut hasher = BodyId::hasher();
        bytes.each::<ReadError>(&mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(Some(*BodyId::from_hasher(&hasher).as_bytes()))
    }
}

impl ObjectName {
    /// A name.
    pub fn new(kind: Kind, id: &[u8; 32]) -> Self {
        Self { id: *id, kind }
    }
}

impl Encoding {
    /// The number that stands for the encoding in a pack.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    /// The encoding of a number.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Raw, Self::Zstd].into_iter().find(|encoding| encoding.code() == code)
    }
}
