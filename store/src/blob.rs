//! Foreign blobs: compressed layers as a registry sent them, one file each, verbatim.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::digest::{Digest, Hasher};
use crate::error::{At, ReadError, WriteError};
use crate::last_use::Used;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::store::Store;
use crate::vfs::VfsFile;

/// A blob being received. Nothing can see it until [`commit`](Self::commit); dropping it removes
/// it.
#[must_use = "an ingest that is not committed is discarded"]
#[derive(Debug)]
pub struct BlobIngest<'lease> {
    lease: &'lease Lease,
    expected: Descriptor,
    path: String,
    file: Box<dyn VfsFile>,
    hasher: Hasher,
    seen: u64,
    published: bool,
}

/// A received blob is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The bytes have another digest.
    #[error("blob {expected} arrived as {found}")]
    Digest {
        /// What the descriptor says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// There are fewer bytes than the descriptor says.
    #[error("blob {digest} has {expected} bytes, but only {found} arrived")]
    Short {
        /// Which blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// It could not be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A stored blob, read from its beginning. Reading to the end fails unless the bytes are the ones
/// the digest names.
#[derive(Debug)]
pub struct ForeignBlob {
    file: Box<dyn VfsFile>,
    digest: Digest,
    size: u64,
    offset: u64,
    hasher: Hasher,
}

impl Lease {
    /// Begins to receive the blob a descriptor announces.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn ingest_blob(&self, expected: &Descriptor) -> Result<BlobIngest<'_>, WriteError> {
        let path = self.scratch_path();
        let file = self.store().vfs().create(&path).writing(&path)?;
        Ok(BlobIngest {
            lease: self,
            expected: expected.clone(),
            path,
            file,
            hasher: Hasher::default(),
            seen: 0,
            published: false,
        })
    }
}

impl BlobIngest<'_> {
    /// Publishes the blob, if digest and size are those announced. It is on disk then.
    ///
    /// # Errors
    ///
    /// If the bytes are not those announced, or the store cannot be written. Nothing is published
    /// then.
    pub fn commit(mut self) -> Result<(), IngestError> {
        let Descriptor { digest: expected, size, .. } = self.expected;
        if self.seen < size {
            return Err(IngestError::Short { digest: expected, expected: size, found: self.seen });
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if found != expected {
            return Err(IngestError::Digest { expected, found });
        }
        self.publish(&expected)?;
        Ok(())
    }

    fn publish(&mut self, digest: &Digest) -> Result<(), WriteError> {
        let (vfs, target) = (self.lease.store().vfs(), digest.blob_path());
        let journal = self.lease.store().journal();
        self.file.seal().writing(&self.path)?;
        journal.synced(&self.path, self.file.sync())?;
        self.lease.pardon(&target)?;
        self.lease.store().is_doomed(&target);
        // Over one that may be there: it has the same bytes, or is damaged and now healed.
        vfs.replace(&self.path, &target).writing(&target)?;
        self.published = true;
        self.lease.store().note_use(&Used::Blob(digest));
        journal.synced(&target, vfs.sync_dir("blobs/sha256"))
    }
}

impl Write for BlobIngest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.expected.size - self.seen;
        if bytes.len() as u64 > left {
            let message = "more bytes than the descriptor announces";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.file.append(bytes)?;
        self.hasher.update(bytes);
        self.seen += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobIngest<'_> {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed goes with the lease's directory.
            let removed = self.lease.store().vfs().unlink(&self.path);
            tracing::debug!(?removed, path = self.path, "discarded a blob");
        }
    }
}

impl Store {
    /// Opens a blob kept as it was received; `None` where the store does not hold it so.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn foreign_blob(&self, digest: &Digest) -> Result<Option<ForeignBlob>, ReadError> {
        let path = digest.blob_path();
        if self.is_doomed(&path) {
            return Ok(None);
        }
        let file = match self.vfs().open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.reading(&path)?,
        };
        self.note_use(&Used::Blob(digest));
        let size = file.size().reading(&path)?;
        let (digest, hasher) = (*digest, Hasher::default());
        Ok(Some(ForeignBlob { file, digest, size, offset: 0, hasher }))
    }

    /// The file of a blob kept as it was received, its bytes not checked; for readers that check
    /// them themselves.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn foreign_blob_unverified(&self, digest: &Digest) -> Result<Option<File>, ReadError> {
        if self.foreign_blob(digest)?.is_none() {
            return Ok(None);
        }
        let path = self.foreign_blob_path(digest);
        File::open(&path).map(Some).reading(&digest.blob_path())
    }

    /// Where a blob lies, or would.
    pub fn foreign_blob_path(&self, digest: &Digest) -> PathBuf {
        self.path().join(digest.blob_path())
    }
}

/// A blob does not have the digest it is named by, or ends too early: told of where it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the stored bytes of {0} have changed")]
pub struct ChangedBlob(pub Digest);

/// A blob that the disk does not give.
#[derive(Debug, thiserror::Error)]
#[error("the stored bytes of {digest} cannot be read: {error}")]
struct UnreadBlob {
    digest: Digest,
    error: io::Error,
}

impl ForeignBlob {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for ForeignBlob {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(bytes, self.offset).map_err(|error| {
            let digest = self.digest;
            io::Error::new(error.kind(), UnreadBlob { digest, error })
        })?;
        self.hasher.update(&bytes[..count]);
        self.offset += count as u64;
        if count == 0 && !bytes.is_empty() && self.hasher.clone().finish() != self.digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, ChangedBlob(self.digest)));
        }
        Ok(count)
    }
}
