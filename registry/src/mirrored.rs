//! Blobs of mirrors, held to their digests.
//!
//! Whoever stores a blob hashes it. That it came from a mirror is known here alone, and the mirror has to be named, and
//! left alone by whoever tries again.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::Method;
use wythe_store::digest::{Digest, Hasher};

use crate::client::Rights;
use crate::download::{BlobSource, Download};
use crate::error::{RegistryError, RegistryProblem};

/// A blob that a mirror has begun to send.
pub(crate) struct Mirrored {
    blob: Download,
    source: Arc<BlobSource>,
    /// The mirror, of the source's stops.
    stop: usize,
    expected: Digest,
    /// Until all has come.
    hasher: Option<Hasher>,
}

impl Mirrored {
    pub(crate) fn new(
        blob: Download,
        source: Arc<BlobSource>,
        stop: usize,
        expected: Digest,
    ) -> Self {
        Self { blob, source, stop, expected, hasher: Some(Hasher::default()) }
    }

    /// The error of a mirror that has sent something else.
    fn refusal(&self, found: Digest) -> RegistryError {
        let BlobSource { inner, stops, path, .. } = &*self.source;
        let expected = self.expected;
        let error = match inner.at(&stops[self.stop], Rights::Pull) {
            Ok(mirror) => RegistryError::new(
                Method::GET.as_str(),
                &mirror.url(path),
                RegistryProblem::Digest { found, expected },
            ),
            Err(error) => error,
        };
        inner.pass_over(&stops[self.stop], &error);
        error
    }
}

impl Read for Mirrored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        if let Some(hasher) = self.hasher.as_mut().filter(|_| 0 < count) {
            hasher.update(&buffer[..count]);
        }
        if 0 < count || buffer.is_empty() {
            return Ok(count);
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected => Err(io::Error::other(self.refusal(found))),
            _ => Ok(0),
        }
    }
}
