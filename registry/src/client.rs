//! The client: requests to a repository with whatever authentication it asks for.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceProblem};

use crate::agent::Response;
use crate::auth::{Audience, Auth};
use crate::download::Download;
use crate::error::{RegistryError, RegistryProblem};
use crate::learned::Habit;
use crate::manifest;
use crate::notice::{self, Notice};
use crate::origin;
use crate::places::{Asked, Reach, Wanted};
use crate::profile::{self, Profile};
use crate::retry::delay;
use crate::settings::Settings;
use crate::tls::{self, Tls};
use crate::transport::{Access, Body, Call, Transport};
use crate::web::WebRequest;

/// A client of any number of registries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    asked: Asked,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) transport: Transport,
    pub(crate) auth: Auth,
    /// Mirrors that are left alone, and until when.
    pub(crate) resting: Mutex<BTreeMap<String, Instant>>,
}

/// A repository, and the rights that requests to it need.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) base: Url,
    pub(crate) scope: String,
    /// Whose images a mirror is asked for, where it wants to know.
    pub(crate) namespace: Option<String>,
    /// How the registry is believed.
    pub(crate) reach: Arc<Reach>,
}

/// What requests to a repository do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rights {
    Pull,
    Push,
}

impl Client {
    /// A client. Nothing is connected or read until the first request.
    pub fn new(settings: Settings) -> Self {
        let (transport, auth) = (Transport::default(), Auth::default());
        let inner = Inner { settings, transport, auth, resting: Mutex::default() };
        Self { inner: Arc::new(inner), asked: Asked::default() }
    }

    /// The same client, which asks registries themselves for everything and mirrors for nothing: for who
    /// changes what tags stand for by what they stood for before.
    #[must_use]
    pub fn without_mirrors(&self) -> Self {
        Self { inner: self.inner.clone(), asked: Asked::Registry }
    }

    /// Whom this client believes to be who they say, for what speaks another protocol over TLS.
    ///
    /// # Errors
    ///
    /// If a certificate that was named cannot be read.
    pub fn tls(&self) -> Result<rustls::ClientConfig, RegistryProblem> {
        tls::config(&self.inner.settings, &Tls::default())
    }

    fn fetch_manifest(
        &self,
        reference: &Reference,
    ) -> Result<(Descriptor, Vec<u8>), RegistryError> {
        let stops = self.inner.stops(reference, Wanted::Manifest, self.asked)?;
        self.inner.anywhere(&stops, |repository| {
            let call = manifest::call(repository, Method::GET, reference);
            let response = self.inner.call(repository, &call)?;
            manifest::read(reference, &call, response)
        })
    }

    /// What is at an address that an image names.
    fn published(
        &self,
        reference: &Reference,
        url: &str,
    ) -> Result<Box<dyn Read + Send>, RegistryError> {
        let to: Url = url.parse().map_err(|error: url::ParseError| RegistryError {
            method: Method::GET.to_string(),
            url: url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            problem: error.into(),
        })?;
        let from = origin::base_url(reference.host());
        let from = from.map_err(|error| RegistryError::new("GET", &to, error))?;
        if let Some(reason) = origin::objection_to_host(&from, &to) {
            let problem = RegistryProblem::named("the image", &to, reason);
            return Err(RegistryError::new("GET", &to, problem));
        }
        Ok(self.get(WebRequest { url, ..WebRequest::default() })?.body)
    }

    fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>, RegistryError> {
        let stops = self.inner.stops(reference, Wanted::Manifest, self.asked)?;
        let response = self.inner.anywhere(&stops, |repository| {
            self.inner.call(repository, &manifest::call(repository, Method::HEAD, reference))
        })?;
        Ok(manifest::announced(&response))
    }
}

impl ImageSource for Client {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        self.fetch_manifest(reference).map_err(|error| error.about(reference))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let stops = self.inner.stops(reference, Wanted::Blob, self.asked);
        let blob = stops.and_then(|stops| Download::start(self.inner.clone(), stops, descriptor));
        blob.map_err(|error| error.about(reference))
    }

    /// Over `http` and `https`, with no credentials of any registry, and from no address that only machines inside can
    /// reach, unless the registry is at one; whoever stores the bytes hashes them.
    fn elsewhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let mut failure = None;
        for url in &descriptor.urls {
            match self.published(reference, url) {
                Ok(body) => return Ok(body),
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        let absent = || {
            let detail = descriptor.digest.to_string();
            SourceError::new(reference, SourceProblem::NotFound { detail })
        };
        Err(failure.map_or_else(absent, |error| error.about(reference)))
    }

    /// A `HEAD`, which registries do not count as a pull; a registry that answers one without the
    /// digest, or refuses it without a word, is asked in full.
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        let in_full = || self.manifest(reference).map(|(descriptor, _)| descriptor);
        let (inner, host) = (&self.inner, reference.host());
        if inner.settings.learned.knows(host, Habit::RefusesHeads) {
            return in_full();
        }
        match self.head_manifest(reference) {
            Ok(Some(descriptor)) => Ok(descriptor),
            Ok(None) => in_full(),
            Err(error) if error.status().is_some() => {
                let found = in_full()?;
                if matches!(error.status(), Some(405 | 501)) {
                    inner.learn(host, Habit::RefusesHeads);
                }
                Ok(found)
            }
            Err(error) => Err(error.about(reference)),
        }
    }
}

impl Inner {
    /// Sends a request in the name of an audience.
    pub(crate) fn send(
        &self,
        audience: Audience<'_>,
        call: &Call<'_>,
        authorization: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let Settings { traffic, timing, .. } = &self.settings;
        let host = audience.host;
        let most = audience.reach.max_requests.unwrap_or_else(|| self.profile(audience).requests);
        let turn = traffic.turn(host, most, &**timing);
        if matches!(call.body, Body::Stream(..) | Body::Unsized(_)) {
            // What is sent may have to be fetched from the same host first.
            drop(turn);
        }
        let server = Some(audience.server());
        let access = Access { authorization, server, ..Access::default() };
        let answer = self.transport.send(&self.settings, call, access);
        match &answer {
            Ok(response) => {
                traffic.answered(host);
                self.tell(&notice::of_headers(host, response.headers()));
            }
            Err(error) if error.status() == Some(429) || error.retry_after().is_some() => {
                let rest = error.retry_after().and_then(|asked| delay(&**timing, 1, Some(asked)));
                traffic.refused(host, timing.now(), rest);
            }
            Err(_) => {}
        }
        answer
    }

    /// What is known of the registry of a repository.
    pub(crate) fn profile_of(&self, repository: &Repository) -> &'static Profile {
        self.profile(repository.audience())
    }

    /// What is known of a registry before it has answered.
    fn profile(&self, audience: Audience<'_>) -> &'static Profile {
        profile::of(audience.host, self.auth.service(audience.base).as_deref())
    }

    /// Remembers what a registry does otherwise.
    pub(crate) fn learn(&self, host: &str, habit: Habit) {
        if self.settings.learned.learn(host, habit) {
            self.tell(&[Notice::Learned { host: host.to_owned(), habit }]);
        }
    }

    /// Tells what was not told yet.
    pub(crate) fn tell(&self, notices: &[Notice]) {
        let Settings { traffic, notices: listener, .. } = &self.settings;
        let new = notices.iter().filter(|notice| traffic.is_new(notice.subject()));
        new.for_each(|notice| listener.notice(notice));
    }

    /// Sends a request, and once more with a fresh answer if it is challenged.
    ///
    /// A token may expire between two requests of a long push, so a refusal of one that worked is
    /// answered like the first.
    pub(crate) fn call(
        &self,
        repository: &Repository,
        call: &Call<'_>,
    ) -> Result<Response, RegistryError> {
        let audience = repository.audience();
        if !origin::same_origin(&call.url, &repository.base) {
            return self.send(audience, call, None);
        }
        match self.answered(audience, call) {
            // A registry that does not say what it wants was shown nothing.
            Err(error) if error.is_unchallenged() => Err(error),
            Err(error) if error.is_of(&repository.base) => {
                let credential = self.auth.credential(&self.settings, audience)?;
                Err(error.denied(|| audience.asker(credential.as_ref())))
            }
            other => other,
        }
    }

    fn answered(&self, audience: Audience<'_>, call: &Call<'_>) -> Result<Response, RegistryError> {
        let header = self.auth.header(&self.transport, &self.settings, audience)?;
        let refused = match self.send(audience, call, header.as_deref()) {
            Err(error) if error.status() == Some(401) => error,
            other => return other,
        };
        let RegistryProblem::Status { challenge: Some(challenge), .. } = &refused.problem else {
            let is_shown = header.is_some() || !refused.is_of(audience.base);
            return Err(if is_shown { refused } else { refused.unchallenged() });
        };
        let challenged = (&**challenge, header.as_deref());
        let answer = self.auth.answer(&self.transport, &self.settings, audience, challenged)?;
        match answer {
            Some(answer) => self.send(audience, call, Some(&answer)),
            None => Err(refused),
        }
    }
}

impl Repository {
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}/{path}", self.base.path(), self.name));
        if let Some(namespace) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        url
    }

    fn audience(&self) -> Audience<'_> {
        Audience {
            host: &self.host,
            base: &self.base,
            name: &self.name,
            scope: &self.scope,
            reach: &self.reach,
        }
    }
}

impl<'a> Call<'a> {
    /// A plain `GET`.
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// A request without special headers.
    pub(crate) fn new(method: Method, url: Url, body: Body<'a>) -> Self {
        Self { method, url, headers: HeaderMap::new(), body }
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}
