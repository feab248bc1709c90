//! Plain files behind `http` and `https`, with the manners of the client: its certificates, its
//! proxy, its patience, and its rules for redirects.

use std::io::Read;

use reqwest::header::{HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use url::Url;

use crate::client::{Client, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::retry;
use crate::transport::Call;

/// What is asked for.
#[derive(Clone, Copy, Default)]
pub struct WebRequest<'a> {
    /// The address.
    pub url: &'a str,
    /// The value of `Authorization`; it goes to the origin of the address and to no other.
    pub authorization: Option<&'a str>,
    /// The value of `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The value of `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
}

/// What came.
pub struct WebResponse {
    /// The status: a success, or 304.
    pub status: u16,
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
    /// The bytes.
    pub body: Box<dyn Read + Send>,
}

impl std::fmt::Debug for WebRequest<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WebRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WebResponse {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WebResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Client {
    /// Gets what is at an address. No credential of a registry is ever sent.
    ///
    /// # Errors
    ///
    /// An address that is none, a server that cannot be reached or refuses, or a redirect that is
    /// not followed.
    pub fn get(&self, request: WebRequest<'_>) -> Result<WebResponse, RegistryError> {
        let broken = |problem: RegistryProblem| RegistryError {
            method: "GET".to_owned(),
            url: request.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            problem,
        };
        let url: Url =
            request.url.parse().map_err(|error: url::ParseError| broken(error.into()))?;
        let mut call = Call::get(url);
        let headers = [
            (IF_NONE_MATCH, request.if_none_match),
            (IF_MODIFIED_SINCE, request.if_modified_since),
        ];
        for (name, value) in headers {
            add(&mut call, name, value);
        }
        let inner = &self.inner;
        let response = retry(&*inner.settings.timing, || {
            inner.transport.send(&inner.settings, &call, request.authorization)
        })?;
        let text = |name: &str| header(&response, name).map(str::to_owned);
        Ok(WebResponse {
            status: response.status().as_u16(),
            etag: text("etag"),
            last_modified: text("last-modified"),
            body: Box::new(response),
        })
    }
}

/// A validator that is no header is left out: the whole answer comes then.
fn add(call: &mut Call<'_>, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        call.headers.insert(name, value);
    }
}
