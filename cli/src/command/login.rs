//! `wythe login` and `wythe logout`.

use std::io::Read;

use wythe_registry::credentials::{Credential, Credentials};

use crate::args::image::{LoginArgs, LogoutArgs};
use crate::docker_config::DockerConfig;
use crate::failure::{Class, Failure};
use crate::registry_client;
use crate::session::Session;

/// The longest password that is read: tokens of cloud registries have some kilobytes.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Remembers credentials that the registry accepts, where docker does: other tools find them, too.
pub(crate) fn login(args: &LoginArgs, session: &Session) -> Result<(), Failure> {
    if !args.password_stdin.is_on() {
        let failure = Failure::usage("the password is read from standard input only");
        return Err(failure.remedy("give --password-stdin, and pipe the password in"));
    }
    let mut password = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut password)
        .map_err(|error| Failure::of(Class::Usage, &error))?;
    let password = password.trim_end_matches(['\n', '\r']);
    let mut config = read(session)?;
    let credential = Credential::new(&args.username, password);
    let credentials = Credentials::default().with(&args.registry, credential);
    registry_client::client_with(credentials, &session.global, &session.settings)
        .ping(&args.registry)?;
    config.set(&args.registry, &args.username, password);
    config.write().map_err(|error| Failure::of(Class::Environment, &error))
}

/// Forgets credentials.
pub(crate) fn logout(args: &LogoutArgs, session: &Session) -> Result<(), Failure> {
    let mut config = read(session)?;
    if !config.remove(&args.registry) {
        return Err(Failure::usage(format!("not logged in to {}", args.registry)));
    }
    config.write().map_err(|error| Failure::of(Class::Environment, &error))
}

fn read(session: &Session) -> Result<DockerConfig, Failure> {
    let missing =
        || Failure::new(Class::Environment, "cannot tell where docker's configuration is");
    let path = session.settings.docker_config();
    let path = path.ok_or_else(|| missing().remedy("set HOME or DOCKER_CONFIG"))?;
    DockerConfig::read(&path).map_err(|error| Failure::of(Class::Environment, &error))
}
