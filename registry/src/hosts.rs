//! How registries are reached where their names do not say: mirrors, other places, certificates, limits.

mod place;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use place::{ApiPath, Namespace, Place, PlaceError, Rename, Serves};

/// What several sources say of registries.
///
/// Of one source the entry for the smallest part that holds a repository counts, as with credentials; what it
/// leaves open, the next source says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hosts {
    sources: Vec<Vec<(Part, HostConfig)>>,
}

/// Which repositories an entry is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// All of them.
    Everything,
    /// Those of hosts below a domain, which begins with a dot.
    Below(String),
    /// Those of `host[:port]`, or those of it that begin with a path: `host[:port]/path`.
    Named(String),
}

/// What is said of a part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostConfig {
    /// Who says that nothing is to be got from there or sent there.
    pub blocked: Option<String>,
    /// What is asked before the registry, in this order, by whoever reads.
    pub mirrors: Option<Vec<Place>>,
    /// Where the registry is, where its name does not say.
    pub server: Option<Place>,
    /// Where it is for those who read.
    pub source: Option<Place>,
    /// How it is spoken to.
    pub connection: Connection,
    /// Token services, as `host[:port]`, that may see the credentials of the registry; no other may then, but for one on
    /// its own host. Where none is named, those may that the registry names over TLS.
    pub auth_hosts: BTreeSet<String>,
    /// How many requests it gets at a time.
    pub max_requests: Option<NonZeroUsize>,
}

/// How a server is spoken to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Connection {
    /// What the server has to show.
    pub security: Option<Security>,
    /// PEM files, or directories of such, of authorities that are trusted beside the others.
    pub authorities: Vec<PathBuf>,
    /// What this side shows.
    pub identity: Option<Identity>,
}

/// What a server has to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// A certificate of an authority that is trusted.
    Verified,
    /// Any certificate.
    AnyCertificate,
    /// Any certificate, or none where nothing speaks TLS.
    AnyOrPlain,
    /// Nothing: plain HTTP is spoken.
    Plain,
}

/// A certificate of this side, and the key to it: two PEM files, or twice the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// The certificate, and those that lead to an authority.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Hosts {
    /// Adds a source, which is asked after those that are there.
    #[must_use]
    pub fn with(mut self, source: Vec<(Part, HostConfig)>) -> Self {
        self.sources.push(source);
        self
    }

    /// What is said of a repository, or of a whole registry where its name is empty.
    pub fn of(&self, host: &str, repository: &str) -> HostConfig {
        let entries = self.sources.iter().filter_map(|source| {
            let entries = source.iter().filter(|(part, _)| part.holds(host, repository));
            // Of two for the same part the first.
            let best = entries.rev().max_by_key(|(part, _)| part.rank())?;
            Some(best.1.clone())
        });
        entries.fold(HostConfig::default(), HostConfig::or)
    }

    /// The repositories that are said to stand for one, each as `host/name`, in the order in which they are asked.
    /// Those that are not where their names say are left out.
    pub fn stand_ins(&self, repository: &str) -> Vec<String> {
        let Some((host, name)) = repository.split_once('/') else { return Vec::new() };
        let config = self.of(host, name);
        let places = config.mirrors.into_iter().flatten().chain(config.source);
        places.filter_map(|place| place.repository(name)).collect()
    }
}

impl Part {
    /// The part that a prefix in a configuration is about: `*.example.com`, `host`, `host/path`.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => Self::Below(domain.to_ascii_lowercase()),
            _ => {
                let (host, path) = text.split_once('/').unwrap_or((text, ""));
                let host = crate::credentials::host_of(host);
                let path = path.trim_matches('/');
                Self::Named(if path.is_empty() { host } else { format!("{host}/{path}") })
            }
        }
    }

    fn holds(&self, host: &str, repository: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Below(domain) => host.len() > domain.len() && host.ends_with(domain),
            Self::Named(name) => {
                let rest = match name.split_once('/') {
                    Some((own, path)) if own == host => repository.strip_prefix(path),
                    None if name == host => return true,
                    _ => None,
                };
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    /// How small it is.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Everything => (0, 0),
            Self::Below(domain) => (1, domain.len()),
            Self::Named(name) => (2, name.len()),
        }
    }
}

impl HostConfig {
    /// This, and where it says nothing, the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let auth_hosts =
            if self.auth_hosts.is_empty() { other.auth_hosts } else { self.auth_hosts };
        Self {
            blocked: self.blocked.or(other.blocked),
            mirrors: self.mirrors.or(other.mirrors),
            server: self.server.or(other.server),
            source: self.source.or(other.source),
            connection: self.connection.or(other.connection),
            auth_hosts,
            max_requests: self.max_requests.or(other.max_requests),
        }
    }
}

impl Connection {
    /// This, and where it says nothing, the other. Who has named authorities wants them to be asked.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let named = !self.authorities.is_empty();
        Self {
            security: self.security.or(if named { None } else { other.security }),
            authorities: if named { self.authorities } else { other.authorities },
            identity: self.identity.or(other.identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(requests: usize) -> HostConfig {
        HostConfig { max_requests: NonZeroUsize::new(requests), ..HostConfig::default() }
    }

    #[test]
    fn the_smallest_part_of_a_source_counts() {
        let hosts = Hosts::default().with(vec![
            (Part::Everything, limited(1)),
            (Part::parse("*.example"), limited(2)),
            (Part::parse("r.example"), limited(3)),
            (Part::parse("r.example/team"), limited(4)),
        ]);
        for (host, repository, requests) in [
            ("other.io", "app", 1),
            ("example", "app", 1),
            ("a.b.example", "app", 2),
            ("r.example", "teams/app", 3),
            ("r.example", "", 3),
            ("r.example", "team", 4),
            ("r.example", "team/app", 4),
            ("r.example:5000", "team/app", 1),
        ] {
            let found = hosts.of(host, repository).max_requests;
            assert_eq!(found, NonZeroUsize::new(requests), "{host}/{repository}");
        }
    }

    #[test]
    fn what_the_first_source_leaves_open_the_next_one_says() {
        let mirror = Place::parse("mirror.example").unwrap();
        let mirrors = Some(vec![mirror.clone()]);
        let hosts = Hosts::default()
            .with(vec![(Part::parse("r.io"), limited(2))])
            .with(vec![(Part::parse("r.io"), HostConfig { mirrors, ..limited(9) })]);
        let found = hosts.of("r.io", "app");
        assert_eq!((found.max_requests, found.mirrors), (NonZeroUsize::new(2), Some(vec![mirror])));
    }

    #[test]
    fn an_authority_that_is_named_is_not_overruled_by_a_later_source() {
        let named = Connection { authorities: vec!["ca.pem".into()], ..Connection::default() };
        let lax = Connection { security: Some(Security::AnyOrPlain), ..Connection::default() };
        assert_eq!(named.clone().or(lax.clone()), named);
        assert_eq!(lax.clone().or(named).security, lax.security);
    }
}
