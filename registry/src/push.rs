//! Pushes images: blobs side by side, then manifests from the leaves up, the tag last.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use wythe_store::digest::Digest;
use wythe_store::oci::closure::Closure;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::client::{Client, Inner, Repository, Rights, header};
use crate::error::{PushError, RegistryError, RegistryProblem};
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::upload::Upload;

/// Uploads at a time. Registries limit each connection more than each client.
const PARALLEL: usize = 4;

/// What a push may know beside the image itself.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    /// Repositories, as `host/name`, that are known to hold a blob.
    pub origins: &'a BTreeMap<Digest, Vec<String>>,
    /// Who is told how it goes.
    pub progress: &'a dyn PushProgress,
}

/// Is told how a push goes, from several threads.
pub trait PushProgress: Sync {
    /// A blob or manifest is there.
    fn done(&self, descriptor: &Descriptor, how: Sent);
}

/// How content came to be in the registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It was there.
    Present,
    /// The registry took it from another repository.
    Mounted {
        /// The repository.
        from: String,
    },
    /// It was sent.
    Uploaded,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl PushProgress for Silent {
    fn done(&self, _: &Descriptor, _: Sent) {}
}

impl fmt::Debug for Push<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Push").field("origins", &self.origins.len()).finish_non_exhaustive()
    }
}

impl Client {
    /// Pushes `root` and all it leads to, and names it by the tag of `to`, or by its digest alone
    /// if `to` has a digest and no tag.
    ///
    /// The tag is written last: a push that fails leaves blobs behind that nothing names.
    ///
    /// # Errors
    ///
    /// [`PushError::Content`] if the image cannot be read, [`PushError::Request`] if the registry
    /// refuses something or cannot be reached.
    pub fn push(
        &self,
        content: &dyn Content,
        root: &Descriptor,
        to: &Reference,
        how: Push<'_>,
    ) -> Result<(), PushError> {
        let closure = Closure::of(content, std::slice::from_ref(root))?.without_foreign();
        let repository = self.inner.repository(to, Rights::Push).map_err(request(root))?;
        let pusher = Pusher { inner: &self.inner, repository, content, how };
        pusher.blobs(&closure)?;
        match pusher.manifests(&closure, root, to) {
            // What was there a moment ago was collected in between, or never was.
            Err(PushError::Request { error, .. })
                if error.has_code("BLOB_UNKNOWN") || error.has_code("MANIFEST_UNKNOWN") =>
            {
                pusher.blobs(&closure)?;
                pusher.manifests(&closure, root, to)
            }
            other => other,
        }
    }
}

struct Pusher<'a> {
    inner: &'a Inner,
    repository: Repository,
    content: &'a dyn Content,
    how: Push<'a>,
}

impl Pusher<'_> {
    /// The closure lists each blob once, so none is sent twice.
    fn blobs(&self, closure: &Closure) -> Result<(), PushError> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some(blob) = closure.blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed().is_some() {
                    return;
                }
                if let Err(error) = self.blob(blob) {
                    failed().get_or_insert(request(blob)(error));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL.min(closure.blobs.len()) {
                scope.spawn(work);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn blob(&self, blob: &Descriptor) -> Result<(), RegistryError> {
        let origins = self.how.origins.get(&blob.digest).map_or(&[][..], Vec::as_slice);
        let (inner, repository, content) = (self.inner, &self.repository, self.content);
        let sent = Upload { inner, repository, content, blob }.run(origins)?;
        self.how.progress.done(blob, sent);
        Ok(())
    }

    fn manifests(
        &self,
        closure: &Closure,
        root: &Descriptor,
        to: &Reference,
    ) -> Result<(), PushError> {
        for (descriptor, bytes) in &closure.manifests {
            let digest = descriptor.digest.to_string();
            let by_tag =
                descriptor.digest == root.digest && (to.tag().is_some() || to.digest().is_none());
            let name = if by_tag { to.tag_or_latest() } else { &digest };
            self.manifest(descriptor, bytes, name).map_err(request(descriptor))?;
            self.how.progress.done(descriptor, Sent::Uploaded);
        }
        Ok(())
    }

    fn manifest(
        &self,
        descriptor: &Descriptor,
        bytes: &[u8],
        name: &str,
    ) -> Result<(), RegistryError> {
        let url = self.repository.url(&format!("manifests/{name}"));
        let mut call = Call::new(Method::PUT, url, Body::Bytes(bytes));
        let fail = |call: &Call<'_>, what| {
            RegistryError::new("PUT", &call.url, RegistryProblem::Answer { what })
        };
        let kind = HeaderValue::from_str(descriptor.media_type.as_str());
        call.headers.insert(CONTENT_TYPE, kind.map_err(|_| fail(&call, "media type"))?);
        let response =
            retry(&*self.inner.settings.timing, || self.inner.call(&self.repository, &call))?;
        match header(&response, "docker-content-digest").map(str::parse::<Digest>) {
            Some(Ok(found)) if found != descriptor.digest => {
                let expected = descriptor.digest;
                let problem = RegistryProblem::Digest { found, expected };
                Err(RegistryError::new("PUT", &call.url, problem))
            }
            _ => Ok(()),
        }
    }
}

fn request(descriptor: &Descriptor) -> impl Fn(RegistryError) -> PushError + '_ {
    |error| PushError::Request { digest: descriptor.digest, error: Box::new(error) }
}
