//! An upload that a registry has begun, request by request.

use std::ops::Range;

use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use url::Url;
use wythe_store::digest::Digest;

use crate::agent::Response;
use crate::client::{Inner, Repository, header};
use crate::error::{RegistryError, RegistryProblem, without_query};
use crate::learned::Habit;
use crate::origin;
use crate::profile::Chunks;
use crate::retry::retry;
use crate::transport::{Body, Call};

/// The repository that a blob goes to.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) repository: &'a Repository,
}

/// An upload, and where it continues.
pub(super) struct Session<'a> {
    to: Destination<'a>,
    location: Url,
    /// The shortest piece, but for the last, that the registry takes of a blob that comes in several.
    pub(super) shortest: u64,
}

impl<'a> Destination<'a> {
    /// How large a part of a blob may be that says which part it is.
    pub(super) fn chunks(self) -> Chunks {
        self.inner.profile_of(self.repository).chunks
    }

    /// Whether it was found to do something otherwise.
    pub(crate) fn has_habit(self, habit: Habit) -> bool {
        self.inner.settings.learned.knows(&self.repository.host, habit)
    }

    /// Whether the repository has a blob. A registry that does not know the question is asked for the blob, and what it
    /// begins to give is left there.
    pub(super) fn has(self, digest: &Digest) -> Result<bool, RegistryError> {
        let call = Call::new(Method::HEAD, self.blob(digest), Body::Empty);
        let found = retry(&*self.inner.settings.timing, || self.call(&call));
        match found {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.status(), Some(405 | 501)) => self.gives(call.url),
            // Some registries refuse the question to those who may only push.
            Err(error) if matches!(error.status(), Some(400 | 403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The same, asked once: who knows of no answer takes it for `false`, and goes on with what it does.
    pub(super) fn has_now(self, digest: &Digest) -> bool {
        let call = Call::new(Method::HEAD, self.blob(digest), Body::Empty);
        match self.call(&call) {
            Ok(_) => true,
            Err(error) if matches!(error.status(), Some(405 | 501)) => {
                self.gives(call.url).unwrap_or(false)
            }
            Err(_) => false,
        }
    }

    fn blob(self, digest: &Digest) -> Url {
        self.repository.url(&format!("blobs/{digest}"))
    }

    fn gives(self, url: Url) -> Result<bool, RegistryError> {
        match self.call(&Call::get(url)) {
            Ok(_) => Ok(true),
            Err(error) if error.status().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn begin(self) -> Result<Session<'a>, RegistryError> {
        let url = self.repository.url("blobs/uploads/");
        let call = Call::new(Method::POST, url, Body::Empty);
        let response = self.call(&call)?;
        Session::of(self, &call, &response)
    }

    fn call(self, call: &Call<'_>) -> Result<Response, RegistryError> {
        self.inner.call(self.repository, call)
    }
}

impl<'a> Session<'a> {
    /// The upload that a response says is open.
    pub(super) fn of(
        to: Destination<'a>,
        call: &Call<'_>,
        response: &Response,
    ) -> Result<Self, RegistryError> {
        let shortest = header(response, "oci-chunk-min-length").and_then(|text| text.parse().ok());
        let (location, shortest) = (location(call, response)?, shortest.unwrap_or(0));
        Ok(Self { to, location, shortest })
    }

    /// An error of reading what a request of it was to send.
    pub(super) fn unreadable(&self, method: &str, error: std::io::Error) -> RegistryError {
        RegistryError::new(method, &self.location, RegistryProblem::Content(error))
    }

    /// Sends bytes to it, of which a range says where in the blob they belong.
    pub(super) fn patch(
        &mut self,
        body: Body<'_>,
        range: Option<&Range<u64>>,
    ) -> Result<(), RegistryError> {
        let mut headers = binary();
        if let Some(Range { start, end }) = range {
            let value = HeaderValue::from_str(&format!("{start}-{}", end.saturating_sub(1)));
            // Digits and a dash are a value.
            headers.extend(value.ok().map(|value| (CONTENT_RANGE, value)));
        }
        let patch = Call { method: Method::PATCH, url: self.location.clone(), headers, body };
        let response = self.to.call(&patch)?;
        self.location = location(&patch, &response)?;
        Ok(())
    }

    /// Ends it with the last bytes of the blob.
    pub(super) fn close(&self, digest: &Digest, body: Body<'_>) -> Result<(), RegistryError> {
        let url = with_query(self.location.clone(), "digest", &digest.to_string());
        let call = Call { method: Method::PUT, url, headers: binary(), body };
        self.to.call(&call).map(drop)
    }

    /// Ends it where all bytes have arrived. The request is repeated alone, and one whose answer was lost may have
    /// ended it.
    pub(super) fn close_alone(&self, digest: &Digest) -> Result<(), RegistryError> {
        let mut attempts = 0;
        retry(&*self.to.inner.settings.timing, || {
            attempts += 1;
            match self.close(digest, Body::Empty) {
                Err(error) if 1 < attempts && error.status() == Some(404) => {
                    if self.to.has(digest)? { Ok(()) } else { Err(error) }
                }
                other => other,
            }
        })
    }

    /// How many of the bytes that were sent to it have arrived, and goes on from there; none where the registry does
    /// not say.
    pub(super) fn arrived(&mut self) -> u64 {
        let call = Call::get(self.location.clone());
        let Ok(response) = self.to.call(&call) else { return 0 };
        let arrived = header(&response, "range").and_then(length_of).unwrap_or(0);
        // What is signed may be good for one request.
        if let Ok(location) = location(&call, &response) {
            self.location = location;
        }
        arrived
    }

    /// Tells the registry that it need not keep what it has. One that knows no such request finds out by itself
    /// after a while.
    pub(super) fn cancel(self) {
        let call = Call::new(Method::DELETE, self.location, Body::Empty);
        drop(self.to.call(&call));
    }
}

/// The length of what a range from the beginning covers. That of one byte stands for none with some registries.
fn length_of(range: &str) -> Option<u64> {
    let (start, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
    (start == 0 && 0 < last).then(|| last.checked_add(1)).flatten()
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

    #[test]
    fn a_range_says_how_much_has_arrived_where_it_begins_at_the_beginning() {
        assert_eq!(length_of("0-99"), Some(100));
        assert_eq!(length_of("bytes=0-99"), Some(100));
        for none in ["0-0", "5-99", "99", "0-", "-1", "", "0-18446744073709551615"] {
            assert_eq!(length_of(none), None, "{none}");
        }
    }
}
