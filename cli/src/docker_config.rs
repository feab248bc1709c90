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
use wythe_registry::credentials::{Credential, CredentialError, Helper, host_of, key_of, part_of};

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
    #[error(transparent)]
    Helper(#[from] CredentialError),
}

impl DockerConfig {
    /// Reads the file; one that does not exist is empty. What a link leads to is the file: replacing
    /// the link would leave that as it was.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let at = |cause: ConfigCause| ConfigError { path: path.to_owned(), cause };
        let settings = match fs::read(path) {
            Ok(bytes) if bytes.trim_ascii().is_empty() => Map::new(),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| at(ConfigCause::Form))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(at(error.into())),
        };
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, settings })
    }

    /// Remembers credentials, in the file or in the helper that it names for the registry. An
    /// empty entry then says in the file that there are some.
    pub(crate) fn set(
        &mut self,
        registry: &str,
        username: &str,
        password: &str,
    ) -> Result<(), ConfigError> {
        let helper = self.helper(registry)?;
        let entry = if let Some(helper) = helper {
            let stored = helper.store(key_of(registry), &Credential::new(username, password));
            stored.map_err(|error| self.broken(error.into()))?;
            json!({})
        } else {
            json!({"auth": STANDARD.encode(format!("{username}:{password}"))})
        };
        self.auths().insert(key_of(registry).to_owned(), entry);
        Ok(())
    }

    /// Forgets credentials, in the helper for the registry, too; tells whether there were any.
    pub(crate) fn remove(&mut self, registry: &str) -> Result<bool, ConfigError> {
        let erased = match self.helper(registry)? {
            Some(helper) => helper.erase(key_of(registry)),
            None => Ok(false),
        };
        let erased = erased.map_err(|error| self.broken(error.into()))?;
        let auths = self.auths();
        let before = auths.len();
        // An entry for a part of the registry is another login's.
        auths.retain(|key, _| part_of(key) != registry);
        Ok(erased || auths.len() < before)
    }

    /// The program that keeps the credentials of a registry.
    fn helper(&self, registry: &str) -> Result<Option<Helper>, ConfigError> {
        let given =
            |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        let own = self.settings.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
            let (_, name) = helpers.iter().find(|(key, _)| host_of(key) == registry)?;
            given(name)
        });
        let name = own.or_else(|| self.settings.get("credsStore").and_then(given));
        let helper = name.map(|name| Helper::new(&name)).transpose();
        helper.map_err(|error| self.broken(error.into()))
    }

    fn broken(&self, cause: ConfigCause) -> ConfigError {
        ConfigError { path: self.path.clone(), cause }
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
        config.set("localhost:5000", "ada", "secret").unwrap();
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
    fn a_link_to_the_file_stays_one() {
        let (folder, path) = config("\n");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("config.json", &link).unwrap();
        let mut config = DockerConfig::read(&link).unwrap();
        config.set("r.io", "ada", "secret").unwrap();
        config.write().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&path).unwrap().contains("r.io"));
    }

    #[test]
    fn docker_hub_has_the_name_docker_gives_it() {
        let (_folder, path) = config("{}");
        let mut config = DockerConfig::read(&path).unwrap();
        config.set("docker.io", "ada", "secret").unwrap();
        assert!(config.auths().contains_key("https://index.docker.io/v1/"));
        assert!(config.remove("docker.io").unwrap());
        assert!(!config.remove("docker.io").unwrap());
    }

    #[test]
    fn whatever_a_registry_is_called_is_forgotten_and_parts_of_it_are_not() {
        let (_folder, path) = config(
            r#"{"auths": {"https://r.io/v1/": {}, "r.io/v2/": {}, "R.io": {}, "r.io/": {},
                "r.io/team": {}, "s.io": {}}}"#,
        );
        let mut config = DockerConfig::read(&path).unwrap();
        assert!(config.remove("r.io").unwrap());
        let left: Vec<&String> = config.auths().keys().collect();
        assert_eq!(left, ["r.io/team", "s.io"]);
    }

    #[test]
    fn a_credential_helper_is_not_bypassed() {
        for text in [
            r#"{"credsStore": "wythe-no-such"}"#,
            r#"{"credHelpers": {"https://r.io": "wythe-no-such"}}"#,
        ] {
            let (_folder, path) = config(text);
            let mut config = DockerConfig::read(&path).unwrap();
            let error = config.set("r.io", "ada", "secret").unwrap_err();
            assert!(matches!(error.cause, ConfigCause::Helper(_)));
            assert!(config.remove("r.io").is_err());
        }
        let (_folder, path) = config(r#"{"credsStore": "", "credHelpers": {"s.io": "x"}}"#);
        DockerConfig::read(&path).unwrap().set("r.io", "ada", "secret").unwrap();
    }
}
