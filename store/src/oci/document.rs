//! Documents with the bytes they were read from.
//!
//! A digest names bytes, so the bytes that were read are what is stored and sent on; a parse of them
//! is only ever looked at.

use std::fmt;

use crate::digest::{Digest, ParseDigestError};
use crate::oci::descriptor::Descriptor;
use crate::oci::json::JsonError;
use crate::oci::media_type::MediaType;

/// The most bytes of a manifest, an index or a configuration that are read.
///
/// The distribution specification asks registries to take manifests of 4 MiB; twice that leaves room
/// and still bounds what a hostile server can make us hold.
pub const MAX_DOCUMENT: usize = 8 << 20;

/// A kind of document.
pub trait Document: Sized {
    /// What it is, for messages.
    const KIND: DocumentKind;

    /// Parses and validates.
    ///
    /// # Errors
    ///
    /// If the bytes break a rule of the specification that this kind is held to.
    fn parse(bytes: &[u8]) -> Result<Self, DocumentError>;

    /// The media type the document claims, or the one its kind has where it claims none.
    fn media_type(&self) -> MediaType;

    /// Whether a descriptor of type `media_type` may point at this document.
    fn is_called(&self, media_type: &MediaType) -> bool {
        self.media_type() == *media_type
    }

    /// Canonical bytes: compact, keys in a fixed order.
    fn to_bytes(&self) -> Vec<u8>;
}

/// Which kind of document an error is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DocumentKind {
    /// An image manifest.
    Manifest,
    /// An image index or manifest list.
    Index,
    /// An image configuration.
    Config,
    /// The `oci-layout` file of a layout directory.
    Layout,
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
            Self::Config => "image configuration",
            Self::Layout => "layout marker",
        })
    }
}

/// A document that was refused.
#[derive(Debug, thiserror::Error)]
#[error("invalid {kind}: {problem}")]
pub struct DocumentError {
    /// What it was read as.
    pub kind: DocumentKind,
    /// Why it was refused.
    #[source]
    pub problem: DocumentProblem,
}

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentProblem {
    /// Not acceptable JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another schema version than 2.
    #[error("schema version {found}, where only 2 is supported")]
    SchemaVersion {
        /// What the document says.
        found: u64,
    },
    /// The same bytes could be read as a manifest and as an index.
    #[error("it has fields of a manifest and of an index")]
    Ambiguous,
    /// A field that its kind must have is missing.
    #[error("field {field:?} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Its own media type is not one of its kind, or differs from the one it was announced with.
    #[error("media type is {found}, expected {expected}")]
    MediaType {
        /// What the document says.
        found: MediaType,
        /// What the descriptor or the kind calls for.
        expected: MediaType,
    },
    /// The bytes hash to something else.
    #[error("content has digest {found}, expected {expected}")]
    Digest {
        /// What the bytes hash to.
        found: Digest,
        /// What was asked for.
        expected: Digest,
    },
    /// The length differs from the descriptor's.
    #[error("content is {found} bytes long, expected {expected}")]
    Size {
        /// How many there are.
        found: u64,
        /// How many were announced.
        expected: u64,
    },
    /// More entries than any real document has.
    #[error("more than {limit} entries in {field:?}")]
    TooMany {
        /// The list.
        field: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// A digest in the document is not one.
    #[error(transparent)]
    ParseDigest(#[from] ParseDigestError),
    /// A layer is of a kind that cannot be read.
    #[error("layer {index} has the unsupported media type {media_type}")]
    LayerType {
        /// Which, from 0.
        index: usize,
        /// What it is called.
        media_type: MediaType,
    },
    /// Configuration and manifest disagree about how many layers there are.
    #[error("the configuration lists {diff_ids} layers, the manifest {layers}")]
    LayerCount {
        /// Entries of `rootfs.diff_ids`.
        diff_ids: usize,
        /// Entries of `layers`.
        layers: usize,
    },
    /// The version of a layout directory is not 1.0.0.
    #[error("layout version {found:?}, where only 1.0.0 is supported")]
    LayoutVersion {
        /// What it says.
        found: String,
    },
}

/// A parsed document beside its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawDocument<T> {
    bytes: Vec<u8>,
    value: T,
}

impl<T: Document> RawDocument<T> {
    /// Reads `bytes`, which must be what `descriptor` names: the same digest, size and media type.
    ///
    /// # Errors
    ///
    /// [`DocumentProblem::Digest`], [`DocumentProblem::Size`] or [`DocumentProblem::MediaType`] if
    /// they are not, and whatever [`Document::parse`] finds.
    pub fn read(descriptor: &Descriptor, bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let fail = |problem| DocumentError { kind: T::KIND, problem };
        verify(descriptor, &bytes).map_err(fail)?;
        let value = T::parse(&bytes)?;
        if !value.is_called(&descriptor.media_type) {
            let found = value.media_type();
            let expected = descriptor.media_type.clone();
            return Err(fail(DocumentProblem::MediaType { found, expected }));
        }
        Ok(Self { bytes, value })
    }

    /// Reads bytes that nothing describes.
    ///
    /// # Errors
    ///
    /// Whatever [`Document::parse`] finds.
    pub fn read_unnamed(bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let value = T::parse(&bytes)?;
        Ok(Self { bytes, value })
    }

    /// A document of ours.
    pub fn new(value: T) -> Self {
        Self { bytes: value.to_bytes(), value }
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parse.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What points at it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.value.media_type(), &self.bytes)
    }

    /// Bytes and parse apart.
    pub fn into_parts(self) -> (Vec<u8>, T) {
        (self.bytes, self.value)
    }
}

/// Checks that `bytes` are what `descriptor` names.
///
/// # Errors
///
/// [`DocumentProblem::Size`] or [`DocumentProblem::Digest`].
pub fn verify(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), DocumentProblem> {
    let length = bytes.len() as u64;
    if length != descriptor.size {
        return Err(DocumentProblem::Size { found: length, expected: descriptor.size });
    }
    let digest = Digest::of(bytes);
    if digest != descriptor.digest {
        return Err(DocumentProblem::Digest { found: digest, expected: descriptor.digest });
    }
    Ok(())
}
