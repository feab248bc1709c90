//! Answers challenges: which header a request needs, and tokens for it.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use crate::challenge::{self, Bearer, Challenge};
use crate::credentials::Credential;
use crate::error::{RegistryError, RegistryProblem, without_query};
use crate::origin;
use crate::settings::Settings;
use crate::transport::{Body, Call, Transport};

/// Token services answer with some kilobytes; one that does not end would fill the memory.
const MAX_TOKEN: u64 = 1 << 20;
/// What the specification says where a token service does not.
const DEFAULT_LIFE: u64 = 60;
/// Token services on another host than their registry that are known to belong to it.
const KNOWN_REALMS: [(&str, &str); 1] = [("registry-1.docker.io", "auth.docker.io")];
/// What we call ourselves to token services.
const CLIENT_ID: &str = "wythe";

/// Whom a request is for: a registry, and the rights it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    /// The host as the user writes it.
    pub(crate) host: &'a str,
    /// Where the registry is.
    pub(crate) base: &'a Url,
    /// The rights, as `repository:name:actions`, separated by spaces; the most needed first.
    pub(crate) scope: &'a str,
}

/// What is known about registries and the tokens they gave.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    challenges: Mutex<BTreeMap<String, Challenge>>,
    tokens: Mutex<BTreeMap<(String, String), Token>>,
}

#[derive(Clone)]
struct Token {
    header: String,
    /// Four fifths of its life: a token must last through the request it is sent with.
    stale: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Token").field("stale", &self.stale).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    /// The header for a request, as far as it is known without being refused first.
    pub(crate) fn header(
        &self,
        transport: &Transport,
        settings: &Settings,
        audience: Audience<'_>,
    ) -> Result<Option<String>, RegistryError> {
        let key = (audience.base.to_string(), audience.scope.to_owned());
        if let Some(token) = lock(&self.tokens).get(&key)
            && settings.timing.now() < token.stale
        {
            return Ok(Some(token.header.clone()));
        }
        let known = lock(&self.challenges).get(audience.base.as_str()).cloned();
        match known {
            Some(challenge) => self.answer(transport, settings, audience, &challenge),
            None => Ok(None),
        }
    }

    /// The header that answers `challenge`; `None` where there is nothing to answer with.
    pub(crate) fn answer(
        &self,
        transport: &Transport,
        settings: &Settings,
        audience: Audience<'_>,
        challenge: &Challenge,
    ) -> Result<Option<String>, RegistryError> {
        lock(&self.challenges).insert(audience.base.to_string(), challenge.clone());
        let credential = settings.credentials.find(audience.host);
        let credential =
            credential.map_err(|error| RegistryError::new("GET", audience.base, error))?;
        match (challenge, credential) {
            (Challenge::Bearer(bearer), credential) => {
                let service = TokenService { transport, settings, audience, bearer };
                let token = service.fetch(credential)?;
                let key = (audience.base.to_string(), audience.scope.to_owned());
                lock(&self.tokens).insert(key, token.clone());
                Ok(Some(token.header))
            }
            (Challenge::Basic, Some(credential)) => Ok(Some(basic(&credential))),
            (Challenge::Basic, None) => Ok(None),
        }
    }
}

/// A panic while a map is held leaves the map as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct TokenService<'a> {
    transport: &'a Transport,
    settings: &'a Settings,
    audience: Audience<'a>,
    bearer: &'a Bearer,
}

impl TokenService<'_> {
    fn fetch(&self, credential: Option<Credential>) -> Result<Token, RegistryError> {
        let realm = self.realm()?;
        let credential = credential.filter(|_| self.is_entrusted(&realm));
        let response = match &credential {
            Some(Credential::IdentityToken(token)) => match self.post(&realm, token.reveal()) {
                Err(error) if matches!(error.status(), Some(404 | 405)) => {
                    self.get(&realm, credential.as_ref())
                }
                other => other,
            },
            _ => self.get(&realm, credential.as_ref()),
        }?;
        self.read(&realm, response)
    }

    /// The address of the service, which some registries write relative to their own.
    fn realm(&self) -> Result<Url, RegistryError> {
        let base = self.audience.base;
        let fail = |problem| RegistryError::new("GET", base, problem);
        let realm = base.join(&self.bearer.realm).map_err(|error| fail(error.into()))?;
        let objection = origin::objection(base, &realm);
        let objection =
            objection.or(origin::is_link_local(&realm).then_some("it is a link-local address"));
        match objection {
            None => Ok(realm),
            Some(reason) => {
                Err(fail(RegistryProblem::Realm { realm: without_query(&realm), reason }))
            }
        }
    }

    /// Whether the service may see the registry's credentials: it is the registry itself, a parent
    /// domain of it, a service known to be its own, or one the user named.
    fn is_entrusted(&self, realm: &Url) -> bool {
        let base = self.audience.base;
        if origin::same_origin(base, realm) {
            return true;
        }
        let (Some(registry), Some(service)) = (base.domain(), realm.domain()) else {
            return self.is_listed(realm);
        };
        let parent = registry.strip_suffix(service).is_some_and(|rest| rest.ends_with('.'));
        let standard = realm.port().is_none() && realm.scheme() == "https";
        (standard && parent && service.contains('.'))
            || (standard && KNOWN_REALMS.contains(&(registry, service)))
            || self.is_listed(realm)
    }

    fn is_listed(&self, realm: &Url) -> bool {
        let listed = self.settings.auth_hosts.get(self.audience.host);
        let host = realm.host_str().unwrap_or_default();
        let name = realm.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        listed.is_some_and(|hosts| hosts.contains(&name))
    }

    fn get(
        &self,
        realm: &Url,
        credential: Option<&Credential>,
    ) -> Result<reqwest::blocking::Response, RegistryError> {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(self.bearer.service.iter().map(|service| ("service", service)));
            query.extend_pairs(self.audience.scope.split(' ').map(|scope| ("scope", scope)));
            if let Some(Credential::Password { username, .. }) = credential {
                query.append_pair("account", username);
            }
            query.append_pair("client_id", CLIENT_ID);
        }
        let call = Call { method: Method::GET, url, headers: HeaderMap::new(), body: Body::Empty };
        let header = credential.map(basic);
        self.transport.send(self.settings, &call, header.as_deref())
    }

    fn post(
        &self,
        realm: &Url,
        refresh_token: &str,
    ) -> Result<reqwest::blocking::Response, RegistryError> {
        let service = self.bearer.service.as_deref().unwrap_or_default();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", service)
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", self.audience.scope)
            .append_pair("refresh_token", refresh_token)
            .finish();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
        let body = Body::Bytes(form.as_bytes());
        let call = Call { method: Method::POST, url: realm.clone(), headers, body };
        self.transport.send(self.settings, &call, None)
    }

    fn read(
        &self,
        realm: &Url,
        response: reqwest::blocking::Response,
    ) -> Result<Token, RegistryError> {
        let wrong = || RegistryError::new("GET", realm, RegistryProblem::Answer { what: "token" });
        let mut bytes = Vec::new();
        response.take(MAX_TOKEN).read_to_end(&mut bytes).map_err(|_| wrong())?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let given = |text: &String| !text.is_empty();
        let token = answer.token.filter(given).or(answer.access_token.filter(given));
        let token = token.ok_or_else(wrong)?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_LIFE).min(86_400));
        let stale = self.settings.timing.now() + life * 4 / 5;
        Ok(Token { header: format!("Bearer {token}"), stale })
    }
}

fn basic(credential: &Credential) -> String {
    let (username, secret) = match credential {
        Credential::Password { username, password } => (username.as_str(), password),
        Credential::IdentityToken(token) => ("<token>", token),
    };
    format!("Basic {}", STANDARD.encode(format!("{username}:{}", secret.reveal())))
}

/// What a refusal asks for.
pub(crate) fn challenge_of(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    challenge::choose(values.filter_map(|value| value.to_str().ok()))
}
