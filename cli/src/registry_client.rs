//! The registry client of a session: credentials of docker, proxies and certificates of the
//! environment.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use wythe_registry::client::Client;
use wythe_registry::credentials::{Credentials, host_of};
use wythe_registry::notice::{Notice, Notices};
use wythe_registry::proxy::Proxies;
use wythe_registry::settings::Settings as ClientSettings;
use wythe_registry::traffic::Traffic;

use crate::args::global::GlobalArgs;
use crate::aws;
use crate::failure::{Class, Failure};
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
    let hosts = registry_hosts::hosts(settings)?;
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
    ClientSettings {
        insecure: global.insecure_registry.iter().map(|host| host_of(host)).collect(),
        proxies: proxies(settings),
        certificate_authorities: certificates.collect(),
        traffic: SHARED.traffic.clone(),
        notices: SHARED.heard.clone(),
        ..ClientSettings::default()
    }
}

/// What all clients of this process have in common.
#[derive(Default)]
struct Shared {
    traffic: Arc<Traffic>,
    heard: Arc<Heard>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::default);

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

/// What happened on the way to registries since this was asked last.
pub(crate) fn notices() -> Vec<Notice> {
    std::mem::take(&mut SHARED.heard.0.lock().unwrap_or_else(PoisonError::into_inner))
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
