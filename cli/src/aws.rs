//! AWS as this program meets it: what the environment, the home directory and the clock say.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use wythe_aws::chain::{Chain, Origin};
use wythe_aws::ecr::{Ecr, Made};
use wythe_aws::registry_host::RegistryHost;
use wythe_aws::s3::{Addressing, Bucket, BucketOptions};
use wythe_aws::surroundings::{Surroundings, WallClock};
use wythe_cache::s3::{S3Cache, S3Options};
use wythe_registry::settings::SystemTiming;
use wythe_store::oci::reference::Reference;

use crate::args::create_repository::CreateRepository;
use crate::args::global::GlobalArgs;
use crate::args::s3_place::S3Place;
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
        client: registry_client::service_client(global, settings),
    })
}

/// ECR, which has tokens for its registries without a login.
pub(crate) fn ecr(global: &GlobalArgs, settings: &Settings) -> Ecr {
    let folder = settings.cache_folder().map(|folder| folder.join("ecr"));
    Ecr::new(surroundings(global, settings), folder)
}

/// A cache in a bucket. What attributes leave out, variables say.
pub(crate) fn s3_cache(place: &S3Place, session: &Session) -> Result<S3Cache, Failure> {
    let settings = &session.settings;
    let around = surroundings(&session.global, settings);
    let missing = |what: &str, remedy: &str| {
        Failure::usage(format!("type=s3 lacks the {what}")).remedy(remedy)
    };
    let bucket = place.bucket.clone().or_else(|| settings.text("AWS_BUCKET"));
    let bucket = bucket.filter(|name| !name.is_empty());
    let name = bucket.ok_or_else(|| missing("bucket", "give bucket=NAME, or set AWS_BUCKET"))?;
    let told = around.region().map_err(|error| Failure::usage(error.to_string()))?;
    let region = place.region.clone().or(told);
    let region =
        region.ok_or_else(|| missing("region", "give region=REGION, or set AWS_REGION"))?;
    let origin = match &place.keys {
        Some(keys) => Origin::Given(keys.clone()),
        None => Origin::Search(region.clone()),
    };
    let chain = Arc::new(Chain::new(around.clone(), origin));
    let (endpoint, addressing) = (place.endpoint.clone(), place.addressing);
    let options = BucketOptions { name, region, endpoint, addressing };
    let bucket = Bucket::new(around, chain, options);
    let options = S3Options {
        prefix: place.prefix.clone(),
        blobs: place.blobs.clone(),
        records: place.records.clone(),
        names: place.names.clone(),
        parallel: place.parallel,
        refresh: place.refresh,
    };
    Ok(S3Cache::new(bucket, options, Arc::new(SystemTiming)))
}

/// An object of a bucket, which kaniko's variables may say is elsewhere.
pub(crate) fn object(bucket: &str, key: &str, session: &Session) -> Result<Box<dyn Read>, Failure> {
    let settings = &session.settings;
    let around = surroundings(&session.global, settings);
    let region = around.region().map_err(|error| Failure::usage(error.to_string()))?;
    let missing = || Failure::usage("nothing says in which region the bucket is");
    let region = region.ok_or_else(|| missing().remedy("set AWS_REGION"))?;
    let chain = Arc::new(Chain::new(around.clone(), Origin::Search(region.clone())));
    let endpoint = settings.text("S3_ENDPOINT").filter(|text| !text.is_empty());
    let in_path = settings.text("S3_FORCE_PATH_STYLE").is_some_and(|text| text == "true");
    let addressing = if in_path { Addressing::Path } else { Addressing::Host };
    let options = BucketOptions { name: bucket.to_owned(), region, endpoint, addressing };
    match Bucket::new(around, chain, options).get(key, None)? {
        Some((_, answer)) => Ok(answer.body),
        None => Err(Failure::usage(format!("there is no s3://{bucket}/{key}"))),
    }
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
