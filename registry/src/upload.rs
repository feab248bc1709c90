//! One blob on its way out.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use url::Url;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Direction, Meter, Transfer, TransferState, Transfers};

use crate::client::{Inner, Repository};
use crate::error::{RegistryError, RegistryProblem, without_query};
use crate::origin;
use crate::retry::retry;
use crate::transport::{Body, Call, Open};

/// Blobs below this are sent from memory, which the HTTP library does several times faster.
const IN_MEMORY: u64 = 8 << 20;

/// A blob, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) repository: &'a Repository,
    pub(crate) content: &'a dyn Content,
    pub(crate) blob: &'a Descriptor,
    pub(crate) progress: Progress<'a>,
    /// Set where nobody wants it any more.
    pub(crate) given_up: &'a AtomicBool,
}

/// Who is told how far a blob is.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) transfers: &'a dyn Transfers,
    /// The image it goes to.
    pub(crate) reference: &'a Reference,
    pub(crate) blob: &'a Descriptor,
}

impl Progress<'_> {
    fn tell(self, state: TransferState, bytes: u64) {
        let Self { reference, blob: Descriptor { digest, size, .. }, .. } = self;
        let (direction, digest, size) = (Direction::Push, *digest, *size);
        self.transfers.transferred(&Transfer { direction, reference, digest, state, bytes, size });
    }
}

/// A blob that tells how much of it was read.
struct Telling<'a> {
    blob: Box<dyn Read + Send + 'a>,
    meter: Meter,
    progress: Progress<'a>,
    given_up: &'a AtomicBool,
}

impl Read for Telling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        let count = self.blob.read(buffer)?;
        if let Some(bytes) = self.meter.pass(count as u64) {
            self.progress.tell(TransferState::Moving, bytes);
        }
        Ok(count)
    }
}

/// What the registry made of a request to take the blob from elsewhere.
enum Mount {
    Done,
    /// It opened an upload in its place.
    Session(Url),
    Refused,
}

impl Open for Upload<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let (blob, progress, given_up) =
            (self.content.open(self.blob)?, self.progress, self.given_up);
        Ok(Box::new(Telling { blob, meter: Meter::new(self.blob.size), progress, given_up }))
    }
}

impl Upload<'_> {
    /// Sees to it that the registry has the blob, by the cheapest way that works.
    pub(crate) fn run(self, origins: &[String]) -> Result<(), RegistryError> {
        let state = self.state(origins)?;
        let passed = if state == TransferState::Done { self.blob.size } else { 0 };
        self.progress.tell(state, passed);
        Ok(())
    }

    /// Sends it without asking whether it is there.
    pub(crate) fn send(self) -> Result<(), RegistryError> {
        self.transfer(None)?;
        self.progress.tell(TransferState::Done, self.blob.size);
        Ok(())
    }

    /// What became of it.
    fn state(self, origins: &[String]) -> Result<TransferState, RegistryError> {
        if self.exists()? {
            return Ok(TransferState::Present);
        }
        let mut session = None;
        if let Some(from) = self.neighbour(origins) {
            match self.mount(from)? {
                Mount::Done => return Ok(TransferState::Mounted),
                Mount::Session(location) => session = Some(location),
                Mount::Refused => {}
            }
        }
        self.transfer(session)?;
        Ok(TransferState::Done)
    }

    /// Sends its bytes, to an upload that is open or to a new one.
    fn transfer(self, mut session: Option<Url>) -> Result<(), RegistryError> {
        let bytes = self.in_memory()?;
        self.progress.tell(TransferState::Moving, 0);
        retry(&*self.inner.settings.timing, || {
            let location = session.take().map_or_else(|| self.begin(), Ok)?;
            self.within(location, |location| self.put(location, bytes.as_deref()))
        })
    }

    fn exists(self) -> Result<bool, RegistryError> {
        let url = self.repository.url(&format!("blobs/{}", self.blob.digest));
        let call = Call::new(Method::HEAD, url, Body::Empty);
        let found = retry(&*self.inner.settings.timing, || self.inner.call(self.repository, &call));
        match found {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.status(), Some(405 | 501)) => self.is_given(),
            // Some registries refuse the question to those who may only push.
            Err(error) if matches!(error.status(), Some(400 | 403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The same question to a registry that does not know it: what it begins to give is left there.
    fn is_given(self) -> Result<bool, RegistryError> {
        let url = self.repository.url(&format!("blobs/{}", self.blob.digest));
        match self.inner.call(self.repository, &Call::get(url)) {
            Ok(_) => Ok(true),
            Err(error) if error.status().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Another repository of the same registry that has the blob.
    fn neighbour<'b>(&self, origins: &'b [String]) -> Option<&'b str> {
        let mut names = origins.iter().filter_map(|origin| {
            let (host, name) = origin.split_once('/')?;
            (host == self.repository.host && name != self.repository.name).then_some(name)
        });
        names.next()
    }

    /// The token of a mount covers both repositories. Whatever is not a success is answered by an
    /// ordinary upload: registries differ in how they say no.
    fn mount(self, from: &str) -> Result<Mount, RegistryError> {
        let mut url = self.repository.url("blobs/uploads/");
        let digest = self.blob.digest.to_string();
        url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
        let scope = format!("{} repository:{from}:pull", self.repository.scope);
        let both = Repository { scope, ..self.repository.clone() };
        let call = Call::new(Method::POST, url, Body::Empty);
        match self.inner.call(&both, &call) {
            Ok(response) if response.status().as_u16() == 201 => Ok(Mount::Done),
            Ok(response) => Ok(Mount::Session(location(&call, &response)?)),
            Err(error) if error.status().is_some() => Ok(Mount::Refused),
            Err(error) => Err(error),
        }
    }

    fn begin(self) -> Result<Url, RegistryError> {
        let url = self.repository.url("blobs/uploads/");
        let call = Call::new(Method::POST, url, Body::Empty);
        let response = self.inner.call(self.repository, &call)?;
        location(&call, &response)
    }

    /// Does something with an upload, and gives the upload up where that fails.
    fn within(
        self,
        location: Url,
        send: impl FnOnce(Url) -> Result<(), RegistryError>,
    ) -> Result<(), RegistryError> {
        let sent = send(location.clone());
        if sent.is_err() {
            self.cancel(location);
        }
        sent
    }

    /// Tells the registry that it need not keep what it has of a long upload. One that knows no such request
    /// finds out by itself after a while.
    fn cancel(self, location: Url) {
        if self.blob.size < IN_MEMORY {
            return;
        }
        let call = Call::new(Method::DELETE, location, Body::Empty);
        drop(self.inner.call(self.repository, &call));
    }

    /// Sends everything in one request; a proxy or registry that will not have it gets the body
    /// ahead of the closing request.
    fn put(self, location: Url, bytes: Option<&[u8]>) -> Result<(), RegistryError> {
        let mut put = self.close(location, self.body(bytes));
        if bytes.is_none() && put.as_ref().is_err_and(RegistryError::is_broken) {
            put = self.announce(put);
        }
        match put {
            Err(refusal) if matches!(refusal.status(), Some(405 | 411 | 413 | 501)) => {
                let ahead = self.patch_then_put(bytes);
                ahead.map_err(|error| if error.is_broken() { refusal } else { error })
            }
            other => other,
        }
    }

    fn close(self, location: Url, body: Body<'_>) -> Result<(), RegistryError> {
        let url = with_query(location, "digest", &self.blob.digest.to_string());
        let call = Call { method: Method::PUT, url, headers: binary(), body };
        self.inner.call(self.repository, &call).map(drop)
    }

    /// Asks for the answer to an upload that broke: who has decided before the end closes the
    /// connection, and the HTTP library loses the answer with it.
    fn announce(self, broken: Result<(), RegistryError>) -> Result<(), RegistryError> {
        let withheld = Body::Withheld(self.blob.size);
        match self.within(self.begin()?, |location| self.close(location, withheld)) {
            Err(error) if error.is_broken() => self.begin_with_a_piece(broken),
            answered => answered,
        }
    }

    /// Asks who decides after having read something. Of what is sent from memory no answer is lost.
    fn begin_with_a_piece(self, broken: Result<(), RegistryError>) -> Result<(), RegistryError> {
        let url = self.begin()?;
        let mut piece = Vec::new();
        let read = self.open().and_then(|blob| blob.take(IN_MEMORY).read_to_end(&mut piece));
        read.map_err(|error| RegistryError::new("PATCH", &url, RegistryProblem::Content(error)))?;
        let (begun, body) = (url.clone(), Body::Bytes(&piece));
        let patch = Call { method: Method::PATCH, url, headers: binary(), body };
        let patched = self.inner.call(self.repository, &patch);
        self.cancel(begun);
        match patched {
            Err(refusal) if matches!(refusal.status(), Some(401 | 403 | 413 | 507)) => Err(refusal),
            // The piece is taken, or the registry takes none.
            _ => broken,
        }
    }

    fn patch_then_put(self, bytes: Option<&[u8]>) -> Result<(), RegistryError> {
        self.within(self.begin()?, |url| {
            let body = self.body(bytes);
            let patch = Call { method: Method::PATCH, url, headers: binary(), body };
            let response = self.inner.call(self.repository, &patch)?;
            self.close(location(&patch, &response)?, Body::Empty)
        })
    }

    fn body<'b>(&'b self, bytes: Option<&'b [u8]>) -> Body<'b> {
        bytes.map_or(Body::Stream(self, self.blob.size), Body::Bytes)
    }

    fn in_memory(self) -> Result<Option<Vec<u8>>, RegistryError> {
        if IN_MEMORY <= self.blob.size {
            return Ok(None);
        }
        let read = wythe_store::oci::content::read_document(self.content, self.blob);
        let fail = |error| {
            let url = self.repository.url("blobs/uploads/");
            RegistryError::new("POST", &url, RegistryProblem::Content(error))
        };
        read.map(Some).map_err(fail)
    }
}

/// Where an upload continues, relative to whoever answered. Another host than the registry's gets the content and no credentials.
fn location(call: &Call<'_>, response: &Response) -> Result<Url, RegistryError> {
    let from = response.url();
    let fail = |problem| RegistryError::new(call.method.as_str(), from, problem);
    let text = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| fail(RegistryProblem::Answer { what: "Location" }))?;
    let url = from.join(text).map_err(|error| fail(error.into()))?;
    match origin::objection(from, &url) {
        None => Ok(url),
        Some(reason) => {
            Err(fail(RegistryProblem::Redirect { target: without_query(&url), reason }))
        }
    }
}

/// Appends to the query and leaves what is there byte for byte: it may be signed.
fn with_query(mut url: Url, name: &str, value: &str) -> Url {
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{name}={value}"),
        _ => format!("{name}={value}"),
    };
    url.set_query(Some(&query));
    url
}

fn binary() -> HeaderMap {
    let kind = HeaderValue::from_static("application/octet-stream");
    HeaderMap::from_iter([(CONTENT_TYPE, kind)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_location_is_kept_byte_for_byte() {
        let check = |url: &str, expected: &str| {
            assert_eq!(with_query(url.parse().unwrap(), "digest", "sha256:00").as_str(), expected);
        };
        check("https://r.io/u", "https://r.io/u?digest=sha256:00");
        check("https://r.io/u?s=a%2Fb+c", "https://r.io/u?s=a%2Fb+c&digest=sha256:00");
    }
}
