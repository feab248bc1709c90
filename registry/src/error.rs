//! Failures of a request: which one, and what the registry said.

use std::path::PathBuf;
use std::{fmt, io};

use reqwest::StatusCode;
use rustls::CertificateError;
use serde::Deserialize;
use wythe_store::digest::Digest;
use wythe_store::oci::document::DocumentProblem;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{SourceError, SourceErrorClass, SourceProblem};

use crate::challenge::Challenge;
use crate::credentials::CredentialError;
use crate::{origin, proxy, tls};

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {problem}")]
pub struct RegistryError {
    /// The method.
    pub method: String,
    /// The address without its query, which may hold a signature.
    pub url: String,
    /// Why it failed.
    #[source]
    pub problem: RegistryProblem,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryProblem {
    /// The registry answered with an error.
    #[error("status {}{}", named(*status), after_colon(body))]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body, where there is one.
        body: String,
        /// How many seconds to wait, where the registry says.
        retry_after: Option<u64>,
        /// What the registry wants to see, where it says.
        challenge: Option<Box<Challenge>>,
    },
    /// The registry, or its token service, does not let the asker do this.
    #[error("denied: {asker}; the answer was status {}{}", named(*status), after_colon(body))]
    Denied {
        /// Who wanted what.
        asker: Asker,
        /// The status code: 401 or 403.
        status: u16,
        /// The beginning of the body, where there is one.
        body: String,
    },
    /// The registry wants to know who asks, and does not say how.
    #[error("the registry wants credentials and names no way to show them; the answer was status {}{}", named(*status), after_colon(body))]
    Unchallenged {
        /// The status code: 401.
        status: u16,
        /// The beginning of the body, where there is one.
        body: String,
    },
    /// A proxy that the user named is none.
    #[error("cannot use the proxy {proxy}: {detail}")]
    Proxy {
        /// The proxy, without its password.
        proxy: String,
        /// Why not.
        detail: String,
    },
    /// The connection could not be made, or broke.
    #[error("{detail}")]
    Transport {
        /// The chain of causes.
        detail: String,
    },
    /// The server speaks HTTP where TLS was begun.
    #[error("the server speaks plain HTTP where TLS is expected")]
    PlainHttp,
    /// The certificate of the server is not one to believe.
    #[error("the certificate of the server is not trusted: {}", tls::words(.0))]
    Certificate(rustls::CertificateError),
    /// Certificate authorities that the user named cannot be read.
    #[error("cannot read certificate authorities from {}: {detail}", path.display())]
    Authorities {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// A certificate that this side is to show cannot be used.
    #[error("cannot use the client certificate or key {}: {detail}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// Somebody has forbidden this part of a registry.
    #[error("{by} blocks it")]
    Blocked {
        /// Where it says so.
        by: String,
    },
    /// A redirect that is not followed.
    #[error("refused to follow a redirect to {target}: {reason}")]
    Redirect {
        /// Where it leads, without its query.
        target: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A place that an answer or an image names is not one that may be asked.
    #[error("refused to ask {url}, which {by} names: {reason}")]
    Named {
        /// Who names it.
        by: &'static str,
        /// The place, without its query.
        url: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The token service is not one that may be asked.
    #[error("refused to ask {realm} for a token: {reason}")]
    Realm {
        /// The token service, without its query.
        realm: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The answer lacks something, or has it in a form nobody can use.
    #[error("the answer has no usable {what}")]
    Answer {
        /// What.
        what: &'static str,
    },
    /// A tag that the registry does not move stands for another image.
    #[error("the tag {tag} stands for another image{} and cannot be moved", of_digest(*found))]
    TagTaken {
        /// The tag.
        tag: String,
        /// What it stands for, where the registry says.
        found: Option<Digest>,
    },
    /// Content is not what its digest says.
    #[error("the content has digest {found}, expected {expected}")]
    Digest {
        /// What was sent.
        found: Digest,
        /// What was asked for or announced.
        expected: Digest,
    },
    /// A document is longer than any real one.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The most that is read.
        limit: u64,
    },
    /// The address cannot be written as a URL.
    #[error("not an address: {0}")]
    Url(#[from] url::ParseError),
    /// Credentials could not be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// A body that is to be sent could not be read.
    #[error("reading what is to be sent: {0}")]
    Content(#[source] io::Error),
}

impl RegistryProblem {
    /// Whether the certificate is that of a server of another name.
    pub fn is_of_another_name(&self) -> bool {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        matches!(self, Self::Certificate(NotValidForName | NotValidForNameContext { .. }))
    }

    /// Whether the certificate is not valid any more, or not yet, by the clock of this machine.
    pub fn is_of_another_time(&self) -> bool {
        use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let Self::Certificate(error) = self else { return false };
        matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    }

    /// That of a place which somebody names and which may not be asked.
    pub(crate) fn named(by: &'static str, url: &url::Url, reason: &'static str) -> Self {
        Self::Named { by, url: without_query(url), reason }
    }

    /// The same problem of a request that went through a proxy.
    pub(crate) fn through(self, proxy: Option<&str>) -> Self {
        match (self, proxy) {
            (Self::Transport { detail }, Some(proxy)) => Self::Transport {
                detail: format!("through the proxy {}: {detail}", proxy::shown(proxy)),
            },
            (problem, _) => problem,
        }
    }
}

/// Who wanted to do what, for the text of a refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asker {
    /// The user; `None` where no credentials were there to be shown.
    pub who: Option<String>,
    /// The permission and the repository: `push to r.io/app`.
    pub wish: String,
    /// The registry, as `login` takes it.
    pub host: String,
}

impl fmt::Display for Asker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Some(who) => write!(out, "{who} may not {}", self.wish),
            None => write!(out, "there are no credentials to {}", self.wish),
        }
    }
}

impl RegistryError {
    /// A failure of `method` on `url`.
    pub(crate) fn new(method: &str, url: &url::Url, problem: impl Into<RegistryProblem>) -> Self {
        Self { method: method.to_owned(), url: without_query(url), problem: problem.into() }
    }

    /// The status code, if the registry answered.
    pub fn status(&self) -> Option<u16> {
        let (RegistryProblem::Denied { status, .. }
        | RegistryProblem::Status { status, .. }
        | RegistryProblem::Unchallenged { status, .. }) = self.problem
        else {
            return None;
        };
        Some(status)
    }

    /// The same error with who wanted what, if it is a refusal.
    pub(crate) fn denied(mut self, asker: impl FnOnce() -> Asker) -> Self {
        if let RegistryProblem::Status { status: status @ (401 | 403), body, .. } =
            &mut self.problem
        {
            let (status, body) = (*status, std::mem::take(body));
            self.problem = RegistryProblem::Denied { asker: asker(), status, body };
        }
        self
    }

    /// The same error, if it is a refusal that says nothing of what is wanted.
    pub(crate) fn unchallenged(mut self) -> Self {
        if let RegistryProblem::Status { status: status @ 401, body, challenge: None, .. } =
            &mut self.problem
        {
            let (status, body) = (*status, std::mem::take(body));
            self.problem = RegistryProblem::Unchallenged { status, body };
        }
        self
    }

    /// Whether it is such a refusal.
    pub(crate) fn is_unchallenged(&self) -> bool {
        matches!(self.problem, RegistryProblem::Unchallenged { .. })
    }

    /// Whether the answer came from this origin.
    pub(crate) fn is_of(&self, base: &url::Url) -> bool {
        self.url.parse().is_ok_and(|url| origin::same_origin(&url, base))
    }

    /// Whether the registry named this error code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(&self.problem, RegistryProblem::Status { body, .. } if body.contains(code))
    }

    /// Whether the registry says that a tag is there and stays what it is.
    pub(crate) fn is_of_kept_tag(&self) -> bool {
        let (RegistryProblem::Status { status, body, .. }
        | RegistryProblem::Denied { status, body, .. }) = &self.problem
        else {
            return false;
        };
        let body = body.to_ascii_lowercase();
        let told = body.contains("immutab")
            || (body.contains("tag_invalid") && body.contains("already exists"));
        matches!(status, 400 | 403 | 405 | 409 | 412) && told
    }

    /// Whether it may be that the registry takes no manifest of this kind, and lacks nothing that it leads to.
    pub(crate) fn is_of_form(&self) -> bool {
        matches!(self.status(), Some(400 | 405 | 415 | 501)) && !self.has_code("_UNKNOWN")
    }

    /// Whether trying again may help.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.problem,
            RegistryProblem::Status { status: 408 | 429 | 500 | 502 | 503 | 504, .. }
                | RegistryProblem::Transport { .. }
        )
    }

    /// Whether the connection could not be made, or broke before an answer came.
    pub fn is_broken(&self) -> bool {
        matches!(self.problem, RegistryProblem::Transport { .. })
    }

    /// Whether a request may have been done whose answer was lost on its way, at the connection or at a gateway.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_broken() || matches!(self.status(), Some(502 | 504))
    }

    /// How many seconds the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<u64> {
        let RegistryProblem::Status { retry_after, .. } = self.problem else { return None };
        retry_after
    }

    /// The same as an error of an image source.
    pub(crate) fn about(self, reference: &Reference) -> SourceError {
        let class = match self.problem {
            RegistryProblem::Digest { found, expected } => {
                let problem = DocumentProblem::Digest { found, expected };
                return SourceError::new(reference, SourceProblem::Mismatch(problem));
            }
            RegistryProblem::TooLong { limit } => {
                return SourceError::new(reference, SourceProblem::TooLarge { limit });
            }
            RegistryProblem::Status { status: 404, .. } => SourceErrorClass::NotFound,
            RegistryProblem::Status { status: 401 | 403, .. }
            | RegistryProblem::Denied { .. }
            | RegistryProblem::Unchallenged { .. }
            | RegistryProblem::Credentials(_) => SourceErrorClass::Unauthorized,
            RegistryProblem::Answer { .. }
            | RegistryProblem::Certificate(_)
            | RegistryProblem::Named { .. }
            | RegistryProblem::PlainHttp
            | RegistryProblem::Realm { .. }
            | RegistryProblem::Redirect { .. }
            | RegistryProblem::Status { .. }
            | RegistryProblem::TagTaken { .. }
            | RegistryProblem::Transport { .. }
            | RegistryProblem::Url(_) => SourceErrorClass::Network,
            RegistryProblem::Authorities { .. }
            | RegistryProblem::Blocked { .. }
            | RegistryProblem::Identity { .. }
            | RegistryProblem::Proxy { .. }
            | RegistryProblem::Tls(_) => SourceErrorClass::Local,
            RegistryProblem::Content(_) => SourceErrorClass::Refused,
        };
        let problem = SourceProblem::Other { class, error: Box::new(self) };
        SourceError::new(reference, problem)
    }
}

/// The part of a push that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// What is to be pushed could not be read.
    #[error("reading the image: {0}")]
    Content(#[from] io::Error),
    /// A request failed while this blob or manifest was sent.
    #[error("pushing {digest}: {error}")]
    Request {
        /// What was sent.
        digest: Digest,
        /// The request.
        #[source]
        error: Box<RegistryError>,
    },
    /// The registry did not take a manifest that refers to another.
    #[error("pushing {digest}, which refers to another manifest: {error}")]
    Subject {
        /// The manifest.
        digest: Digest,
        /// The registry, as in names.
        host: String,
        /// The request.
        #[source]
        error: Box<RegistryError>,
    },
}

fn of_digest(found: Option<Digest>) -> String {
    found.map(|digest| format!(", {digest},")).unwrap_or_default()
}

pub(crate) fn without_query(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail on the http and https addresses that reach this point.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// What the body of a refusal tells: the errors in it as `CODE: message`, else itself, on one line.
pub(crate) fn told(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = String::from_utf8_lossy(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Ok(body) = serde_json::from_str::<Body>(&text) else { return text };
    let told = body.errors.iter().map(|entry| match (&*entry.code, &*entry.message) {
        (code, "") => code.to_owned(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}: {message}"),
    });
    let told: Vec<String> = told.filter(|line| !line.is_empty()).collect();
    if told.is_empty() { text } else { told.join("; ") }
}

/// A status as people know it.
fn named(status: u16) -> String {
    let name = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    name.map_or_else(|| status.to_string(), |name| format!("{status} ({})", name.to_lowercase()))
}

fn after_colon(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_registries_are_told_as_sentences_and_others_as_they_are() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no","detail":{}},{"code":"X"},{}]}"#;
        assert_eq!(told(body), "DENIED: no; X");
        for text in [r#"{"errors":[]}"#, r#"{"error":"no"}"#, "<html>", ""] {
            assert_eq!(told(text.as_bytes()), text);
        }
        assert_eq!(told(b"<html>\r\n <h1>502</h1>\n</html>\n"), "<html> <h1>502</h1> </html>");
    }

    #[test]
    fn a_status_has_its_name() {
        assert_eq!(named(429), "429 (too many requests)");
        assert_eq!(named(799), "799");
    }
}
