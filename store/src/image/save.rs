//! Images into the store: documents when an image is resolved, blobs when their bytes are needed.

use std::io::{self, Read, Write};

use crate::blob::IngestError;
use crate::error::{ReadError, WriteError};
use crate::image::resolve::ResolvedImage;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError, SourceErrorClass};

/// An image that could not be taken into the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The blob broke off, or is not what its descriptor says.
    #[error("{reference}: {error}")]
    Blob {
        /// The image it belongs to.
        reference: String,
        /// What is wrong with it.
        #[source]
        error: IngestError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Reading from the source failed midway.
    #[error("{reference}: {error}")]
    Transfer {
        /// The image.
        reference: String,
        /// What failed.
        #[source]
        error: io::Error,
    },
}

/// Stores the manifest, the configuration and the indexes of an image, byte for byte.
///
/// Nothing names them until a ref is set or a build record points at them.
///
/// # Errors
///
/// If the store cannot be written.
pub fn save_documents(lease: &Lease, image: &ResolvedImage) -> Result<(), WriteError> {
    lease.put_document(image.config.bytes())?;
    lease.put_document(image.manifest.bytes())?;
    for index in &image.indexes {
        lease.put_document(index.bytes())?;
    }
    Ok(())
}

/// Sees to it that the store holds a blob as the source has it, or as one of the places has it that
/// its descriptor names.
///
/// # Errors
///
/// [`SaveError::Blob`] if what came is not what `descriptor` announced; nothing is kept then.
pub fn fetch_blob(
    lease: &Lease,
    source: &dyn ImageSource,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<(), SaveError> {
    if lease.store().foreign_blob(&descriptor.digest)?.is_some() {
        return Ok(());
    }
    match source.blob(reference, descriptor) {
        Err(error)
            if error.class() == SourceErrorClass::NotFound && !descriptor.urls.is_empty() =>
        {
            fetch_elsewhere(lease, source, reference, descriptor)
        }
        blob => keep_blob(lease, reference, descriptor, &mut *blob?),
    }
}

/// As [`fetch_blob`], only from the places that the descriptor names.
///
/// # Errors
///
/// As [`fetch_blob`].
pub fn fetch_elsewhere(
    lease: &Lease,
    source: &dyn ImageSource,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<(), SaveError> {
    let mut blob = source.elsewhere(reference, descriptor)?;
    keep_blob(lease, reference, descriptor, &mut *blob)
}

/// Keeps a blob of an image as it comes.
///
/// # Errors
///
/// [`SaveError::Blob`] if it is not what `descriptor` announced; nothing is kept then.
pub fn keep_blob(
    lease: &Lease,
    reference: &Reference,
    descriptor: &Descriptor,
    blob: &mut dyn Read,
) -> Result<(), SaveError> {
    let mut ingest = lease.ingest_blob(descriptor)?;
    copy(blob, &mut ingest)
        .map_err(|error| SaveError::Transfer { reference: reference.to_string(), error })?;
    ingest.commit().map_err(|error| SaveError::Blob { reference: reference.to_string(), error })
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
