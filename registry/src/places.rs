//! Which places are asked: mirrors one after the other, and the registry last.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use reqwest::Method;
use url::Url;
use wythe_store::oci::reference::Reference;

use crate::client::{Inner, Repository, Rights};
use crate::error::{RegistryError, RegistryProblem};
use crate::hosts::{Connection, HostConfig, Namespace, Place, Security};
use crate::notice::Notice;
use crate::origin;
use crate::retry::retry;
use crate::tls::{Tls, Trust};
use crate::transport;

/// A mirror that could not be reached is not asked again before this has passed: waiting for it once more with
/// every blob costs more than it can save.
const REST: Duration = Duration::from_mins(1);

/// How a registry is believed, and who else sees its credentials.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reach {
    pub(crate) tls: Tls,
    /// As `host[:port]`.
    pub(crate) auth_hosts: BTreeSet<String>,
    /// How many requests it gets at a time, where somebody says.
    pub(crate) max_requests: Option<NonZeroUsize>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    Manifest,
    Blob,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Asked {
    /// Mirrors, then the registry.
    #[default]
    Anybody,
    /// The registry alone: a mirror may say what was true an hour ago.
    Registry,
}

/// A place that is asked, on behalf of the registry that a name is of.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    place: Place,
    /// The registry, where this is a mirror of it.
    mirrors: Option<String>,
    name: String,
}

impl Inner {
    /// The repository of a name at its registry.
    pub(crate) fn repository(
        &self,
        reference: &Reference,
        rights: Rights,
    ) -> Result<Repository, RegistryError> {
        let config = self.config(reference)?;
        self.at(&Stop::registry(reference, config, rights), rights)
    }

    /// The places that are asked for what a name stands for, at least one.
    pub(crate) fn stops(
        &self,
        reference: &Reference,
        wanted: Wanted,
        asked: Asked,
    ) -> Result<Vec<Stop>, RegistryError> {
        let mut config = self.config(reference)?;
        if asked == Asked::Registry {
            (config.mirrors, config.source) = (None, None);
        }
        let mirrors = config.mirrors.take().unwrap_or_default();
        let registry = Stop::registry(reference, config, Rights::Pull);
        let mirrors = mirrors
            .into_iter()
            .filter(|mirror| mirror.serves.answers(reference, wanted) && !registry.is_at(mirror));
        let (host, name) = (reference.host(), reference.repository());
        let mirror = |place| Stop { place, mirrors: Some(host.to_owned()), name: name.to_owned() };
        let mut stops: Vec<Stop> = mirrors.map(mirror).collect();
        stops.push(registry);
        Ok(stops)
    }

    /// Asks one place after the other, until one has an answer. What the registry itself says counts,
    /// whatever mirrors have said before, and it alone is asked again where it fails for reasons that pass.
    pub(crate) fn anywhere<T>(
        &self,
        stops: &[Stop],
        ask: impl Fn(&Repository) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        for stop in stops {
            if stop.mirrors.is_none() {
                let repository = self.at(stop, Rights::Pull)?;
                return retry(&*self.settings.timing, || ask(&repository));
            }
            if self.rests(stop) {
                continue;
            }
            match self.at(stop, Rights::Pull).and_then(|repository| ask(&repository)) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pass_over(stop, &error),
            }
        }
        let problem = RegistryProblem::Answer { what: "place to ask" };
        Err(RegistryError { method: "GET".to_owned(), url: String::new(), problem })
    }

    /// Notes what a mirror did not do.
    pub(crate) fn pass_over(&self, stop: &Stop, error: &RegistryError) {
        let Some(registry) = &stop.mirrors else { return };
        if error.status() == Some(404) {
            // It has not got everything, which is what the registry is asked for.
            return;
        }
        let lies = matches!(error.problem, RegistryProblem::Digest { .. });
        if error.is_transient() || lies {
            let until = self.settings.timing.now() + REST;
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.insert(stop.place.host.clone(), until);
        }
        self.tell(&[Notice::PassedOver {
            mirror: stop.place.host.clone(),
            registry: registry.clone(),
            why: error.to_string(),
        }]);
    }

    /// Whether a mirror is left alone for now.
    pub(crate) fn rests(&self, stop: &Stop) -> bool {
        // A panic while it is held leaves the map as it was.
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let until = resting.get(&stop.place.host).filter(|_| stop.mirrors.is_some());
        until.is_some_and(|until| self.settings.timing.now() < *until)
    }

    /// Where a registry is, and how it is reached.
    pub(crate) fn site(&self, host: &str) -> Result<(Url, Arc<Reach>), RegistryError> {
        let config = self.settings.hosts.of(host, "");
        let place = Stop::of(host, "", config, Rights::Push).place;
        self.reach(&place)
    }

    /// The repository as it is called at a place.
    pub(crate) fn at(&self, stop: &Stop, rights: Rights) -> Result<Repository, RegistryError> {
        let (base, reach) = self.reach(&stop.place)?;
        let name = stop.place.rename.apply(&stop.name);
        let actions = if rights == Rights::Push { "pull,push" } else { "pull" };
        let scope = format!("repository:{name}:{actions}");
        let told = stop.place.namespace == Namespace::Told;
        let namespace = stop.mirrors.clone().filter(|_| told);
        Ok(Repository { host: stop.place.host.clone(), name, base, scope, namespace, reach })
    }

    fn config(&self, reference: &Reference) -> Result<HostConfig, RegistryError> {
        let mut config = self.settings.hosts.of(reference.host(), reference.repository());
        match config.blocked.take() {
            None => Ok(config),
            Some(by) => Err(RegistryError {
                method: Method::GET.to_string(),
                url: reference.name(),
                problem: RegistryProblem::Blocked { by },
            }),
        }
    }

    fn reach(&self, place: &Place) -> Result<(Url, Arc<Reach>), RegistryError> {
        let broken = |error: url::ParseError| RegistryError {
            method: Method::GET.to_string(),
            url: place.host.clone(),
            problem: error.into(),
        };
        let own = self.settings.hosts.of(&place.host, "");
        let connection = place.connection.clone().or(own.connection);
        let secure = origin::base_url(&place.host).map_err(broken)?;
        let security = origin::security(&place.host, &secure, &connection, &self.settings);
        let tls = tls_of(connection, security);
        let mut base = match security {
            Security::Plain => origin::without_tls(&place.host).map_err(broken)?,
            Security::AnyOrPlain => self.found(&place.host, secure, &tls)?,
            Security::Verified | Security::AnyCertificate => secure,
        };
        base.set_path(&place.path);
        let (auth_hosts, max_requests) = (own.auth_hosts, own.max_requests);
        Ok((base, Arc::new(Reach { tls, auth_hosts, max_requests })))
    }

    /// Where a registry is that may do without TLS, as is found by asking.
    fn found(&self, host: &str, secure: Url, tls: &Tls) -> Result<Url, RegistryError> {
        // A panic while it is held leaves the map as it was.
        let bases = &self.settings.traffic.bases;
        let mut known = bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = known.get(host) {
            return Ok(base.clone());
        }
        let base = if transport::speaks_tls(&self.settings, &secure, tls)? {
            secure
        } else {
            let plain = origin::without_tls(host);
            plain.map_err(|error| RegistryError::new("GET", &secure, error))?
        };
        known.insert(host.to_owned(), base.clone());
        Ok(base)
    }
}

/// What handshakes with a server go by.
pub(crate) fn tls_of(connection: Connection, security: Security) -> Tls {
    let trust = match security {
        Security::Verified => Trust::Authorities,
        Security::AnyCertificate | Security::AnyOrPlain | Security::Plain => Trust::Anybody,
    };
    Tls { trust, authorities: connection.authorities, identity: connection.identity }
}

impl Stop {
    fn registry(reference: &Reference, config: HostConfig, rights: Rights) -> Self {
        Self::of(reference.host(), reference.repository(), config, rights)
    }

    fn of(host: &str, name: &str, config: HostConfig, rights: Rights) -> Self {
        let source = config.source.filter(|_| rights == Rights::Pull);
        let mut place = source.or(config.server).unwrap_or_else(|| Place::at(host));
        if place.host == host {
            place.connection = place.connection.or(config.connection);
        }
        Self { place, mirrors: None, name: name.to_owned() }
    }

    fn is_at(&self, place: &Place) -> bool {
        let own = &self.place;
        own.host == place.host && own.path == place.path && own.rename == place.rename
    }

    /// Who is asked.
    pub(crate) fn host(&self) -> &str {
        &self.place.host
    }

    /// Whether it stands for a registry that is not asked itself.
    pub(crate) fn is_mirror(&self) -> bool {
        self.mirrors.is_some()
    }
}
