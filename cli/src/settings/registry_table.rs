//! The tables `[registry."HOST"]` of the configuration file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use wythe_registry::hosts::{
    Connection, HostConfig, Identity, Namespace, Part, Place, Security, Serves,
};

use super::file::beside;

/// All of them.
#[derive(Default)]
pub(crate) struct Registries(BTreeMap<String, RegistryTable>);

#[derive(Deserialize)]
#[serde(try_from = "RegistrySettings")]
struct RegistryTable(RegistrySettings);

/// What a table may say.
#[expect(clippy::struct_excessive_bools, reason = "each is a line of a file")]
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RegistrySettings {
    mirrors: Option<Vec<Mirror>>,
    insecure: bool,
    plain_http: bool,
    ca: Paths,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    auth_hosts: BTreeSet<String>,
    max_requests: Option<NonZeroUsize>,
}

/// A mirror: its address, or a table with that and more.
#[derive(Clone)]
struct Mirror {
    place: Place,
    paths: ConnectionPaths,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MirrorTable {
    url: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    ca: Paths,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    resolve: Option<bool>,
}

/// One path, or a list of them.
#[derive(Clone, Debug, Default)]
struct Paths(Vec<PathBuf>);

/// The files of a connection, as they are written.
#[derive(Clone, Default)]
struct ConnectionPaths {
    ca: Vec<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Registries {
    /// What the tables say; relative paths begin at the folder of the file.
    pub(crate) fn configs(self, folder: &Path) -> Vec<(Part, HostConfig)> {
        let config =
            |(name, table): (String, RegistryTable)| (Part::parse(&name), table.0.config(folder));
        self.0.into_iter().map(config).collect()
    }
}

impl<'de> Deserialize<'de> for Registries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let tables = BTreeMap::<String, RegistryTable>::deserialize(from)?;
        match tables.keys().find(|name| name.is_empty() || name.contains("://")) {
            Some(name) => Err(D::Error::custom(format!(
                "{name:?} is not the name of a registry: it is written as in the names of images, HOST or HOST:PORT"
            ))),
            None => Ok(Self(tables)),
        }
    }
}

impl TryFrom<RegistrySettings> for RegistryTable {
    type Error = String;

    fn try_from(settings: RegistrySettings) -> Result<Self, String> {
        let security = settings.security();
        settings.paths().check(security)?;
        Ok(Self(settings))
    }
}

impl RegistrySettings {
    fn paths(&self) -> ConnectionPaths {
        let (cert, key) = (self.client_cert.clone(), self.client_key.clone());
        ConnectionPaths { ca: self.ca.0.clone(), cert, key }
    }

    fn security(&self) -> Option<Security> {
        match (self.plain_http, self.insecure) {
            (true, _) => Some(Security::Plain),
            (false, true) => Some(Security::AnyOrPlain),
            (false, false) => None,
        }
    }

    fn config(self, folder: &Path) -> HostConfig {
        let connection = self.paths().connection(folder, self.security());
        let mirror = |Mirror { place, paths }: Mirror| {
            let connection = paths.connection(folder, place.connection.security);
            Place { connection, ..place }
        };
        HostConfig {
            mirrors: self.mirrors.map(|mirrors| mirrors.into_iter().map(mirror).collect()),
            connection,
            auth_hosts: self.auth_hosts,
            max_requests: self.max_requests,
            ..HostConfig::default()
        }
    }
}

impl ConnectionPaths {
    /// Whether the settings go together.
    fn check(&self, security: Option<Security>) -> Result<(), String> {
        if security.is_some() && !self.ca.is_empty() {
            return Err("ca is of no use where no certificate is looked at: leave out insecure and plain-http, or ca".to_owned());
        }
        if self.key.is_some() && self.cert.is_none() {
            return Err("client-key is of no use without client-cert".to_owned());
        }
        Ok(())
    }

    fn connection(self, folder: &Path, security: Option<Security>) -> Connection {
        let whole = |path: &PathBuf| beside(folder, path);
        let identity = self.cert.as_ref().map(|cert| Identity {
            certificate: whole(cert),
            key: whole(self.key.as_ref().unwrap_or(cert)),
        });
        Connection { security, authorities: self.ca.iter().map(whole).collect(), identity }
    }
}

impl MirrorTable {
    fn mirror(self) -> Result<Mirror, String> {
        let mut place = Place::parse(&self.url).map_err(|error| error.to_string())?;
        place.namespace = Namespace::Told;
        if self.resolve == Some(false) {
            place.serves = Serves::Digests;
        }
        if self.insecure {
            place.connection.security.get_or_insert(Security::AnyOrPlain);
        }
        let paths = ConnectionPaths { ca: self.ca.0, cert: self.client_cert, key: self.client_key };
        paths.check(place.connection.security)?;
        Ok(Mirror { place, paths })
    }
}

impl<'de> Deserialize<'de> for Mirror {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = MirrorTable;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the address of a mirror, or a table with its url")
            }

            fn visit_str<E>(self, text: &str) -> Result<MirrorTable, E> {
                Ok(MirrorTable {
                    url: text.to_owned(),
                    insecure: false,
                    ca: Paths::default(),
                    client_cert: None,
                    client_key: None,
                    resolve: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MirrorTable, A::Error> {
                MirrorTable::deserialize(MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_any(Either)?.mirror().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Several;
        impl<'de> Visitor<'de> for Several {
            type Value = Paths;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a path or a list of paths")
            }

            fn visit_str<E>(self, text: &str) -> Result<Paths, E> {
                Ok(Paths(vec![PathBuf::from(text)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = all.next_element()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        from.deserialize_any(Several)
    }
}

#[cfg(test)]
mod tests {
    use wythe_registry::hosts::Hosts;

    use crate::settings::file::parse;

    use super::*;

    fn of(text: &str, host: &str) -> HostConfig {
        let configuration = parse(text, Path::new("/etc/wythe")).unwrap();
        Hosts::default().with(configuration.registries).of(host, "app")
    }

    #[test]
    fn a_registry_has_mirrors_certificates_and_limits() {
        let text = r#"
            [registry."r.example:5000"]
            mirrors = ["m.example/hub", { url = "http://cache:5000", resolve = false }]
            ca = "ca.pem"
            client-cert = "/own/client.cert"
            client-key = "/own/client.key"
            auth-hosts = ["sso.example"]
            max-requests = 3
        "#;
        let found = of(text, "r.example:5000");
        let mirrors = found.mirrors.unwrap();
        let names: Vec<_> = mirrors.iter().map(|place| (&*place.host, place.serves)).collect();
        assert_eq!(names, [("m.example", Serves::All), ("cache:5000", Serves::Digests)]);
        assert_eq!(mirrors[0].rename.with, "hub");
        assert_eq!(mirrors[1].connection.security, Some(Security::Plain));
        assert_eq!(found.connection.authorities, [PathBuf::from("/etc/wythe/ca.pem")]);
        let identity = found.connection.identity.unwrap();
        assert_eq!(identity.key, PathBuf::from("/own/client.key"));
        assert!(found.auth_hosts.contains("sso.example"));
        assert_eq!(found.max_requests, NonZeroUsize::new(3));
        assert_eq!(of(text, "r.example"), HostConfig::default());
    }

    #[test]
    fn certificates_are_not_looked_at_where_it_says_so() {
        let security =
            |line: &str| of(&format!("[registry.\"r.io\"]\n{line}"), "r.io").connection.security;
        assert_eq!(security("insecure = true"), Some(Security::AnyOrPlain));
        assert_eq!(security("plain-http = true"), Some(Security::Plain));
        assert_eq!(security("insecure = false"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (line, word) in [
            ("mirror = []", "unknown field `mirror`"),
            ("mirrors = [\"ftp://x\"]", "neither http"),
            ("mirrors = [{ uri = \"x\" }]", "unknown field `uri`"),
            ("insecure = true\nca = \"x\"", "of no use"),
            ("client-key = \"x\"", "without client-cert"),
            ("max-requests = 0", "invalid value"),
        ] {
            let text = format!("[registry.\"r.io\"]\n{line}");
            let told = parse(&text, Path::new("/")).unwrap_err().to_string();
            assert!(told.contains(word) && told.contains("line "), "{told}");
        }
        let told = parse("[registry.\"https://r.io\"]", Path::new("/")).unwrap_err().to_string();
        assert!(told.contains("not the name of a registry"), "{told}");
    }
}
