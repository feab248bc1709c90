//! Why something did not come about.

use std::io;

use wythe_builder::builder::BuilderError;
use wythe_builder::error::BuildError;
use wythe_delivery::error::DeliveryError;
use wythe_registry::error::PushError;
use wythe_store::error::{ReadError, WriteError};
use wythe_store::image::catalog::{OpenImageError, OpenImageProblem};
use wythe_store::image::rootfs::RootfsError;
use wythe_store::image::save::SaveError;
use wythe_store::oci::reference::ParseReferenceError;
use wythe_store::oci::source::SourceError;
use wythe_store::open::OpenError;
use wythe_store::tree::resolve::ResolveError;

/// Something did not come about. Each kind has what the crate said that it comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WytheError {
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is nothing to build with.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// The switch of this wythe is on.
    #[error("cancelled")]
    Cancelled,
    /// The image does not leave.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// What was to be read of an image is a directory, or nothing with bytes.
    #[error("{path} is not a file")]
    NotAFile {
        /// What was asked for.
        path: String,
    },
    /// The image has no such file.
    #[error("there is no {path}")]
    NoSuchFile {
        /// What was asked for.
        path: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An image of the store cannot be read.
    #[error(transparent)]
    Image(#[from] OpenImageError),
    /// A document of an image is missing.
    #[error(transparent)]
    Document(#[from] OpenImageProblem),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A text is no name of an image.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// A path of an image leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A layer cannot be read.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// An image cannot be fetched.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A registry does not hand something over.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// No descriptors are left.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<PushError> for WytheError {
    fn from(error: PushError) -> Self {
        Self::Delivery(error.into())
    }
}
