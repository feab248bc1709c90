//! containerd's folder of hosts: `HOST[:PORT]/hosts.toml`, or certificates as docker has them.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use wythe_registry::hosts::{
    ApiPath, Connection, HostConfig, Identity, Namespace, Part, Place, PlaceError, Security, Serves,
};

use super::{Source, broken, certificates, names, text, unusable};
use crate::failure::Failure;
use crate::settings::file::{self, beside};

/// The folder for all hosts that have none of their own.
const DEFAULT: &str = "_default";

/// What a file says. What else containerd knows, such as time limits, is about its own connections.
#[derive(Deserialize)]
struct HostsFile {
    server: Option<String>,
    #[serde(default)]
    host: Tables,
    #[serde(flatten)]
    settings: HostTable,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "containerd has them")]
struct HostTable {
    capabilities: Option<Vec<String>>,
    ca: Option<toml::Value>,
    client: Option<toml::Value>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
}

/// The tables `[host."URL"]` in the order of the file, which is that in which they are asked.
#[derive(Default)]
struct Tables(Vec<(String, HostTable)>);

/// What the folders in a folder say.
pub(super) fn read(folder: &Path) -> Result<Source, Failure> {
    let mut source = Source::new();
    let mut names = names(folder)?;
    // containerd looks for `host_port_` before `host:port`.
    names.sort_by_key(|name| !name.ends_with('_'));
    for name in names {
        let (own, part) = (folder.join(&name), part(&name));
        let path = own.join("hosts.toml");
        let config = if let Some(text) = text(&path)? {
            let file: HostsFile = file::read(&text).map_err(|error| broken(&path, &error))?;
            let host = if let Part::Named(host) = &part { host.as_str() } else { "" };
            file.config(host, &own).map_err(|error| unusable(&path).because(&error))?
        } else {
            let connection = certificates::connection(&own)?;
            HostConfig { connection, ..HostConfig::default() }
        };
        source.push((part, config));
    }
    Ok(source)
}

/// What a folder is about: `host`, `host:port`, `host_port_`.
fn part(name: &str) -> Part {
    if name == DEFAULT {
        return Part::Everything;
    }
    let written = name.strip_suffix('_').and_then(|name| name.rsplit_once('_'));
    written.map_or_else(|| Part::parse(name), |(host, port)| Part::parse(&format!("{host}:{port}")))
}

impl HostsFile {
    /// What it says of a host, which is empty for all of them.
    fn config(self, host: &str, folder: &Path) -> Result<HostConfig, PlaceError> {
        let mut config = HostConfig::default();
        if let Some(url) = &self.server {
            let server = self.settings.place(url, folder)?;
            if server.host == host && server.rename.with.is_empty() {
                config.connection = server.connection;
            } else {
                config.server = Some(server);
            }
        } else {
            config.connection = self.settings.connection(folder);
        }
        let mut mirrors = Vec::new();
        for (url, table) in &self.host.0 {
            let place = table.place(url, folder)?;
            if place.host == host && place.rename.with.is_empty() {
                // Many name the registry itself here, with its certificates.
                config.connection = place.connection.or(config.connection);
            } else if let Some(serves) = table.serves() {
                mirrors.push(Place { serves, namespace: Namespace::Told, ..place });
            }
        }
        config.mirrors = (!mirrors.is_empty()).then_some(mirrors);
        Ok(config)
    }
}

impl HostTable {
    fn place(&self, url: &str, folder: &Path) -> Result<Place, PlaceError> {
        let form = if self.override_path { ApiPath::Whole } else { ApiPath::Unversioned };
        let mut place = Place::parse_api(url, form)?;
        let security = place.connection.security;
        place.connection = Connection { security, ..Connection::default() };
        place.connection = place.connection.or(self.connection(folder));
        Ok(place)
    }

    fn connection(&self, folder: &Path) -> Connection {
        let whole = |path: &str| beside(folder, Path::new(path));
        let authorities = self.ca.as_ref().map(strings).unwrap_or_default();
        Connection {
            security: self.skip_verify.then_some(Security::AnyCertificate),
            authorities: authorities.into_iter().map(whole).collect::<Vec<PathBuf>>(),
            identity: self.identity().map(|(certificate, key)| Identity {
                certificate: whole(certificate),
                key: whole(key),
            }),
        }
    }

    /// The first pair of certificate and key: a file with both, or two.
    fn identity(&self) -> Option<(&str, &str)> {
        let client = self.client.as_ref()?;
        let first = client.as_array().map_or(Some(client), |all| all.first())?;
        match strings(first).as_slice() {
            [both] | [both, ""] => Some((both, both)),
            [certificate, key, ..] => Some((certificate, key)),
            [] => None,
        }
    }

    /// What it is asked for; `None` for nothing. It may always be pulled from where nothing is said.
    fn serves(&self) -> Option<Serves> {
        let Some(capabilities) = &self.capabilities else { return Some(Serves::All) };
        let has = |name: &str| capabilities.iter().any(|one| one == name);
        match (has("pull"), has("resolve")) {
            (true, true) => Some(Serves::All),
            (true, false) => Some(Serves::Digests),
            (false, _) => None,
        }
    }
}

/// A string, or those of a list.
fn strings(value: &toml::Value) -> Vec<&str> {
    let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    all.iter().filter_map(toml::Value::as_str).collect()
}

impl<'de> Deserialize<'de> for Tables {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Tables;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("tables of hosts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tables, A::Error> {
                let mut tables = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tables.push(entry);
                }
                Ok(Tables(tables))
            }
        }
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wythe_registry::hosts::Hosts;

    use super::*;

    fn hosts(name: &str, text: &str) -> Hosts {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("hosts.toml"), text).unwrap();
        Hosts::default().with(read(folder.path()).unwrap())
    }

    #[test]
    fn mirrors_are_asked_in_the_order_of_the_file_for_what_they_can_do() {
        let text = r#"
            server = "https://registry-1.docker.io"
            [host."https://z.example/v2/hub"]
              capabilities = ["pull", "resolve"]
              override_path = true
            [host."http://a.example:5000"]
              capabilities = ["pull"]
              skip_verify = true
            [host."https://only.push"]
              capabilities = ["push"]
            [host."https://all.example"]
              [host."https://all.example".header]
                x-custom = "1"
        "#;
        let found = hosts("docker.io", text).of("docker.io", "library/alpine");
        assert_eq!((&found.server, &found.connection), (&None, &Connection::default()));
        let mirrors = found.mirrors.unwrap();
        let parts: Vec<_> =
            mirrors.iter().map(|place| (&*place.host, &*place.rename.with, place.serves)).collect();
        let expected = [
            ("z.example", "hub", Serves::All),
            ("a.example:5000", "", Serves::Digests),
            ("all.example", "", Serves::All),
        ];
        assert_eq!(parts, expected);
        assert_eq!(mirrors[1].connection.security, Some(Security::Plain));
        assert!(mirrors.iter().all(|place| place.namespace == Namespace::Told));
    }

    #[test]
    fn a_registry_has_its_certificates_whichever_table_names_them() {
        for text in [
            "server = \"https://r.example:5000\"\nca = \"ca.pem\"\nclient = [[\"c.cert\", \"c.key\"]]",
            "[host.\"https://r.example:5000\"]\nca = [\"ca.pem\"]\nclient = [[\"c.cert\", \"c.key\"]]",
        ] {
            for name in ["r.example:5000", "r.example_5000_", "_default"] {
                let found = hosts(name, text).of("r.example:5000", "app");
                let own = if name == "_default" {
                    let other = found.server.or(found.mirrors.and_then(|all| all.first().cloned()));
                    other.unwrap().connection
                } else {
                    assert_eq!((found.server, found.mirrors), (None, None), "{name}");
                    found.connection
                };
                assert!(own.authorities[0].ends_with(format!("{name}/ca.pem")), "{own:?}");
                assert!(own.identity.unwrap().key.ends_with(format!("{name}/c.key")));
            }
        }
    }

    #[test]
    fn a_file_with_both_is_certificate_and_key() {
        for client in ["\"both.pem\"", "[\"both.pem\"]", "[[\"both.pem\", \"\"]]"] {
            let found = hosts("r.io", &format!("client = {client}")).of("r.io", "app");
            let identity = found.connection.identity.unwrap();
            assert!(identity.certificate.ends_with("both.pem"), "{client}");
            assert_eq!(identity.certificate, identity.key);
        }
    }

    #[test]
    fn a_server_of_another_name_is_where_the_registry_is() {
        let found = hosts("r.io", "server = \"http://10.0.0.1:5000\"").of("r.io", "app");
        let server = found.server.unwrap();
        assert_eq!(server.host, "10.0.0.1:5000");
        assert_eq!(server.connection.security, Some(Security::Plain));
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("r.io")).unwrap();
        for text in ["\nserver = ", "server = \"ftp://x\""] {
            fs::write(folder.path().join("r.io/hosts.toml"), text).unwrap();
            let told = read(folder.path()).unwrap_err().lines().join("\n");
            assert!(told.contains("r.io/hosts.toml"), "{told}");
        }
    }
}
