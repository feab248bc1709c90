//! Where images come from: the seam between what resolves an image and what fetches its bytes.

use std::io::{self, Read};

use crate::oci::descriptor::Descriptor;
use crate::oci::document::{DocumentError, DocumentProblem};
use crate::oci::media_type::MediaType;
use crate::oci::reference::Reference;

/// Fetches images by reference.
///
/// A manifest is handed over whole, and hashes to the digest of its descriptor and to that of the
/// reference if it has one. A blob is *not* verified: the reader yields what the other side sent, and
/// whoever stores it checks size and digest.
pub trait ImageSource: Sync {
    /// The manifest or index that `reference` names, with its exact bytes.
    ///
    /// # Errors
    ///
    /// [`SourceProblem::NotFound`] if there is none; the class of the error says what else went wrong.
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError>;

    /// A reader of a blob in the repository of `reference`.
    ///
    /// # Errors
    ///
    /// [`SourceProblem::NotFound`] if the repository does not hold it.
    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError>;

    /// A reader of a blob from one of the places outside that its descriptor names.
    ///
    /// # Errors
    ///
    /// [`SourceProblem::NotFound`] if none has it, or this source looks at no other place.
    fn elsewhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let detail = descriptor.digest.to_string();
        Err(SourceError::new(reference, SourceProblem::NotFound { detail }))
    }

    /// What `reference` points at now, without fetching more than that takes.
    ///
    /// # Errors
    ///
    /// As [`manifest`](Self::manifest).
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.manifest(reference).map(|(descriptor, _)| descriptor)
    }
}

/// A source that could not deliver.
#[derive(Debug, thiserror::Error)]
#[error("{reference}: {problem}")]
pub struct SourceError {
    /// What was asked for, as people write it.
    pub reference: String,
    /// Why it was not delivered.
    #[source]
    pub problem: SourceProblem,
}

/// Why a source did not deliver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceProblem {
    /// There is no such image, manifest or blob.
    #[error("not found: {detail}")]
    NotFound {
        /// What the source said.
        detail: String,
    },
    /// The source wants credentials, or better ones.
    #[error("access denied: {detail}")]
    Unauthorized {
        /// What the source said.
        detail: String,
    },
    /// The source was not reached, or gave up midway.
    #[error("{detail}")]
    Network {
        /// What failed.
        detail: String,
    },
    /// What a source of another crate reported, which those who know that crate may look into.
    #[error("{}{error}", if *class == SourceErrorClass::NotFound { "not found: " } else { "" })]
    Other {
        /// What kind of failure it is.
        class: SourceErrorClass,
        /// The report.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The source answered what the protocol does not allow.
    #[error("unexpected answer: {detail}")]
    Protocol {
        /// What it answered.
        detail: String,
    },
    /// A document is larger than any real one.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read.
        limit: u64,
    },
    /// Something this program does not read, such as a schema 1 manifest.
    #[error("{media_type} is not supported")]
    Unsupported {
        /// What it is.
        media_type: MediaType,
    },
    /// No image of the index is for the wanted platform.
    #[error("no image for {wanted}; there is {available}")]
    NoPlatform {
        /// What was asked for.
        wanted: String,
        /// What the index lists.
        available: String,
    },
    /// A document broke a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A document contradicts what pointed at it.
    #[error(transparent)]
    Mismatch(#[from] DocumentProblem),
    /// Reading a local source failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What kind of failure it is, for those who choose an exit code or whether to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceErrorClass {
    /// There is no such thing.
    NotFound,
    /// A place of this machine has no such thing, though the caller has named both.
    Absent,
    /// Credentials are missing or too weak.
    Unauthorized,
    /// The network, or the other side, failed.
    Network,
    /// The other side broke the protocol, or its content is not what it claims.
    Refused,
    /// What was asked for is valid and not supported.
    Unsupported,
    /// A local file could not be read.
    Local,
}

impl SourceError {
    /// An error about `reference`.
    pub fn new(reference: &Reference, problem: impl Into<SourceProblem>) -> Self {
        Self { reference: reference.to_string(), problem: problem.into() }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> SourceErrorClass {
        match &self.problem {
            SourceProblem::Other { class, .. } => *class,
            SourceProblem::NotFound { .. } => SourceErrorClass::NotFound,
            SourceProblem::Unauthorized { .. } => SourceErrorClass::Unauthorized,
            SourceProblem::Network { .. } => SourceErrorClass::Network,
            SourceProblem::Protocol { .. }
            | SourceProblem::TooLarge { .. }
            | SourceProblem::Document(_)
            | SourceProblem::Mismatch(_) => SourceErrorClass::Refused,
            SourceProblem::Unsupported { .. } | SourceProblem::NoPlatform { .. } => {
                SourceErrorClass::Unsupported
            }
            SourceProblem::Io(_) => SourceErrorClass::Local,
        }
    }
}
