//! `wythe login` and `wythe logout`.

use std::io::Read;

use wythe_registry::credentials::{Credential, Credentials, host_of};
use wythe_registry::login::Login;
use wythe_store::oci::reference::Reference;

use crate::args::image::{LoginArgs, LogoutArgs};
use crate::docker_config::DockerConfig;
use crate::failure::{Class, Failure};
use crate::prompt::Prompt;
use crate::registry_client;
use crate::session::Session;

/// The longest password that is read: tokens of cloud registries have some kilobytes.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Remembers credentials that the registry accepts, where docker does: other tools find them, too.
pub(crate) fn login(args: &LoginArgs, session: &Session) -> Result<(), Failure> {
    // Before anything is asked that is of no use then.
    let registry = registry(&args.registry)?;
    let (username, password) = given(args, &registry, session)?;
    let mut config = read(session)?;
    let credential = Credential::new(&username, &password);
    let credentials = Credentials::default().with(&registry, credential);
    let client = registry_client::client_with(credentials, &session.global, &session.settings)?;
    if client.login(&registry)? == Login::NotAsked {
        session
            .remark(&format!("{registry} asks nobody for a password, so this one is not checked"));
    }
    let stored = config.set(&registry, &username, &password).and_then(|()| config.write());
    stored.map_err(|error| Failure::of(Class::Environment, &error))
}

/// The user and the password: as given, and asked for where they are not.
fn given(args: &LoginArgs, registry: &str, session: &Session) -> Result<(String, String), Failure> {
    let username = |prompt: &Prompt| match &args.username {
        Some(username) => Ok(username.clone()),
        None => prompt.line("Username: "),
    };
    if args.password_stdin.is_on() {
        let username = args.username.clone().unwrap_or_default();
        return Ok((username, piped()?));
    }
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        insecure(session);
        return Ok((username.clone(), password.clone()));
    }
    let Some(prompt) = Prompt::open() else {
        let failure = Failure::usage("there is no terminal to ask for a user and a password");
        return Err(
            failure.remedy("give --username NAME --password-stdin, and pipe the password in")
        );
    };
    if let Some(advice) = advice(registry) {
        session.remark(advice);
    }
    let username = username(&prompt)?;
    if let Some(password) = &args.password {
        insecure(session);
        return Ok((username, password.clone()));
    }
    let password = prompt.secret("Password: ")?;
    if username.is_empty() || password.is_empty() {
        return Err(Failure::usage("a user and a password are needed"));
    }
    Ok((username, password))
}

fn insecure(session: &Session) {
    session.remark(
        "a password on the command line is seen by everybody on this machine, and kept by the shell: \
         --password-stdin is safer",
    );
}

/// What a registry takes for a password that is none, where people are known to stumble over that.
pub(crate) fn advice(registry: &str) -> Option<&'static str> {
    match registry {
        "docker.io" => Some(
            "Docker Hub takes a personal access token in place of the password, and nothing else where \
             two factors are wanted: https://app.docker.com/settings/personal-access-tokens",
        ),
        "ghcr.io" => Some(
            "ghcr.io takes no password, but a personal access token (classic) with write:packages, or \
             in a workflow $GITHUB_TOKEN: https://github.com/settings/tokens",
        ),
        _ => None,
    }
}

/// The password that was piped in.
fn piped() -> Result<String, Failure> {
    let mut password = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut password)
        .map_err(|error| Failure::of(Class::Usage, &error))?;
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::usage("standard input has no password").remedy("pipe it in"));
    }
    Ok(password.to_owned())
}

/// Forgets credentials. That there are none is no failure: afterwards there are none.
pub(crate) fn logout(args: &LogoutArgs, session: &Session) -> Result<(), Failure> {
    let registry = registry(&args.registry)?;
    let mut config = read(session)?;
    let known = config.remove(&registry);
    if known.map_err(|error| Failure::of(Class::Environment, &error))? {
        config.write().map_err(|error| Failure::of(Class::Environment, &error))?;
    } else {
        // What is to be so is so: whoever cleans up need not know whether there is anything.
        session.remark(&format!("not logged in to {registry}"));
    }
    if registry_client::remembers(&registry, &session.settings)? {
        session.remark(&format!(
            "there are credentials for {registry} that `wythe login` has not stored: in DOCKER_AUTH_CONFIG, or in a file of podman"
        ));
    }
    Ok(())
}

/// The registry that was typed: what could be the first part of an image's name.
fn registry(typed: &str) -> Result<String, Failure> {
    let registry = host_of(typed);
    match format!("{registry}/name").parse::<Reference>() {
        Ok(reference) if reference.host() == registry => Ok(registry),
        _ => {
            let failure = Failure::usage(format!("{typed:?} is not the name of a registry"));
            Err(failure.remedy("give HOST or HOST:PORT"))
        }
    }
}

fn read(session: &Session) -> Result<DockerConfig, Failure> {
    let missing =
        || Failure::new(Class::Environment, "cannot tell where docker's configuration is");
    let path = session.settings.docker_config();
    let path = path.ok_or_else(|| missing().remedy("set HOME or DOCKER_CONFIG"))?;
    DockerConfig::read(&path).map_err(|error| Failure::of(Class::Environment, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_no_password_says_so() {
        assert!(advice("ghcr.io").is_some_and(|text| text.contains("write:packages")));
        assert_eq!(advice("r.example"), None);
    }

    #[test]
    fn a_registry_is_what_an_image_can_be_named_after() {
        for (typed, host) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("R.example:5000/team", "r.example:5000"),
            ("localhost", "localhost"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(registry(typed).unwrap(), host);
        }
        for typed in ["", "https://", "ht tp://x", "r.example:99999", "r.example:", "name"] {
            assert!(registry(typed).is_err(), "{typed:?}");
        }
    }
}
