//! podman's `registries.conf`: mirrors, other places, what is insecure and what is blocked.

use std::path::Path;

use serde::Deserialize;
use wythe_registry::hosts::{
    Connection, HostConfig, Part, Place, PlaceError, Rename, Security, Serves,
};

use super::{Source, broken, names, text, unusable};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::file;

/// What is insecure for podman.
const LAX: Security = Security::AnyOrPlain;

/// What is read of a file. Short names are those of Docker Hub here, wherever podman would look for them.
#[derive(Default, Deserialize)]
struct RegistriesFile {
    #[serde(default)]
    registry: Vec<RegistryEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "podman has them")]
struct RegistryEntry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorEntry {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<String>,
}

/// What the files of podman say: those of a `registries.conf.d` before the main one, the user's before the
/// machine's.
pub(super) fn read(settings: &Settings) -> Result<Source, Failure> {
    let mut source = Source::new();
    if let Some(path) = settings.path("CONTAINERS_REGISTRIES_CONF") {
        source.extend(entries(&path)?.unwrap_or_default());
        return Ok(source);
    }
    let system = Path::new(super::SYSTEM).join("containers");
    let users = settings.config_folder().map(|folder| folder.join("containers"));
    for folder in users.iter().chain([&system]) {
        let folder = folder.join("registries.conf.d");
        for name in names(&folder)?.iter().rev().filter(|name| is_drop_in(name)) {
            source.extend(entries(&folder.join(name))?.unwrap_or_default());
        }
    }
    for folder in users.iter().chain([&system]) {
        if let Some(found) = entries(&folder.join("registries.conf"))? {
            source.extend(found);
            break;
        }
    }
    Ok(source)
}

/// Whether podman reads a file of such a folder.
fn is_drop_in(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "conf")
}

/// What a file says; `None` where it is not there.
fn entries(path: &Path) -> Result<Option<Source>, Failure> {
    let Some(text) = text(path)? else { return Ok(None) };
    let file: RegistriesFile = file::read(&text).map_err(|error| broken(path, &error))?;
    let by = path.display().to_string();
    let entries = file.registry.iter().filter_map(|entry| entry.config(&by).transpose());
    let source: Result<Source, PlaceError> = entries.collect();
    source.map(Some).map_err(|error| unusable(path).because(&error))
}

impl RegistryEntry {
    fn config(&self, by: &str) -> Result<Option<(Part, HostConfig)>, PlaceError> {
        let prefix = self.prefix.as_deref().filter(|prefix| !prefix.is_empty());
        let location = self.location.as_deref().filter(|location| !location.is_empty());
        let Some(prefix) = prefix.or(location) else { return Ok(None) };
        let security = self.insecure.then_some(LAX);
        let mut config = HostConfig {
            blocked: self.blocked.then(|| by.to_owned()),
            connection: Connection { security, ..Connection::default() },
            ..HostConfig::default()
        };
        if let Some(location) = location.filter(|location| *location != prefix) {
            config.source = Some(place(prefix, location, security)?);
        }
        let mirror = |entry: &MirrorEntry| {
            let place = place(prefix, &entry.location, entry.insecure.then_some(LAX))?;
            Ok(Place { serves: self.serves(entry), ..place })
        };
        let mirrors: Result<Vec<Place>, PlaceError> = self.mirror.iter().map(mirror).collect();
        config.mirrors = Some(mirrors?).filter(|mirrors| !mirrors.is_empty());
        Ok(Some((Part::parse(prefix), config)))
    }

    fn serves(&self, mirror: &MirrorEntry) -> Serves {
        match mirror.pull_from_mirror.as_deref() {
            Some("digest-only") => Serves::Digests,
            Some("tag-only") => Serves::Tags,
            _ if self.mirror_by_digest_only => Serves::Digests,
            _ => Serves::All,
        }
    }
}

/// Where what begins with a prefix is instead.
fn place(prefix: &str, location: &str, security: Option<Security>) -> Result<Place, PlaceError> {
    let mut place = Place::parse(location)?;
    let without = prefix.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
    place.rename = Rename { without: without.to_owned(), ..place.rename };
    place.connection.security = security.or(place.connection.security);
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wythe_registry::hosts::Hosts;

    use super::*;

    /// What files in the folder of a user say.
    fn hosts(files: &[(&str, &str)]) -> Result<Hosts, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("containers");
        fs::create_dir_all(own.join("registries.conf.d")).unwrap();
        for (name, text) in files {
            fs::write(own.join(name), text).unwrap();
        }
        let settings = Settings::of(&[("XDG_CONFIG_HOME", folder.path().to_str().unwrap())]);
        Ok(Hosts::default().with(read(&settings)?))
    }

    #[test]
    fn what_begins_with_a_prefix_is_at_another_place_and_at_mirrors() {
        let text = r#"
            unqualified-search-registries = ["docker.io", "quay.io"]
            short-name-mode = "enforcing"
            [[registry]]
            prefix = "example.com/foo"
            location = "internal:5000/bar"
            insecure = true
            [[registry.mirror]]
            location = "mirror:5000/baz"
            pull-from-mirror = "digest-only"
            [[registry]]
            location = "blocked.io"
            blocked = true
        "#;
        let hosts = hosts(&[("registries.conf", text)]).unwrap();
        let found = hosts.of("example.com", "foo/app");
        let source = found.source.unwrap();
        assert_eq!((&*source.host, &*source.rename.apply("foo/app")), ("internal:5000", "bar/app"));
        assert_eq!(source.connection.security, Some(Security::AnyOrPlain));
        let mirror = &found.mirrors.unwrap()[0];
        assert_eq!((&*mirror.host, &*mirror.rename.apply("foo/app")), ("mirror:5000", "baz/app"));
        assert_eq!((mirror.serves, mirror.connection.security), (Serves::Digests, None));
        assert_eq!(hosts.of("example.com", "other"), HostConfig::default());
        assert!(hosts.of("blocked.io", "app").blocked.unwrap().ends_with("registries.conf"));
    }

    #[test]
    fn a_file_of_the_folder_comes_before_the_main_one_and_a_later_one_before_an_earlier() {
        let entry = |insecure: bool, host: &str| {
            format!("[[registry]]\nlocation = \"{host}\"\ninsecure = {insecure}\n")
        };
        let main = entry(false, "a.io") + &entry(true, "b.io");
        let files = [
            ("registries.conf", main.as_str()),
            ("registries.conf.d/1.conf", &entry(false, "a.io")),
            ("registries.conf.d/2.conf", &entry(true, "a.io")),
            ("registries.conf.d/notes", "no toml"),
        ];
        let hosts = hosts(&files).unwrap();
        for host in ["a.io", "b.io"] {
            let security = hosts.of(host, "app").connection.security;
            assert_eq!(security, Some(Security::AnyOrPlain), "{host}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_with_its_line() {
        let told = hosts(&[("registries.conf", "\n[[registry]")]).unwrap_err().lines().join("\n");
        assert!(told.contains("registries.conf") && told.contains("line 2"), "{told}");
    }
}
