//! Answers challenges: which header a request needs, and tokens for it.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use crate::agent::Response;
use crate::challenge::{self, Bearer, Challenge};
use crate::credentials::Credential;
use crate::error::{Asker, RegistryError, RegistryProblem};
use crate::places::Reach;
use crate::realm::Realm;
use crate::settings::Settings;
use crate::transport::{Access, Body, Call, Server, Transport, chain};

/// Token services answer with some kilobytes; one that does not end would fill the memory.
const MAX_TOKEN: u64 = 1 << 20;
/// What the specification says where a token service does not.
const DEFAULT_LIFE: u64 = 60;
/// How long credentials are remembered: helpers of clouds hand out some that last for an hour.
const CREDENTIAL_LIFE: Duration = Duration::from_mins(5);
/// What we call ourselves to token services.
const CLIENT_ID: &str = "wythe";

/// Whom a request is for: a registry, and the rights it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    /// The host as the user writes it.
    pub(crate) host: &'a str,
    /// Where the registry is.
    pub(crate) base: &'a Url,
    /// The repository; empty for the registry as such.
    pub(crate) name: &'a str,
    /// The rights, as `repository:name:actions`, separated by spaces; the most needed first.
    pub(crate) scope: &'a str,
    /// How the registry is believed.
    pub(crate) reach: &'a Reach,
}

/// What is known about registries and the tokens they gave.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    challenges: Mutex<BTreeMap<String, Challenge>>,
    tokens: Mutex<BTreeMap<(String, String), Token>>,
    desks: Mutex<BTreeMap<(String, String), Desk>>,
    /// By host and repository.
    credentials: Mutex<BTreeMap<(String, String), Found>>,
}

/// Held by whoever gets a token.
type Desk = Arc<Mutex<()>>;

#[derive(Debug)]
struct Found {
    credential: Option<Credential>,
    since: Instant,
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
    /// A number of seconds. Some services write it in quotes, with a fraction, or below zero.
    #[serde(default)]
    expires_in: serde_json::Value,
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
        if let Some(header) = self.fresh(settings, &key) {
            return Ok(Some(header));
        }
        let known = lock(&self.challenges).get(audience.base.as_str()).cloned();
        match known {
            Some(challenge) => self.answer(transport, settings, audience, (&challenge, None)),
            None => Ok(None),
        }
    }

    /// What a registry calls itself in its challenges, where it has made one.
    pub(crate) fn service(&self, base: &Url) -> Option<String> {
        match lock(&self.challenges).get(base.as_str())? {
            Challenge::Bearer(bearer) => bearer.service.clone(),
            Challenge::Basic => None,
        }
    }

    /// What there is to show. Helpers are programs that may ask a person, so that they are asked
    /// once in a while and by one thread at a time.
    pub(crate) fn credential(
        &self,
        settings: &Settings,
        audience: Audience<'_>,
    ) -> Result<Option<Credential>, RegistryError> {
        let key = (audience.host.to_owned(), audience.name.to_owned());
        let mut known = lock(&self.credentials);
        let since = settings.timing.now();
        if let Some(found) = known.get(&key)
            && since.duration_since(found.since) < CREDENTIAL_LIFE
        {
            return Ok(found.credential.clone());
        }
        let found = settings.credentials.find(audience.host, audience.name);
        let credential = found.map_err(|error| RegistryError::new("GET", audience.base, error))?;
        known.insert(key, Found { credential: credential.clone(), since });
        Ok(credential)
    }

    /// The header that answers `challenge`; `None` where there is nothing to answer with.
    ///
    /// Where several requests want a token for the same, one gets it and the others wait: `refused` is the
    /// header that a token has to be newer than.
    pub(crate) fn answer(
        &self,
        transport: &Transport,
        settings: &Settings,
        audience: Audience<'_>,
        (challenge, refused): (&Challenge, Option<&str>),
    ) -> Result<Option<String>, RegistryError> {
        lock(&self.challenges).insert(audience.base.to_string(), challenge.clone());
        let credential = self.credential(settings, audience)?;
        let bearer = match challenge {
            Challenge::Bearer(bearer) => bearer,
            Challenge::Basic => return Ok(credential.as_ref().map(basic)),
        };
        let key = (audience.base.to_string(), audience.scope.to_owned());
        let desk = lock(&self.desks).entry(key.clone()).or_default().clone();
        let _own = lock(&desk);
        if let Some(header) = self.fresh(settings, &key)
            && refused != Some(&header)
        {
            return Ok(Some(header));
        }
        let service = TokenService { transport, settings, audience, bearer };
        let token = service.fetch(credential.as_ref());
        let token = token.map_err(|error| error.denied(|| audience.asker(credential.as_ref())))?;
        lock(&self.tokens).insert(key, token.clone());
        Ok(Some(token.header))
    }

    /// The header with a token that is good for a while.
    fn fresh(&self, settings: &Settings, key: &(String, String)) -> Option<String> {
        let tokens = lock(&self.tokens);
        let token = tokens.get(key).filter(|token| settings.timing.now() < token.stale)?;
        Some(token.header.clone())
    }
}

impl<'a> Audience<'a> {
    /// The registry, for who sends requests to it.
    pub(crate) fn server(self) -> Server<'a> {
        Server { base: self.base, tls: &self.reach.tls }
    }

    /// Who asks for what, for the text of a refusal.
    pub(crate) fn asker(self, credential: Option<&Credential>) -> Asker {
        let host = self.host.to_owned();
        let right = if self.scope.contains("push") { "push to" } else { "pull from" };
        let wish = match self.name {
            "" => format!("log in to {host}"),
            name => format!("{right} {host}/{name}"),
        };
        Asker { who: credential.map(Credential::account), wish, host }
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
    fn fetch(&self, credential: Option<&Credential>) -> Result<Token, RegistryError> {
        let named = Realm {
            reach: self.audience.reach,
            base: self.audience.base,
            name: &self.bearer.realm,
        };
        let realm = named.address()?;
        let distrust = credential.and_then(|_| named.distrust(&realm));
        if let Some(reason) = distrust {
            return Err(named.refusal(&realm, reason));
        }
        let response = match credential {
            Some(Credential::IdentityToken(token)) => match self.post(&realm, token.reveal()) {
                Err(error) if matches!(error.status(), Some(404 | 405)) => {
                    self.get(&realm, credential)
                }
                other => other,
            },
            _ => self.get(&realm, credential),
        }?;
        self.read(&realm, response)
    }

    /// A service on the host of a registry is treated as that.
    fn access(&self) -> Access<'_> {
        Access { server: Some(self.audience.server()), ..Access::default() }
    }

    fn get(&self, realm: &Url, credential: Option<&Credential>) -> Result<Response, RegistryError> {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(self.bearer.service.iter().map(|service| ("service", service)));
            let scopes = self.audience.scope.split(' ').filter(|scope| !scope.is_empty());
            query.extend_pairs(scopes.map(|scope| ("scope", scope)));
            if let Some(Credential::Password { username, .. }) = credential {
                query.append_pair("account", username);
            }
            query.append_pair("client_id", CLIENT_ID);
        }
        let call = Call { method: Method::GET, url, headers: HeaderMap::new(), body: Body::Empty };
        let header = credential.map(basic);
        let authorization = header.as_deref();
        self.transport.send(self.settings, &call, Access { authorization, ..self.access() })
    }

    fn post(&self, realm: &Url, refresh_token: &str) -> Result<Response, RegistryError> {
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
        let body = Body::Secret(form.as_bytes());
        let call = Call { method: Method::POST, url: realm.clone(), headers, body };
        self.transport.send(self.settings, &call, self.access())
    }

    fn read(&self, realm: &Url, response: Response) -> Result<Token, RegistryError> {
        let fail = |problem| RegistryError::new("GET", realm, problem);
        let wrong = || fail(RegistryProblem::Answer { what: "token" });
        let mut bytes = Vec::new();
        let read = response.take(MAX_TOKEN).read_to_end(&mut bytes);
        // A connection that broke says nothing of the service.
        read.map_err(|error| fail(RegistryProblem::Transport { detail: chain(&error) }))?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let given = |text: &String| !text.is_empty();
        let token = answer.token.filter(given).or(answer.access_token.filter(given));
        let token = token.ok_or_else(wrong)?;
        let life =
            Duration::from_secs(answer.expires_in.as_u64().unwrap_or(DEFAULT_LIFE).min(86_400));
        let stale = self.settings.timing.now() + life * 4 / 5;
        Ok(Token { header: format!("Bearer {token}"), stale })
    }
}

pub(crate) fn basic(credential: &Credential) -> String {
    let (username, secret) = credential.pair();
    format!("Basic {}", STANDARD.encode(format!("{username}:{}", secret.reveal())))
}

/// Whether a header has a token that says of itself that it is nobody's, as the one does that some
/// services give to those whose password is wrong.
pub(crate) fn is_for_nobody(header: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        sub: Option<String>,
    }
    let claims = header.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|bytes| serde_json::from_slice::<Claims>(&bytes).ok());
    claims.is_some_and(|claims| claims.sub.as_deref() == Some(""))
}

/// What a refusal asks for.
pub(crate) fn challenge_of(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    challenge::choose(values.filter_map(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_however_its_life_is_written() {
        for life in ["300", "\"300\"", "300.5", "-1", "null", "0"] {
            let text = format!(r#"{{"token":"t","expires_in":{life}}}"#);
            let answer: Answer = serde_json::from_str(&text).unwrap();
            assert_eq!(answer.token.as_deref(), Some("t"));
        }
        let answer: Answer = serde_json::from_str(r#"{"access_token":"t"}"#).unwrap();
        assert_eq!(answer.expires_in.as_u64(), None);
    }
}
