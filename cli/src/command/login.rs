//! `wythe login` and `wythe logout`.

use std::io::Read;

use wythe_registry::credentials::{Credential, Credentials, host_of};
use wythe_registry::login::Login;

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
    let registry = host_of(&args.registry);
    let mut config = read(session)?;
    let credential = Credential::new(&args.username, password);
    let credentials = Credentials::default().with(&registry, credential);
    let client = registry_client::client_with(credentials, &session.global, &session.settings);
    if client.login(&registry)? == Login::NotAsked {
        session
            .remark(&format!("{registry} asks nobody for a password, so this one is not checked"));
    }
    let stored = config.set(&registry, &args.username, password).and_then(|()| config.write());
    stored.map_err(|error| Failure::of(Class::Environment, &error))
}

/// Forgets credentials.
pub(crate) fn logout(args: &LogoutArgs, session: &Session) -> Result<(), Failure> {
    let registry = host_of(&args.registry);
    let mut config = read(session)?;
    let known = config.remove(&registry);
    if !known.map_err(|error| Failure::of(Class::Environment, &error))? {
        return Err(Failure::usage(format!("not logged in to {registry}")));
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
