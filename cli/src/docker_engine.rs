//! Docker's engine as this program finds it: what the environment and docker's own settings say.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use serde_json::Value;
use wythe_delivery::engine::{Arrival, Engine};
use wythe_store::digest::Digest;

use crate::failure::{Class, Failure};
use crate::render::quantity::Bytes;
use crate::settings::Settings;

/// Where docker's engine is if nothing says otherwise.
const USUAL: &str = "unix:///var/run/docker.sock";

/// Docker's engine, if it answers.
pub(crate) fn of(settings: &Settings) -> Result<Engine, Failure> {
    let host = host(settings);
    let Some(socket) = host.strip_prefix("unix://") else {
        let text =
            format!("docker's engine is at {host}, and only sockets of this machine are spoken to");
        return Err(Failure::new(Class::Environment, text).remedy(
            "push to a registry, or write an archive with --output=type=docker,dest=FILE",
        ));
    };
    Engine::at(Path::new(socket)).map_err(|error| {
        let failure = Failure::new(Class::Environment, "no engine of docker's answers");
        failure.because(&error).remedy(
            "start it, or leave --load out: `wythe run` runs images of the store without one",
        )
    })
}

/// Where docker finds its engine: by a variable, else by the context that is used.
fn host(settings: &Settings) -> String {
    let text = |name: &str| settings.text(name).filter(|text| !text.is_empty());
    if let Some(host) = text("DOCKER_HOST") {
        return host;
    }
    let folder = settings.docker_config().and_then(|file| Some(file.parent()?.to_owned()));
    let configured = || {
        let configuration = read(&settings.docker_config()?)?;
        Some(configuration["currentContext"].as_str()?.to_owned())
    };
    let context = text("DOCKER_CONTEXT").or_else(configured).filter(|name| name != "default");
    let host = context.zip(folder).and_then(|(context, folder)| of_context(&context, &folder));
    host.unwrap_or_else(|| USUAL.to_owned())
}

fn of_context(name: &str, folder: &Path) -> Option<String> {
    let id = Digest::of(name.as_bytes()).hex();
    let about = read(&folder.join("contexts/meta").join(id).join("meta.json"))?;
    Some(about["Endpoints"]["docker"]["Host"].as_str()?.to_owned())
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// A word that nobody else can guess.
pub(crate) fn secret() -> String {
    // The keys of a hasher are random, and its results do not tell them.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// How an image came to the engine, where that is worth a line.
pub(crate) fn told(arrival: Arrival) -> Option<String> {
    match arrival {
        Arrival::Present => None,
        Arrival::Pulled { bytes } => Some(format!("docker took {} that it lacked", Bytes(bytes))),
        Arrival::Sent => {
            Some("docker cannot reach this machine's loopback, and was sent all of it".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_where_docker_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().to_str().unwrap();
        let at = |pairs: &[(&str, &str)]| {
            host(&Settings::of(&[pairs, &[("DOCKER_CONFIG", configuration)]].concat()))
        };
        assert_eq!(at(&[]), USUAL);
        assert_eq!(at(&[("DOCKER_HOST", "unix:///x")]), "unix:///x");
        let meta = folder.path().join("contexts/meta").join(Digest::of(b"far").hex());
        std::fs::create_dir_all(&meta).unwrap();
        let about = r#"{"Name":"far","Endpoints":{"docker":{"Host":"ssh://far"}}}"#;
        std::fs::write(meta.join("meta.json"), about).unwrap();
        assert_eq!(at(&[("DOCKER_CONTEXT", "far")]), "ssh://far");
        std::fs::write(folder.path().join("config.json"), r#"{"currentContext":"far"}"#).unwrap();
        assert_eq!(at(&[]), "ssh://far");
        assert_eq!(at(&[("DOCKER_CONTEXT", "default")]), USUAL);
    }

    #[test]
    fn a_secret_is_another_every_time() {
        assert_ne!(secret(), secret());
        assert_eq!(secret().len(), 32);
    }
}
