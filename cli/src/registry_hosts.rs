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
