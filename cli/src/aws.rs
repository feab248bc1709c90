//! AWS as this program meets it: what the environment, the home directory and the clock say.

use std::collections::BTreeSet;
use std::sync::Arc;

use wythe_aws::ecr::{Ecr, Made};
use wythe_aws::registry_host::RegistryHost;
use wythe_aws::surroundings::{Surroundings, WallClock};
use wythe_registry::credentials::Credentials;
use wythe_registry::settings::SystemTiming;
use wythe_store::oci::reference::Reference;

use crate::args::create_repository::CreateRepository;
use crate::args::global::GlobalArgs;
use crate::failure::Failure;
use crate::host::SystemClock;
use crate::registry_client;
use crate::session::Session;
use crate::settings::Settings;

impl WallClock for SystemClock {
    fn moment(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

/// What keys and addresses of AWS are found by. No credential of a registry is sent to AWS.
pub(crate) fn surroundings(global: &GlobalArgs, settings: &Settings) -> Arc<Surroundings> {
    Arc::new(Surroundings {
        variables: settings.beginning_with("AWS_"),
        home: settings.path("HOME"),
        clock: Arc::new(SystemClock),
        timing: Arc::new(SystemTiming),
        client: registry_client::client_with(Credentials::default(), global, settings),
    })
}

/// ECR, which has tokens for its registries without a login.
pub(crate) fn ecr(global: &GlobalArgs, settings: &Settings) -> Ecr {
    let folder = settings.cache_folder().map(|folder| folder.join("ecr"));
    Ecr::new(surroundings(global, settings), folder)
}

/// Refuses to make repositories where nothing is pushed, or where the registry is not ECR's.
pub(crate) fn check_repositories(
    names: &[Reference],
    create: CreateRepository,
) -> Result<(), Failure> {
    if create == CreateRepository::No {
        return Ok(());
    }
    if names.is_empty() {
        return Err(Failure::usage(
            "--create-repo makes repositories for what is pushed, and nothing is",
        ));
    }
    let other = names.iter().find(|name| RegistryHost::parse(name.host()).is_none());
    other.map_or(Ok(()), |name| {
        let text =
            format!("--create-repo makes repositories in ECR, and {} is not ECR", name.host());
        Err(Failure::usage(text).remedy("most other registries make them when something is pushed"))
    })
}

/// Makes the repositories of some names where they are missing, if that was asked for.
pub(crate) fn create_repositories(
    names: &[Reference],
    create: CreateRepository,
    session: &Session,
) -> Result<(), Failure> {
    check_repositories(names, create)?;
    let CreateRepository::Yes(options) = create else { return Ok(()) };
    let repositories: BTreeSet<(&str, &str)> =
        names.iter().map(|name| (name.host(), name.repository())).collect();
    let ecr = ecr(&session.global, &session.settings);
    for (host, repository) in repositories {
        let Some(registry) = RegistryHost::parse(host) else { continue };
        if ecr.create_repository(&registry, repository, options)? == Made::Now {
            session.remark(&format!("made the repository {host}/{repository}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wythe_aws::ecr::RepositoryOptions;

    use super::*;

    #[test]
    fn repositories_are_made_in_ecr_and_for_what_is_pushed() {
        let yes = CreateRepository::Yes(RepositoryOptions::default());
        let names = |text: &str| -> Vec<Reference> {
            text.split_whitespace().map(|name| name.parse().unwrap()).collect()
        };
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";
        assert!(check_repositories(&names(ecr), yes).is_ok());
        assert!(check_repositories(&names("r.example/app"), CreateRepository::No).is_ok());
        let told = |names: &[Reference]| check_repositories(names, yes).unwrap_err().sentence();
        assert!(told(&names("r.example/app")).contains("r.example is not ECR"));
        assert!(told(&[]).contains("nothing is"));
    }
}
