//! Why a tar stream is refused.

use std::fmt;
use std::io;

use crate::layer::limits::Exceeded;
use crate::path::PathError;
use crate::tree::limits::LimitCause;

/// A tar stream is refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {place}")]
pub struct TarError {
    /// Where.
    pub place: TarLocation,
    /// Why.
    #[source]
    pub cause: TarCause,
}

/// A place in a tar stream; names are as spelled there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TarLocation {
    /// In the entry of this name.
    Entry(Vec<u8>),
    /// In the header at this byte, whose entry has no name yet.
    Header {
        /// The byte of the stream that the header begins at.
        at: u64,
        /// The entry before; empty where this is the first.
        after: Vec<u8>,
    },
}

impl fmt::Display for TarLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(out, "tar entry {}", name.escape_ascii()),
            Self::Header { at, after } if after.is_empty() => {
                write!(out, "the tar header at byte {at}")
            }
            Self::Header { at, after } => {
                write!(out, "the tar header at byte {at}, after entry {}", after.escape_ascii())
            }
        }
    }
}

/// Why a tar stream is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarCause {
    /// A header's checksum is wrong.
    #[error("header checksum mismatch")]
    Checksum,
    /// A numeric field is no number, negative, or out of range.
    #[error("{0} is not a valid number")]
    Number(&'static str),
    /// A PAX header is malformed.
    #[error("malformed pax header")]
    Pax,
    /// An extension header is longer than we read.
    #[error("extension header is too large")]
    HugeHeader,
    /// Two extension headers of one kind precede an entry.
    #[error("repeated extension header")]
    Repeated,
    /// An extension header precedes nothing.
    #[error("extension header without an entry")]
    Dangling,
    /// The map of a file with holes makes no sense, or is in a form that nobody knows.
    #[error("malformed sparse map")]
    Sparse,
    /// An entry of a kind that is no file.
    #[error("unknown entry type {}", .0.escape_ascii())]
    Kind(u8),
    /// The path is not acceptable.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is past a limit of what a layer may hold.
    #[error(transparent)]
    Limit(#[from] LimitCause),
    /// Metadata of an overlay file system would change what lower layers show.
    #[error("entry carries overlay file system metadata")]
    Overlay,
    /// What is no file claims to have bytes.
    #[error("entry without content has a size")]
    Size,
    /// It costs more than is declared.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The stream ends in the middle.
    #[error("unexpected end")]
    Truncated,
    /// One block of zeros, which some readers take for the end, and then more.
    #[error("data after a single block of zeros")]
    LoneZeros,
    /// The input failed behind the end of the archive, of which everything has been read.
    #[error("cannot read what is behind the end: {0}")]
    Behind(io::Error),
    /// The input failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl TarCause {
    /// The cause of a failed exact read.
    pub(super) fn from_read(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}
