//! Why an image does not leave.

use std::io;

use wythe_registry::error::PushError;
use wythe_store::digest::Digest;
use wythe_store::error::{ReadError, WriteError};
use wythe_store::image::catalog::OpenImageError;
use wythe_store::image::recode::RecodeError;
use wythe_store::image::rootfs::RootfsError;
use wythe_store::image::save::SaveError;
use wythe_store::oci::layout::LayoutError;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::path::LayerPath;

use crate::engine::EngineError;

/// An image did not leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Its destination has the digest of something else.
    #[error("the image is {root}, and cannot become {to}")]
    OtherDigest {
        /// Where it was to go.
        to: Box<Reference>,
        /// What it is.
        root: Digest,
    },
    /// What is to be pushed by digest was given a tag, which would be a name after all.
    #[error("{0} has a tag and cannot be pushed by digest")]
    Tagged(Box<Reference>),
    /// An index was to be annotated.
    #[error("an image of one platform has no index to annotate")]
    NoIndex,
    /// Two platforms have different files of one name, and one directory was to hold both.
    #[error("cannot overwrite {path} from {one} with that from {other}")]
    Conflict {
        /// The file.
        path: LayerPath,
        /// The platform that has it.
        one: Box<Platform>,
        /// The platform that has another.
        other: Box<Platform>,
    },
    /// The store has a file, and not its bytes.
    #[error("the bytes of {0} are missing")]
    Bytes(LayerPath),
    /// A statement about it cannot be read.
    #[error("{statement}: {problem}")]
    Statement {
        /// Its manifest.
        statement: Digest,
        /// What is wrong.
        problem: StatementProblem,
    },
    /// It cannot be read.
    #[error(transparent)]
    Image(#[from] OpenImageError),
    /// A layer of its base could not be fetched.
    #[error(transparent)]
    Base(#[from] SaveError),
    /// Its layers could not be given another form.
    #[error(transparent)]
    Recode(#[from] RecodeError),
    /// Its files could not be put together.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// An archive could not be written, or cannot hold it.
    #[error(transparent)]
    Archive(io::Error),
    /// A layout could not be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// An engine did not take it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The registry did not take it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What is wrong with a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementProblem {
    /// Its manifest is not in the store.
    #[error("the statement is missing")]
    Missing,
    /// Its text is not in the store.
    #[error("its text is missing")]
    TextMissing,
    /// Its text is none.
    #[error("it is no text")]
    NotText,
}
