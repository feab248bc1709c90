//! Why a tar stream is refused.

use std::io;

use crate::path::PathError;

/// A tar stream is refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot read tar entry {}", entry.escape_ascii())]
pub struct TarError {
    /// The entry, as spelled in the archive; the one before where its name cannot be known.
    pub entry: Vec<u8>,
    /// Why.
    #[source]
    pub cause: TarCause,
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
    /// A global header says more than comments.
    #[error("global header changes entries")]
    Global,
    /// Two extension headers of one kind precede an entry.
    #[error("repeated extension header")]
    Repeated,
    /// An extension header precedes nothing.
    #[error("extension header without an entry")]
    Dangling,
    /// Sparse files are stored in a form that readers disagree on.
    #[error("sparse files are not supported")]
    Sparse,
    /// An entry of a kind that is no file.
    #[error("unknown entry type {}", .0.escape_ascii())]
    Kind(u8),
    /// The path is not acceptable.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A link has no target, or one that no file system can hold.
    #[error("invalid link target")]
    Target,
    /// The root is something else than a directory.
    #[error("the root is not a directory")]
    Root,
    /// Metadata of an overlay file system would change what lower layers show.
    #[error("entry carries overlay file system metadata")]
    Overlay,
    /// Extended attributes exceed their limits.
    #[error("extended attributes are too large")]
    Xattrs,
    /// What is no file claims to have bytes.
    #[error("entry without content has a size")]
    Size,
    /// More entries than a layer has.
    #[error("too many entries")]
    TooMany,
    /// More bytes than a layer unpacks to.
    #[error("unpacks to too many bytes")]
    TooLarge,
    /// The stream ends in the middle.
    #[error("unexpected end")]
    Truncated,
    /// One block of zeros, which some readers take for the end, and then more.
    #[error("data after a single block of zeros")]
    LoneZeros,
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
