//! What a build fetches besides images: files behind `http` and `https`, and git repositories. Who
//! answers is handed in.

pub(crate) mod address;
pub(crate) mod error;
pub mod program;
pub mod repository;

use std::fmt;
use std::io::Read;

pub use self::error::{RemoteError, RemoteProblem};

/// Answers `GET` requests. Called from several threads.
pub trait Remote: Sync {
    /// Sends a request and follows redirects within reason.
    ///
    /// An answer is a success, or `304` where the request carried a validator; every other status
    /// is an error.
    ///
    /// # Errors
    ///
    /// A server that cannot be reached or refuses.
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError>;
}

/// A request.
#[derive(Clone, Default)]
pub struct HttpRequest {
    /// The address.
    pub url: String,
    /// The value of `Authorization`, for the first address and its origin only.
    pub authorization: Option<String>,
    /// The value of `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The value of `If-Modified-Since`.
    pub if_modified_since: Option<String>,
}

/// An answer.
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
    /// The bytes.
    pub body: Box<dyn Read + Send>,
}

/// Refuses every request: for builds that are not to reach the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRemote;

impl Remote for NoRemote {
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
        Err(RemoteError::new(&request.url, RemoteProblem::Disabled))
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
