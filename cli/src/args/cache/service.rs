//! Caches that are services: web servers, and GitHub Actions.

use std::fmt;

use super::CacheArgError;
use crate::args::attributes::{AttributeError, Attributes};

/// What a cache on a web server, and that of GitHub Actions, may be told.
pub(super) const KNOWN: [&str; 8] =
    ["instance", "password", "scope", "token", "url", "url_v2", "username", "version"];

/// A cache on a web server.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct WebPlace {
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) token: Option<String>,
    /// The part of it that is meant.
    pub(crate) scope: Option<String>,
}

/// A cache at a server of the remote execution API.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct ExecutionPlace {
    /// `grpc://HOST:PORT/INSTANCE` or `grpcs://…`.
    pub(crate) url: String,
    /// The instance, where the address does not say.
    pub(crate) instance: Option<String>,
    pub(crate) token: Option<String>,
    /// The part of it that is meant.
    pub(crate) scope: Option<String>,
}

/// The cache of GitHub Actions; what is not said is what the variables of the job say.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct ActionsPlace {
    pub(crate) scope: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) url_v2: Option<String>,
    pub(crate) version: Option<ActionsVersion>,
}

/// Which interface of the service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ActionsVersion {
    /// GitHub Enterprise Server's.
    V1,
    /// github.com's.
    V2,
}

/// Without what may be a secret.
impl fmt::Debug for WebPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WebPlace").finish_non_exhaustive()
    }
}

/// Without what may be a secret.
impl fmt::Debug for ExecutionPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ExecutionPlace").finish_non_exhaustive()
    }
}

/// Without what may be a secret.
impl fmt::Debug for ActionsPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("ActionsPlace");
        out.field("scope", &self.scope).field("version", &self.version).finish_non_exhaustive()
    }
}

impl WebPlace {
    pub(super) fn take(attributes: &mut Attributes) -> Result<Self, CacheArgError> {
        let url = attributes.take("url").ok_or(AttributeError::Missing("url"))?;
        let [username, password, token] =
            ["username", "password", "token"].map(|key| attributes.take(key));
        Ok(Self { url, username, password, token, scope: None })
    }
}

impl ExecutionPlace {
    pub(super) fn take(attributes: &mut Attributes) -> Result<Self, CacheArgError> {
        let url = attributes.take("url").ok_or(AttributeError::Missing("url"))?;
        let [instance, token] = ["instance", "token"].map(|key| attributes.take(key));
        Ok(Self { url, instance, token, scope: None })
    }
}

impl ActionsPlace {
    pub(super) fn take(attributes: &mut Attributes) -> Result<Self, CacheArgError> {
        let version = match attributes.take("version").as_deref() {
            None => None,
            Some("1") => Some(ActionsVersion::V1),
            Some("2") => Some(ActionsVersion::V2),
            Some(other) => return Err(CacheArgError::Version(other.to_owned())),
        };
        let [scope, token, url, url_v2] =
            ["scope", "token", "url", "url_v2"].map(|key| attributes.take(key));
        Ok(Self { scope, token, url, url_v2, version })
    }
}
