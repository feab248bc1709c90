//! Docker's configuration file, as far as `login` and `logout` change it.
//!
//! Other tools keep their settings in the same file: what is not about the registry in question
//! stays as it is.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The file and what it holds.
#[derive(Debug)]
pub(crate) struct DockerConfig {
    path: PathBuf,
    settings: Map<String, Value>,
}

/// The configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", path.display())]
pub(crate) struct ConfigError {
    path: PathBuf,
    #[source]
    cause: ConfigCause,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigCause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("not a JSON object")]
    Form,
    #[error("`credsStore` keeps the credentials in {0:?}, which is not changed from here")]
    Store(String),
}

/// What docker calls its own registry in this file.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl DockerConfig {
    /// Reads the file; one that does not exist is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let at = |cause: ConfigCause| ConfigError { path: path.to_owned(), cause };
        let settings = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| at(ConfigCause::Form))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(at(error.into())),
        };
        let config = Self { path: path.to_owned(), settings };
        match config.settings.get("credsStore").and_then(Value::as_str) {
            Some(store) if !store.is_empty() => Err(at(ConfigCause::Store(store.to_owned()))),
            _ => Ok(config),
        }
    }

    /// Remembers credentials.
    pub(crate) fn set(&mut self, registry: &str, username: &str, password: &str) {
        let auth = STANDARD.encode(format!("{username}:{password}"));
        self.auths().insert(key(registry).to_owned(), json!({"auth": auth}));
    }

    /// Forgets credentials; tells whether there were any.
    pub(crate) fn remove(&mut self, registry: &str) -> bool {
        self.auths().remove(key(registry)).is_some()
    }

    /// Replaces the file by what is remembered now, readable to its owner only.
    pub(crate) fn write(&self) -> Result<(), ConfigError> {
        let text = format!("{:#}\n", Value::Object(self.settings.clone()));
        replace(&self.path, text.as_bytes())
            .map_err(|error| ConfigError { path: self.path.clone(), cause: error.into() })
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.settings.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().expect("made an object just now")
    }
}

fn key(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let new = folder.join(format!(".config.json.{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn settings_of_others_stay() {
        let (_folder, path) = config(r#"{"proxies": {"a": 1}, "auths": {"other": {"auth": "x"}}}"#);
        let mut config = DockerConfig::read(&path).unwrap();
        config.set("localhost:5000", "ada", "secret");
        config.write().unwrap();
        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["proxies"]["a"], 1);
        assert_eq!(written["auths"]["other"]["auth"], "x");
        assert_eq!(written["auths"]["localhost:5000"]["auth"], "YWRhOnNlY3JldA==");
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        let (_folder, path) = config("{}");
        DockerConfig::read(&path).unwrap().write().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn docker_hub_has_the_name_docker_gives_it() {
        let (_folder, path) = config("{}");
        let mut config = DockerConfig::read(&path).unwrap();
        config.set("docker.io", "ada", "secret");
        assert!(config.auths().contains_key(DOCKER_HUB));
        assert!(config.remove("index.docker.io"));
        assert!(!config.remove("docker.io"));
    }

    #[test]
    fn a_credential_helper_is_not_bypassed() {
        let (_folder, path) = config(r#"{"credsStore": "pass"}"#);
        let error = DockerConfig::read(&path).unwrap_err();
        assert!(matches!(error.cause, ConfigCause::Store(_)));
    }
}
