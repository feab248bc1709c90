//! How registries are reached by the files of this machine: this program's own, and those that containerd,
//! podman and docker are set up with.

mod certificates;
mod containerd;
mod containers;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wythe_registry::hosts::{HostConfig, Hosts, Part};

use crate::failure::{Class, Failure};
use crate::settings::Settings;
use crate::settings::file::FileError;

/// What one place says.
type Source = Vec<(Part, HostConfig)>;

/// Where others keep their files for all users.
const SYSTEM: &str = "/etc";

/// What flags and all files say: of two that speak of the same, the first counts.
pub(crate) fn hosts(told: Hosts, settings: &Settings) -> Result<Hosts, Failure> {
    let own = settings.configurations()?.into_iter().map(|(_, own)| own.registries);
    let mut hosts = own.fold(told, Hosts::with);
    let users = settings.config_folder();
    let both = |name: &str| {
        let folders = [users.clone(), Some(PathBuf::from(SYSTEM))].into_iter().flatten();
        folders.map(|folder| folder.join(name)).collect::<Vec<_>>()
    };
    for folder in both("containerd/certs.d") {
        hosts = hosts.with(containerd::read(&folder)?);
    }
    hosts = hosts.with(containers::read(settings)?);
    let docker = settings.docker_config().and_then(|path| Some(path.parent()?.join("certs.d")));
    let own = users.iter().map(|folder| folder.join("docker/certs.d")).chain(docker);
    let folders = own.chain(both("containers/certs.d"));
    for folder in folders.chain([Path::new(SYSTEM).join("docker/certs.d")]) {
        hosts = hosts.with(certificates::read(&folder)?);
    }
    Ok(hosts)
}

/// The names in a folder, in order; none where it is not there, or another's alone.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let fail = |error: &std::io::Error| unusable(folder).because(error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) || error.kind() == ErrorKind::PermissionDenied => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(fail(&error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| fail(&error))?;
        // No host has a name that is not text.
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The text of a file; `None` where it is not there.
fn text(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unusable(path).because(&error)),
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unusable(path: &Path) -> Failure {
    Failure::new(Class::Environment, format!("cannot use {}", path.display()))
}

/// A file that is not what it should be.
fn broken(path: &Path, error: &FileError) -> Failure {
    unusable(path).because(error).advised(error.remedy.clone())
}

#[cfg(test)]
mod tests {
    use wythe_registry::credentials::{Credential, Credentials};
    use wythe_registry::hosts::Place;

    use super::*;

    /// The blocks of the page in a language, with their first lines.
    fn blocks(language: &str) -> Vec<&'static str> {
        let page = include_str!("../../docs/registries.md");
        let blocks =
            page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        let is_in = |said: &str| said.split(' ').next() == Some(language);
        blocks.filter(|(said, _)| is_in(said)).map(|(_, text)| text).collect()
    }

    /// The mirror of Docker Hub by the file of the page that is called so.
    fn mirror(name: &str, place: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let text = blocks("toml").into_iter().rfind(|block| block.contains(name)).unwrap();
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let settings = Settings::of(&[("XDG_CONFIG_HOME", folder.path().to_str().unwrap())]);
        let found = hosts(Hosts::default(), &settings).unwrap();
        found.of("docker.io", "library/alpine").mirrors.unwrap().remove(0)
    }

    #[test]
    fn the_examples_of_the_page_work() {
        let own = mirror("wythe/config.toml", "wythe/config.toml");
        let containerd = mirror("hosts.toml", "containerd/certs.d/docker.io/hosts.toml");
        let podman = mirror("registries.conf", "containers/registries.conf");
        for place in [&own, &containerd, &podman] {
            assert_eq!(place.host, "mirror.example:5000");
        }
        assert!(containerd.connection.identity.is_some());
        for text in blocks("toml").iter().filter(|block| block.contains("wythe/config.toml")) {
            crate::settings::file::parse(text, Path::new("/")).unwrap();
        }
        let credentials = Credentials::default().with_docker_config(blocks("json")[0]).unwrap();
        let found = |name| credentials.find("r.example", name).unwrap();
        assert_eq!(found("app"), Some(Credential::new("ada", "secret")));
        assert_eq!(found("team/app"), Some(Credential::new("robot", "secret")));
    }
}
