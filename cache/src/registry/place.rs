//! A tag of a repository and its sibling: what is under them, and what is put there.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::error::RegistryError;
use wythe_store::cache_backend::{CacheError, CacheProblem};
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource as _, SourceError, SourceErrorClass};

use super::pointer::{PackEntry, PackRecords, Pointer};
use crate::pack::document_of;

/// Where it is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) reference: Reference,
    pub(super) sibling: Reference,
    pub(super) delivered: Arc<Delivered>,
}

/// What is under the tag, or beside it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) pointer: Pointer,
    /// The tag that is ours to write.
    pub(super) tag: Reference,
    /// What is under the tag that was asked for, where that is none of ours.
    pub(super) foreign: Option<Vec<u8>>,
}

impl Place {
    pub(super) fn fail(&self, problem: impl Into<CacheProblem>) -> CacheError {
        CacheError { backend: self.name.clone(), problem: problem.into() }
    }

    pub(super) fn refused(&self, error: &RegistryError) -> CacheError {
        let detail = error.to_string();
        self.fail(match error.status() {
            Some(401 | 403) => CacheProblem::Unauthorized { detail },
            Some(404) => CacheProblem::NotFound { detail },
            Some(429) => {
                let after = error.retry_after().map(Duration::from_secs);
                CacheProblem::RateLimited { detail, after }
            }
            Some(413 | 507) => CacheProblem::Full { detail },
            Some(_) => CacheProblem::Protocol { detail },
            None => CacheProblem::Network { detail },
        })
    }

    pub(super) fn unread(&self, error: &SourceError) -> CacheError {
        let detail = error.problem.to_string();
        self.fail(match error.class() {
            SourceErrorClass::Unauthorized => CacheProblem::Unauthorized { detail },
            SourceErrorClass::NotFound | SourceErrorClass::Absent => {
                CacheProblem::NotFound { detail }
            }
            SourceErrorClass::Network | SourceErrorClass::Local => CacheProblem::Network { detail },
            SourceErrorClass::Refused | SourceErrorClass::Unsupported => {
                CacheProblem::Protocol { detail }
            }
        })
    }

    /// What is under the tag now, or where that is none of ours, under its sibling.
    pub(super) fn look(&self) -> Result<Found, CacheError> {
        let foreign = match self.read(&self.reference)? {
            Under::Ours(pointer) => {
                return Ok(Found { pointer, tag: self.reference.clone(), foreign: None });
            }
            Under::Foreign(bytes) => Some(bytes),
        };
        match self.read(&self.sibling)? {
            Under::Ours(pointer) => Ok(Found { pointer, tag: self.sibling.clone(), foreign }),
            // What is there is left alone as well.
            Under::Foreign(_) => {
                Err(self.fail(CacheProblem::Protocol { detail: taken(&self.sibling) }))
            }
        }
    }

    /// What is under a tag; no packs where there is nothing.
    fn read(&self, tag: &Reference) -> Result<Under, CacheError> {
        let (root, bytes) = match self.client.manifest(tag) {
            Ok(found) => found,
            Err(error) if error.class() == SourceErrorClass::NotFound => {
                return Ok(Under::Ours(Pointer::default()));
            }
            Err(error) => return Err(self.unread(&error)),
        };
        if let Some(pointer) = Pointer::parse(&bytes) {
            return Ok(Under::Ours(pointer));
        }
        // What versions before the index have written is a pack under a tag of its own.
        Ok(document_of(&bytes).map_or(Under::Foreign(bytes), |document| {
            let records = PackRecords { document, count: None, carried: None };
            let (digest, size) = (root.digest, root.size);
            Under::Ours(Pointer { packs: vec![PackEntry { digest, size, records }] })
        }))
    }

    pub(super) fn put_bytes(&self, document: &Descriptor, bytes: &[u8]) -> Result<(), CacheError> {
        let content = Sent(&|| Ok(Box::new(bytes)));
        let put = self.client.put_blob(&self.reference, &content, document, &Delivered::default());
        put.map_err(|error| self.refused(&error))
    }

    pub(super) fn put_manifest(
        &self,
        name: &Reference,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<(), CacheError> {
        let put = self.client.put_manifest(name, media_type, bytes);
        put.map_err(|error| self.refused(&error))
    }
}

/// What is under a tag.
enum Under {
    Ours(Pointer),
    Foreign(Vec<u8>),
}

fn taken(sibling: &Reference) -> String {
    format!("there is something else than a cache of wythe, and under {sibling} as well")
}

/// Content of which there is one.
pub(super) struct Sent<'a>(
    pub(super) &'a (dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync),
);

impl Content for Sent<'_> {
    fn open(&self, _: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        (self.0)()
    }
}
