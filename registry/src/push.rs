//! Pushes images: blobs side by side, then manifests from the leaves up, the tag last.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;
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
        self.outbox(content, how).push(root, to)
    }

    /// Several pushes of the same content.
    pub fn outbox<'a>(&'a self, content: &'a dyn Content, how: Push<'a>) -> Outbox<'a> {
        Outbox { inner: &self.inner, content, how, delivered: Mutex::default() }
    }
}

/// Pushes that know what the ones before them have seen to: a blob is asked for and sent once for
/// each repository.
pub struct Outbox<'a> {
    inner: &'a Inner,
    content: &'a dyn Content,
    how: Push<'a>,
    /// Repositories, as `host/name`, by the blobs that were sent there or found there.
    delivered: Mutex<BTreeMap<Digest, Vec<String>>>,
}

impl fmt::Debug for Outbox<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Outbox").field("how", &self.how).finish_non_exhaustive()
    }
}

impl Outbox<'_> {
    /// As [`Client::push`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn push(&self, root: &Descriptor, to: &Reference) -> Result<(), PushError> {
        let closure = Closure::of(self.content, std::slice::from_ref(root))?.without_foreign();
        let repository = self.inner.repository(to, Rights::Push).map_err(request(root))?;
        self.blobs(&closure, &repository)?;
        match self.manifests(&closure, root, (to, &repository)) {
            // What was there a moment ago was collected in between, or never was.
            Err(PushError::Request { error, .. })
                if error.has_code("BLOB_UNKNOWN") || error.has_code("MANIFEST_UNKNOWN") =>
            {
                self.lock().clear();
                self.blobs(&closure, &repository)?;
                self.manifests(&closure, root, (to, &repository))
            }
            other => other,
        }
    }

    /// Sends blobs to the repositories of `to` while `make` makes others: it tells of each that is
    /// ready. What cannot be sent is left to [`push`](Self::push), which says why.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn ahead<T, E>(
        &self,
        to: &[Reference],
        make: impl FnOnce(&(dyn Fn(&Descriptor) + Sync)) -> Result<T, E>,
    ) -> Result<T, E> {
        let repository = |to| self.inner.repository(to, Rights::Push).ok();
        let repositories: Vec<Repository> = to.iter().filter_map(repository).collect();
        let (sender, queue) = channel::<Descriptor>();
        let (queue, given_up) = (Mutex::new(queue), AtomicBool::new(false));
        let work = || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(blob) = next() {
                let send = |repository| self.blob(&blob, repository);
                let skip = given_up.load(Ordering::Relaxed);
                if !skip && repositories.iter().try_for_each(send).is_err() {
                    given_up.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(work);
            }
            let made = make(&|blob| {
                // Foreign layers stay where they are published.
                if !blob.media_type.is_foreign() || blob.urls.is_empty() {
                    let _ = sender.send(blob.clone());
                }
            });
            given_up.fetch_or(made.is_err(), Ordering::Relaxed);
            drop(sender);
            made
        })
    }

    /// The closure lists each blob once, so none is sent twice.
    fn blobs(&self, closure: &Closure, repository: &Repository) -> Result<(), PushError> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some(blob) = closure.blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed().is_some() {
                    return;
                }
                if let Err(error) = self.blob(blob, repository) {
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

    fn blob(&self, blob: &Descriptor, repository: &Repository) -> Result<(), RegistryError> {
        let place = format!("{}/{}", repository.host, repository.name);
        let delivered = self.lock().get(&blob.digest).cloned().unwrap_or_default();
        if delivered.contains(&place) {
            return Ok(());
        }
        let known = self.how.origins.get(&blob.digest).map_or(&[][..], Vec::as_slice);
        let origins = [known, &delivered].concat();
        let (inner, content) = (self.inner, self.content);
        let sent = Upload { inner, repository, content, blob }.run(&origins)?;
        self.lock().entry(blob.digest).or_default().push(place);
        self.how.progress.done(blob, sent);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<String>>> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manifests(
        &self,
        closure: &Closure,
        root: &Descriptor,
        (to, repository): (&Reference, &Repository),
    ) -> Result<(), PushError> {
        for (descriptor, bytes) in &closure.manifests {
            let digest = descriptor.digest.to_string();
            let by_tag =
                descriptor.digest == root.digest && (to.tag().is_some() || to.digest().is_none());
            let name = if by_tag { to.tag_or_latest() } else { &digest };
            let url = repository.url(&format!("manifests/{name}"));
            self.manifest(repository, url, (descriptor, bytes)).map_err(request(descriptor))?;
            self.how.progress.done(descriptor, Sent::Uploaded);
        }
        Ok(())
    }

    fn manifest(
        &self,
        repository: &Repository,
        url: Url,
        (descriptor, bytes): (&Descriptor, &[u8]),
    ) -> Result<(), RegistryError> {
        let mut call = Call::new(Method::PUT, url, Body::Bytes(bytes));
        let fail = |call: &Call<'_>, what| {
            RegistryError::new("PUT", &call.url, RegistryProblem::Answer { what })
        };
        let kind = HeaderValue::from_str(descriptor.media_type.as_str());
        call.headers.insert(CONTENT_TYPE, kind.map_err(|_| fail(&call, "media type"))?);
        let response = retry(&*self.inner.settings.timing, || self.inner.call(repository, &call))?;
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
