//! Pushes images: blobs side by side, then manifests from the leaves up, the tag last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;
use wythe_store::digest::Digest;
use wythe_store::oci::closure::Closure;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{TransferState, Transfers};

use crate::client::{Client, Inner, Repository, Rights, header};
use crate::delivered::Delivered;
use crate::error::{PushError, RegistryError, RegistryProblem};
use crate::manifest;
use crate::objects::place_of;
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::upload::{Destination, Progress, Upload};

pub mod ahead;

/// Uploads at a time. Registries limit each connection more than each client.
const PARALLEL: usize = 4;

/// Who knows of blobs that came from elsewhere. More may become known while others are sent.
pub trait BlobHolders: Sync {
    /// The repositories, as `host/name`, that are known to hold a blob; `None` of one that was made here.
    fn repositories(&self, blob: &Digest) -> Option<Vec<String>>;
}

impl BlobHolders for BTreeMap<Digest, Vec<String>> {
    fn repositories(&self, blob: &Digest) -> Option<Vec<String>> {
        self.get(blob).cloned()
    }
}

/// What a push may know beside the image itself.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    /// What came from elsewhere.
    pub origins: &'a dyn BlobHolders,
    /// Repositories, as `host/name`, that may hold any of them.
    pub neighbours: &'a [String],
    /// Who is told how far blobs are.
    pub transfers: &'a dyn Transfers,
    /// What was seen to already.
    pub delivered: &'a Delivered,
}

impl fmt::Debug for Push<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Push").field("neighbours", &self.neighbours).finish_non_exhaustive()
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
        let (given_up, needs_lengths) = (AtomicBool::new(false), AtomicBool::new(false));
        Outbox { inner: &self.inner, content, how, given_up, needs_lengths }
    }
}

/// Pushes that know what others have seen to: a blob is asked for and sent once for each repository.
pub struct Outbox<'a> {
    inner: &'a Inner,
    content: &'a dyn Content,
    how: Push<'a>,
    /// Whether nobody wants any more what is sent ahead.
    given_up: AtomicBool,
    /// Whether a blob could not be sent while it grew.
    needs_lengths: AtomicBool,
}

/// A repository, and the names in it that are to stand for an image: at least one.
struct Target<'a> {
    repository: Repository,
    names: Vec<&'a Reference>,
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
        self.push_all(root, std::slice::from_ref(to))
    }

    /// The same under several names. Those in one repository share blobs and manifests, and are written
    /// at once when everything that they lead to is there.
    ///
    /// # Errors
    ///
    /// As [`Client::push`]. Some of the names may have been written then.
    pub fn push_all(&self, root: &Descriptor, to: &[Reference]) -> Result<(), PushError> {
        let closure = Closure::of(self.content, std::slice::from_ref(root))?.without_foreign();
        let mut targets: Vec<Target<'_>> = Vec::new();
        for name in to {
            let known = targets.iter_mut().find(|target| target.names[0].name() == name.name());
            if let Some(target) = known {
                target.names.push(name);
            } else {
                let repository =
                    self.inner.repository(name, Rights::Push).map_err(request(root))?;
                targets.push(Target { repository, names: vec![name] });
            }
        }
        targets.iter().try_for_each(|target| self.push_to(&closure, root, target))
    }

    fn push_to(
        &self,
        closure: &Closure,
        root: &Descriptor,
        target: &Target<'_>,
    ) -> Result<(), PushError> {
        self.knock(root, target).map_err(request(root))?;
        let pushed = if self.is_there(closure, root, target).map_err(request(root))? {
            self.tell_present(closure, target);
            self.names(closure, root, target)
        } else {
            self.whole(closure, root, target)
        };
        match pushed {
            // What was there a moment ago was collected in between, or never was.
            Err(PushError::Request { error, .. })
                if error.has_code("BLOB_UNKNOWN") || error.has_code("MANIFEST_UNKNOWN") =>
            {
                self.how.delivered.forget();
                self.whole(closure, root, target)?;
            }
            other => other?,
        }
        self.how.delivered.pushed(&closure.blobs, &place_of(&target.repository));
        Ok(())
    }

    /// Everything, and the names last.
    fn whole(
        &self,
        closure: &Closure,
        root: &Descriptor,
        target: &Target<'_>,
    ) -> Result<(), PushError> {
        self.blobs(closure, target)?;
        let children = subjects_first(&closure.manifests).into_iter();
        for child in children.filter(|(found, _)| found.digest != root.digest) {
            self.put(&child.0.digest.to_string(), child, target)?;
        }
        self.names(closure, root, target)
    }

    /// Whether the repository has the image by its digest, and so all that it leads to. It is not asked where it
    /// lacked a part of it a moment ago, nor where all parts are known to be there. One that cannot tell has it not.
    fn is_there(
        &self,
        closure: &Closure,
        root: &Descriptor,
        target: &Target<'_>,
    ) -> Result<bool, RegistryError> {
        let place = place_of(&target.repository);
        let is_new = |blob: &Descriptor| self.how.delivered.was_sent(&blob.digest, &place);
        let is_known = |blob: &Descriptor| self.how.delivered.places(&blob.digest).contains(&place);
        let is_plain = closure.manifests.len() == 1;
        if closure.blobs.iter().any(is_new) || is_plain && closure.blobs.iter().all(is_known) {
            return Ok(false);
        }
        let url = target.repository.url(&format!("manifests/{}", root.digest));
        let call = manifest::head(url);
        let ask = || self.inner.call(&target.repository, &call);
        match retry(&*self.inner.settings.timing, ask) {
            Ok(_) => Ok(true),
            Err(error) if error.status().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells of the blobs that nobody has asked for, since the image is there.
    fn tell_present(&self, closure: &Closure, target: &Target<'_>) {
        let place = place_of(&target.repository);
        for blob in &closure.blobs {
            let Some(sending) = self.how.delivered.claim(blob.digest, &place) else { continue };
            let (transfers, reference) = (self.how.transfers, target.names[0]);
            Progress { transfers, reference, blob }.tell(TransferState::Present, 0);
            sending.found();
        }
    }

    /// The closure lists each blob once, so none is sent twice.
    fn blobs(&self, closure: &Closure, target: &Target<'_>) -> Result<(), PushError> {
        side_by_side(&closure.blobs, |blob| self.blob(blob, target).map_err(request(blob)))
    }

    fn blob(&self, blob: &Descriptor, target: &Target<'_>) -> Result<(), RegistryError> {
        let Target { repository, names } = target;
        let place = place_of(repository);
        let Some(sending) = self.how.delivered.claim(blob.digest, &place) else { return Ok(()) };
        let known = self.how.origins.repositories(&blob.digest).unwrap_or_default();
        let delivered = self.how.delivered.places(&blob.digest);
        let origins = [&known, &delivered[..], self.how.neighbours].concat();
        let (content, reference) = (self.content, names[0]);
        let progress = Progress { transfers: self.how.transfers, reference, blob };
        let (to, given_up) = (Destination { inner: self.inner, repository }, &self.given_up);
        let upload = Upload { to, content, blob, progress, given_up };
        match upload.run(&origins)? {
            TransferState::Present => sending.found(),
            TransferState::Done | TransferState::Mounted | TransferState::Moving => sending.sent(),
        }
        Ok(())
    }

    /// Lets the names stand for the image, when everything else is there.
    fn names(
        &self,
        closure: &Closure,
        root: &Descriptor,
        target: &Target<'_>,
    ) -> Result<(), PushError> {
        side_by_side(&target.names, |name| {
            let by_digest = name.digest().is_some() && name.tag().is_none();
            let digest = root.digest.to_string();
            let name = if by_digest { &digest } else { name.tag_or_latest() };
            let mut roots =
                closure.manifests.iter().filter(|(found, _)| found.digest == root.digest);
            roots.try_for_each(|root| self.put(name, root, target))
        })
    }

    fn put(
        &self,
        name: &str,
        (descriptor, bytes): &(Descriptor, Vec<u8>),
        target: &Target<'_>,
    ) -> Result<(), PushError> {
        let url = target.repository.url(&format!("manifests/{name}"));
        let sent = self.manifest(&target.repository, url, (descriptor, bytes));
        sent.map_err(|error| {
            if error.is_of_form() && subject_of(descriptor, bytes).is_some() {
                let (digest, host) = (descriptor.digest, target.repository.host.clone());
                return PushError::Subject { digest, host, error: Box::new(error) };
            }
            request(descriptor)(error)
        })
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
        let response = retry(&*self.inner.settings.timing, || self.inner.call(repository, &call));
        let response = match response {
            Err(error) if error.is_of_kept_tag() => {
                return self.kept(repository, call.url, (descriptor, error));
            }
            other => other?,
        };
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

impl Outbox<'_> {
    /// What to make of a tag that stays what it is: if that is what was to be written, all is well. Registries
    /// refuse that, too, and whoever runs a job again runs into it.
    fn kept(
        &self,
        repository: &Repository,
        url: Url,
        (descriptor, refused): (&Descriptor, RegistryError),
    ) -> Result<(), RegistryError> {
        let call = manifest::head(url);
        let there = retry(&*self.inner.settings.timing, || self.inner.call(repository, &call));
        let there = there.ok().and_then(|response| manifest::announced(&response));
        let found = there.map(|found| found.digest);
        if found == Some(descriptor.digest) {
            return Ok(());
        }
        let tag = call.url.path_segments().and_then(Iterator::last).unwrap_or_default().to_owned();
        let problem = RegistryProblem::TagTaken { tag, found };
        Err(RegistryError { problem, ..refused })
    }
}

/// Does something with several at once, until it fails with one.
fn side_by_side<T: Sync>(
    all: &[T],
    send: impl Fn(&T) -> Result<(), PushError> + Sync,
) -> Result<(), PushError> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed().is_some() {
                return;
            }
            if let Err(error) = send(one) {
                failed().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(all.len()) {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// What a manifest or index refers to.
fn subject_of(descriptor: &Descriptor, bytes: &[u8]) -> Option<Digest> {
    let subject = if descriptor.media_type.is_index() {
        Index::parse(bytes).ok()?.subject
    } else {
        Manifest::parse(bytes).ok()?.subject
    };
    subject.map(|subject| subject.digest)
}

/// What has to be there before a manifest or index: what it refers to, which some registries insist on, and what it
/// lists.
fn conditions((descriptor, bytes): &(Descriptor, Vec<u8>)) -> Vec<Digest> {
    let mut found: Vec<Digest> = subject_of(descriptor, bytes).into_iter().collect();
    if let Some(index) = Index::parse(bytes).ok().filter(|_| descriptor.media_type.is_index()) {
        found.extend(index.manifests.iter().map(|entry| entry.digest));
    }
    found
}

/// The same, in an order in which each comes after what has to be there before.
fn subjects_first(manifests: &[(Descriptor, Vec<u8>)]) -> Vec<&(Descriptor, Vec<u8>)> {
    let needs: Vec<Vec<Digest>> = manifests.iter().map(conditions).collect();
    let mut left: Vec<usize> = (0..manifests.len()).collect();
    let mut sorted = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<Digest> = left.iter().map(|at| manifests[*at].0.digest).collect();
        let (later, now): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|at| needs[*at].iter().any(|one| waiting.contains(one)));
        // Digests that lead to each other cannot be made: where nothing is first, any order does.
        let (now, later) = if now.is_empty() { (later, now) } else { (now, later) };
        sorted.extend(now.into_iter().map(|at| &manifests[at]));
        left = later;
    }
    sorted
}

fn request(descriptor: &Descriptor) -> impl Fn(RegistryError) -> PushError + '_ {
    |error| PushError::Request { digest: descriptor.digest, error: Box::new(error) }
}
