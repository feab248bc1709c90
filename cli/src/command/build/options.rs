//! From the flags of `wythe build` to the options of the builder.

use std::collections::BTreeMap;
use std::path::Path;

use wythe_builder::lower::args::PROXIES;
use wythe_builder::options::EPOCH;
use wythe_builder::options::{
    CachePolicy, Entitlement, NamedContext, NetworkMode, Options, PullPolicy, Strictness,
};
use wythe_store::digest::{Digest, ParseDigestError};
use wythe_store::oci::platform::{ParsePlatformError, Platform, host_architecture};

use crate::args::build::{AttestationArgs, BuildArgs, CacheArgs, RunArgs};
use crate::args::context::{self, ContextSource, Selector};
use crate::args::key_value::KeyValue;
use crate::args::network::BuildNetwork;
use crate::command::build::secret;
use crate::failure::{Class, Failure};
use crate::host;
use crate::settings::Settings;

/// What the flags mean; what cannot be done is refused by name.
pub(crate) fn options(args: &BuildArgs, settings: &Settings) -> Result<Options, Failure> {
    refuse_impossible(args)?;
    let input = &args.input;
    let mut options = Options::new(Platform::linux(host_architecture()));
    options.targets = input.targets();
    options.build_args = build_args(&input.build_arg, settings);
    options.platforms =
        input.platform.iter().map(|text| platform(text)).collect::<Result<_, _>>()?;
    options.labels = pairs(&args.result.label);
    options.cache = cache(&args.cache);
    if args.checks.strict.is_on() {
        options.strictness = Strictness::Strict;
    }
    options.pull = if args.cache.pull.is_on() { PullPolicy::Always } else { PullPolicy::Missing };
    options.contexts = contexts(&input.build_context)?;
    options.secrets = secret::read_all(&input.secret, settings)?;
    surroundings(&args.run, &mut options, settings)?;
    Ok(options)
}

/// A platform; `local` is that of this machine.
fn platform(text: &str) -> Result<Platform, Failure> {
    if text == "local" {
        return Ok(Platform::linux(host_architecture()));
    }
    text.parse().map_err(|error: ParsePlatformError| Failure::usage(format!("--platform: {error}")))
}

/// What surrounds a step.
fn surroundings(args: &RunArgs, options: &mut Options, settings: &Settings) -> Result<(), Failure> {
    options.entitlements =
        args.allow.iter().map(|name| entitlement(name)).collect::<Result<_, _>>()?;
    network(&args.network, options, settings)?;
    options.hosts = args.surroundings.hosts()?;
    options.limits = args.surroundings.limits().collect();
    options.quota = args.steps.quota.quota();
    options.timeout = args.steps.quota.timeout();
    options.shm_size = args.surroundings.shm_size().unwrap_or(options.shm_size);
    options.jobs = args.jobs;
    Ok(())
}

fn network(
    asked: &BuildNetwork,
    options: &mut Options,
    settings: &Settings,
) -> Result<(), Failure> {
    options.network = match asked {
        BuildNetwork::Default => NetworkMode::Default,
        BuildNetwork::Host => {
            // Who asks for it on the command line has granted it.
            options.entitlements.insert(Entitlement::NetworkHost);
            NetworkMode::Host
        }
        BuildNetwork::None => NetworkMode::None,
        BuildNetwork::Allow(list) => {
            let is_proxy =
                |name: &&String| PROXIES.iter().any(|one| one.eq_ignore_ascii_case(name));
            if let Some(name) = options.build_args.keys().find(is_proxy) {
                let text = format!("--network=allow and --build-arg {name} are two proxies");
                return Err(Failure::usage(text).remedy("leave one of them out"));
            }
            options.egress = Some(list.clone());
            NetworkMode::Allow
        }
        BuildNetwork::Pasta => {
            let program = host::program("pasta", settings).ok_or_else(|| {
                Failure::new(Class::Environment, "--network=pasta: pasta is not installed")
                    .remedy("install the package passt")
            })?;
            options.pasta = Some(program);
            NetworkMode::Pasta
        }
    };
    Ok(())
}

fn refuse_impossible(args: &BuildArgs) -> Result<(), Failure> {
    let AttestationArgs { sbom, .. } = &args.attestation;
    let off = |value: &Option<String>| matches!(value.as_deref(), None | Some("false" | "0"));
    if off(sbom) {
        return Ok(());
    }
    Err(Failure::usage("--sbom: lists of contents are not attached yet"))
}

/// The build arguments; one without a value has that of the environment, or none at all.
fn build_args(given: &[KeyValue], settings: &Settings) -> BTreeMap<String, String> {
    let epoch = settings.source_date_epoch();
    let epoch = epoch.map(|value| (EPOCH.to_owned(), value));
    let value = |arg: &KeyValue| arg.value.clone().or_else(|| settings.text(&arg.key));
    let given = given.iter().filter_map(|arg| Some((arg.key.clone(), value(arg)?)));
    epoch.into_iter().chain(given).collect()
}

fn pairs(given: &[KeyValue]) -> BTreeMap<String, String> {
    let pair = |pair: &KeyValue| (pair.key.clone(), pair.value.clone().unwrap_or_default());
    given.iter().map(pair).collect()
}

fn cache(args: &CacheArgs) -> CachePolicy {
    if args.no_cache.is_on() {
        return CachePolicy::Refresh;
    }
    match args.no_cache_filter.as_slice() {
        [] => CachePolicy::Reuse,
        stages => {
            CachePolicy::RefreshStages(stages.iter().map(|name| name.to_lowercase()).collect())
        }
    }
}

fn contexts(given: &[context::NamedContext]) -> Result<BTreeMap<String, NamedContext>, Failure> {
    let context = |context: &context::NamedContext| {
        refuse_absent(context)?;
        Ok((context.name.to_lowercase(), named(&context.source)?))
    };
    given.iter().map(context).collect()
}

/// Refuses a context of this machine that is not there.
fn refuse_absent(context: &context::NamedContext) -> Result<(), Failure> {
    const SCHEMES: &str =
        "known are docker-image://, oci-layout://, https://, http://, git:// and ssh://";
    let refuse = |path: &Path, what: &str| {
        Failure::usage(format!("--build-context {}: {} {what}", context.name, path.display()))
    };
    match &context.source {
        ContextSource::Directory(path) if path.is_dir() => Ok(()),
        ContextSource::Directory(path) if path.to_string_lossy().contains("://") => {
            Err(refuse(path, "has a scheme that is not known").remedy(SCHEMES))
        }
        ContextSource::Directory(path) => Err(refuse(path, "is not a directory")),
        ContextSource::Layout { path, .. } if !path.join("oci-layout").is_file() => {
            Err(refuse(path, "is not an OCI layout: there is no file oci-layout in it"))
        }
        ContextSource::Archive(_)
        | ContextSource::Image(_)
        | ContextSource::Layout { .. }
        | ContextSource::Stdin
        | ContextSource::Url(_) => Ok(()),
    }
}

fn named(source: &ContextSource) -> Result<NamedContext, Failure> {
    match source {
        ContextSource::Directory(path) => Ok(NamedContext::Directory(path.clone())),
        ContextSource::Image(reference) => Ok(NamedContext::Image(reference.parse()?)),
        ContextSource::Layout { path, selector } => {
            let selector = match selector {
                Some(Selector::Digest(text)) => Some(digest(text)?.to_string()),
                Some(Selector::Tag(tag)) => Some(tag.clone()),
                None => None,
            };
            Ok(NamedContext::OciLayout { path: path.clone(), selector })
        }
        ContextSource::Archive(_) | ContextSource::Stdin => {
            Err(Failure::usage("--build-context: only the main context can be standard input"))
        }
        ContextSource::Url(url) if is_git(url) => Ok(NamedContext::Git(url.clone())),
        ContextSource::Url(url) => Ok(NamedContext::Url(url.clone())),
    }
}

fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: ParseDigestError| {
        Failure::usage(format!("--build-context: {text:?} is no digest")).because(&error)
    })
}

/// Whether an address is one of a git repository.
pub(crate) fn is_git(url: &str) -> bool {
    let path = url.split(['#', '?']).next().unwrap_or(url);
    !url.starts_with("http") || Path::new(path).extension().is_some_and(|end| end == "git")
}

fn entitlement(name: &str) -> Result<Entitlement, Failure> {
    let known = [Entitlement::NetworkHost, Entitlement::SecurityInsecure];
    let unknown = || {
        Failure::usage(format!("--allow: {name:?} is not an entitlement"))
            .remedy("known are network.host and security.insecure")
    };
    known.into_iter().find(|known| known.name() == name).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wythe_builder::options::HostEntry;

    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn parse(flags: &[&str], environment: &[(&str, &str)]) -> Result<Options, Failure> {
        let words: Vec<&str> =
            ["wythe", "build"].iter().chain(flags).chain(&["."]).copied().collect();
        let Command::Build(args) = Cli::of(&words).unwrap().command else { panic!("not a build") };
        options(&args, &Settings::of(environment))
    }

    #[track_caller]
    fn refused(flags: &[&str], expected: &str) {
        let lines = parse(flags, &[]).unwrap_err().lines().join("\n");
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn a_build_argument_without_a_value_takes_that_of_the_environment() {
        let flags = ["--build-arg", "A", "--build-arg", "B=2", "--build-arg", "C"];
        let options = parse(&flags, &[("A", "1")]).unwrap();
        let expected =
            [("A", "1"), ("B", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(options.build_args, BTreeMap::from(expected));
    }

    #[test]
    fn the_epoch_of_the_environment_is_an_argument_unless_one_is_given() {
        let epoch = |flags: &[&str]| {
            let options = parse(flags, &[("SOURCE_DATE_EPOCH", "7")]).unwrap();
            options.build_args["SOURCE_DATE_EPOCH"].clone()
        };
        assert_eq!(epoch(&[]), "7");
        assert_eq!(epoch(&["--build-arg", "SOURCE_DATE_EPOCH=9"]), "9");
    }

    #[test]
    fn no_cache_wins_over_its_filter() {
        let filter = parse(&["--no-cache-filter", "A,b"], &[]).unwrap().cache;
        let stages = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(filter, CachePolicy::RefreshStages(stages));
        let all = parse(&["--no-cache", "--no-cache-filter", "a"], &[]).unwrap().cache;
        assert_eq!(all, CachePolicy::Refresh);
    }

    #[test]
    fn the_network_of_the_host_is_granted_by_who_asks_for_it() {
        let options = parse(&["--network", "host"], &[]).unwrap();
        assert!(options.entitlements.contains(&Entitlement::NetworkHost));
    }

    #[test]
    fn a_list_of_hosts_stands_beside_no_other_proxy() {
        let options = parse(&["--network=allow:a.example"], &[]).unwrap();
        assert_eq!(options.network, NetworkMode::Allow);
        assert!(options.egress.is_some() && options.entitlements.is_empty());
        let both = ["--network=allow:a.example", "--build-arg", "https_proxy=http://b"];
        refused(&both, "--build-arg https_proxy");
    }

    #[test]
    fn a_host_may_have_an_address_of_either_family() {
        let hosts = |text: &str| parse(&["--add-host", text], &[]).map(|options| options.hosts);
        for (text, address) in [("db:10.0.0.1", "10.0.0.1"), ("db=::1", "::1"), ("db:[::1]", "::1")]
        {
            let entry = HostEntry { name: "db".to_owned(), address: address.parse().unwrap() };
            assert_eq!(hosts(text).unwrap(), [entry], "{text}");
        }
        refused(&["--add-host", "db"], "not a name and an address");
    }

    #[test]
    fn a_further_context_is_there_or_refused_by_name() {
        refused(&["--build-context", "x=/nope"], "--build-context x: /nope is not a directory");
        refused(&["--build-context", "x=oci-layuot:///p"], "scheme");
        refused(&["--build-context", "x=oci-layout:///nope"], "/nope is not an OCI layout");
        assert!(parse(&["--build-context", "x=/"], &[]).is_ok());
    }

    #[test]
    fn what_cannot_be_done_is_refused_not_ignored() {
        refused(&["--sbom"], "--sbom");
        refused(&["--allow", "device"], "\"device\" is not an entitlement");
        refused(&["--platform", "foo"], "--platform: \"foo\"");
        assert!(parse(&["--provenance=false"], &[]).is_ok());
    }
}
