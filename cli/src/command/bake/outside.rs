//! What definitions may ask of the world, answered from the environment and the file system.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use jiff::Timestamp;
use wythe_bake::surroundings::Surroundings;
use wythe_store::oci::platform::{Platform, host_architecture};

use super::remote::RemoteDefinition;
use crate::failure::Failure;
use crate::host;
use crate::settings::Settings;

/// The longest file that a definition may name, in bytes: a hundred times a long one.
const MAX_FILE: u64 = 4 << 20;

/// Set, it hides the environment from definitions.
const HIDDEN: &str = "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP";

/// The world.
pub(crate) struct Outside<'a> {
    given: BTreeMap<String, String>,
    settings: &'a Settings,
    is_hidden: bool,
    remote: Option<&'a RemoteDefinition>,
    command_context: &'a str,
}

impl<'a> Outside<'a> {
    /// With what `--var` says, where the definition is from, and the context of the command line.
    pub(crate) fn new(
        vars: &[String],
        (remote, command_context): (Option<&'a RemoteDefinition>, &'a str),
        settings: &'a Settings,
    ) -> Result<Self, Failure> {
        let mut given = BTreeMap::new();
        for text in vars.iter().filter(|text| !text.is_empty()) {
            let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(Failure::usage(format!("--var {text:?} is not NAME=VALUE")));
            };
            given.insert(name.to_owned(), value.to_owned());
        }
        let hidden = settings.text(HIDDEN);
        let is_hidden = hidden.is_some_and(|text| matches!(text.as_str(), "1" | "t" | "true"));
        Ok(Self { given, settings, is_hidden, remote, command_context })
    }
}

impl Surroundings for Outside<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let given = self.given.get(name).cloned();
        given.or_else(|| if self.is_hidden { None } else { self.settings.text(name) })
    }

    fn file(&self, path: &str) -> Result<Option<String>, String> {
        if let Some(remote) = self.remote {
            // What a definition from elsewhere names is no file of this machine.
            return remote.read(path);
        }
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            // As with others: a directory of this name says nothing.
            Ok(found) if found.is_dir() => return Ok(None),
            Ok(found) if found.len() > MAX_FILE => {
                return Err(format!("has more than {MAX_FILE} bytes"));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path);
        text.map(Some).map_err(|error| error.to_string())
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> [u8; 16] {
        // Where there is none, identities that are to be random are all zeros, and seen to be.
        host::random()
    }

    fn home(&self) -> String {
        self.settings.text("HOME").unwrap_or_else(|| "/".to_owned())
    }

    fn platform(&self) -> String {
        Platform::linux(host_architecture()).to_string()
    }

    fn command_context(&self) -> String {
        self.command_context.to_owned()
    }

    fn origin(&self) -> Option<String> {
        self.remote.and_then(RemoteDefinition::origin).map(ToOwned::to_owned)
    }
}
