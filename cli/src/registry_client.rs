//! The registry client of a session: credentials of docker, proxies and certificates of the
//! environment.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wythe_builder::environment::Clock as _;
use wythe_registry::client::Client;
use wythe_registry::credentials::{Credentials, host_of};
use wythe_registry::learned::Learned;
use wythe_registry::notice::{Notice, Notices};
use wythe_registry::proxy::Proxies;
use wythe_registry::settings::Settings as ClientSettings;
use wythe_registry::traffic::Traffic;

use crate::args::global::GlobalArgs;
use crate::aws;
use crate::failure::{Class, Failure};
use crate::host::SystemClock;
use crate::registry_hosts;
use crate::settings::Settings;

/// A client for every registry; connects to none.
pub(crate) fn client(global: &GlobalArgs, settings: &Settings) -> Result<Client, Failure> {
    let credentials = credentials(settings)?.with_source(Arc::new(aws::ecr(global, settings)));
    client_with(credentials, global, settings)
}

/// A client that shows these credentials only.
pub(crate) fn client_with(
    credentials: Credentials,
    global: &GlobalArgs,
    settings: &Settings,
) -> Result<Client, Failure> {
    let hosts = registry_hosts::hosts(global.registries.clone(), settings)?;
    Ok(Client::new(ClientSettings { credentials, hosts, ..plain(global, settings) }))
}

/// A client for services that are no registries.
pub(crate) fn service_client(global: &GlobalArgs, settings: &Settings) -> Client {
    Client::new(plain(global, settings))
}

fn plain(global: &GlobalArgs, settings: &Settings) -> ClientSettings {
    let directories = settings.raw("SSL_CERT_DIR").unwrap_or_default();
    let directories =
        std::env::split_paths(directories).filter(|path| !path.as_os_str().is_empty());
    let certificates = settings.path("SSL_CERT_FILE").into_iter().chain(directories);
    let shared = SHARED.get_or_init(|| Shared::of(settings));
    ClientSettings {
        insecure: global.insecure_registry.iter().map(|host| host_of(host)).collect(),
        proxies: proxies(settings),
        certificate_authorities: certificates.collect(),
        learned: shared.learned.clone(),
        traffic: shared.traffic.clone(),
        notices: shared.heard.clone(),
        ..ClientSettings::default()
    }
}

/// What all clients of this process have in common.
struct Shared {
    traffic: Arc<Traffic>,
    heard: Arc<Heard>,
    learned: Arc<Learned>,
    /// What was known at the beginning.
    known: String,
    /// Where it is kept.
    file: Option<PathBuf>,
}

static SHARED: OnceLock<Shared> = OnceLock::new();

impl Shared {
    fn of(settings: &Settings) -> Self {
        let file = settings.cache_folder().map(|folder| folder.join("registries.json"));
        let learned = kept(file.as_deref());
        let known = learned.text();
        let (traffic, heard) = (Arc::default(), Arc::default());
        Self { traffic, heard, learned: Arc::new(learned), known, file }
    }

    /// Keeps what was learnt for later processes; what cannot be kept is learnt again.
    fn keep(&self) -> Option<()> {
        if self.learned.text() == self.known {
            return None;
        }
        let file = self.file.as_deref()?;
        self.learned.join(&kept(Some(file)));
        fs::create_dir_all(file.parent()?).ok()?;
        let new = file.with_extension(std::process::id().to_string());
        fs::write(&new, self.learned.text()).and_then(|()| fs::rename(&new, file)).ok()
    }
}

/// What earlier processes have learnt.
fn kept(file: Option<&Path>) -> Learned {
    let text = file.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    Learned::read(&text, u64::try_from(SystemClock.now().seconds).unwrap_or_default())
}

/// What clients have taken notice of, until somebody tells it.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Notices for Heard {
    fn notice(&self, notice: &Notice) {
        // A panic while it is held leaves the list as it was.
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains(notice) {
            heard.push(notice.clone());
        }
    }
}

/// Keeps what was learnt of registries, and hands over what happened on the way to them since this was done last.
pub(crate) fn finish() -> Vec<Notice> {
    let Some(shared) = SHARED.get() else { return Vec::new() };
    shared.keep();
    std::mem::take(&mut shared.heard.0.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The variable that holds the text of a configuration of docker.
const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// What the environment, docker and podman remember, in this order.
fn credentials(settings: &Settings) -> Result<Credentials, Failure> {
    let failed = |place: &dyn Display, error: &(dyn Error + 'static)| {
        Failure::new(Class::Environment, format!("cannot read credentials from {place}"))
            .because(error)
    };
    let mut credentials = Credentials::default();
    if let Some(text) = settings.text(AUTH_CONFIG).filter(|text| !text.is_empty()) {
        let read = credentials.with_docker_config(&text);
        credentials = read.map_err(|error| failed(&AUTH_CONFIG, &error))?;
    }
    for path in settings.docker_config().into_iter().chain(settings.container_auths()) {
        let failed = |error: &(dyn Error + 'static)| failed(&path.display(), error);
        let text = match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&error)),
        };
        credentials = credentials.with_docker_config(&text).map_err(|error| failed(&error))?;
    }
    Ok(credentials)
}

/// Whether credentials for a registry are remembered anywhere.
pub(crate) fn remembers(registry: &str, settings: &Settings) -> Result<bool, Failure> {
    let found = credentials(settings)?.find(registry, "");
    found.map(|found| found.is_some()).map_err(|error| Failure::of(Class::Environment, &error))
}

/// The proxies for each scheme: the variable in capitals comes first, as in Go's programs.
fn proxies(settings: &Settings) -> Proxies {
    let variables = settings.proxies();
    let find = |name: &str| {
        let given = |name: &str| {
            let (_, value) =
                variables.iter().find(|(key, value)| key == name && !value.is_empty())?;
            Some(value.clone())
        };
        given(&name.to_uppercase()).or_else(|| given(name))
    };
    let of_scheme = |name| find(name).or_else(|| find("all_proxy"));
    Proxies {
        http: of_scheme("http_proxy"),
        https: of_scheme("https_proxy"),
        except: find("no_proxy").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use wythe_registry::credentials::Credential;

    use super::*;

    #[test]
    fn each_scheme_has_a_variable_and_both_have_one() {
        let both = Settings::of(&[("http_proxy", "http://a"), ("HTTPS_PROXY", "http://b")]);
        let found = proxies(&both);
        assert_eq!(
            (found.http.as_deref(), found.https.as_deref()),
            (Some("http://a"), Some("http://b"))
        );
        let plain = proxies(&Settings::of(&[("http_proxy", "http://a"), ("https_proxy", "")]));
        assert_eq!(plain.https, None);
        let all = [("all_proxy", "socks5://c"), ("no_proxy", "a"), ("NO_PROXY", "b")];
        let found = proxies(&Settings::of(&all));
        assert_eq!(found.http, found.https);
        assert_eq!((found.https.as_deref(), &*found.except), (Some("socks5://c"), "b"));
    }

    #[test]
    fn the_variable_comes_before_docker_and_docker_before_podman() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_str().unwrap();
        let entry = |host: &str, user: &str| {
            let auth = ["YTpw", "Yjpw", "Yzpw"][usize::from(user.as_bytes()[0] - b'a')];
            format!(r#""{host}": {{"auth": "{auth}"}}"#)
        };
        let file = |entries: &[String]| format!(r#"{{"auths": {{{}}}}}"#, entries.join(","));
        let variable = file(&[entry("one.io", "a")]);
        let docker = file(&[entry("one.io", "b"), entry("two.io", "b")]);
        let podman = ["one.io", "two.io", "three.io"].map(|host| entry(host, "c"));
        fs::write(format!("{folder}/config.json"), docker).unwrap();
        fs::write(format!("{folder}/auth.json"), file(&podman)).unwrap();
        let auth_file = format!("{folder}/auth.json");
        let found = credentials(&Settings::of(&[
            (AUTH_CONFIG, &variable),
            ("DOCKER_CONFIG", folder),
            ("REGISTRY_AUTH_FILE", &auth_file),
        ]));
        let found = found.unwrap();
        for (host, user) in [("one.io", "a"), ("two.io", "b"), ("three.io", "c")] {
            assert_eq!(found.find(host, "app").unwrap(), Some(Credential::new(user, "p")));
        }
    }

    #[test]
    fn a_configuration_that_is_no_json_is_an_error_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "{secret").unwrap();
        let settings = Settings::of(&[("DOCKER_CONFIG", folder.path().to_str().unwrap())]);
        let lines = credentials(&settings).unwrap_err().lines().join("\n");
        assert!(lines.contains("config.json") && !lines.contains("{secret"), "{lines}");
        let lines = credentials(&Settings::of(&[(AUTH_CONFIG, "{secret")])).unwrap_err().lines();
        let lines = lines.join("\n");
        assert!(lines.contains(AUTH_CONFIG) && !lines.contains("{secret"), "{lines}");
    }
}
