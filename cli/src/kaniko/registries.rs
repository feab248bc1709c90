//! What kaniko's flags say of registries: certificates and mirrors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wythe_registry::hosts::{
    Connection, HostConfig, Hosts, Identity, Namespace, Part, Place, Security,
};

use crate::args::kaniko::KanikoArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// The registry whose mirrors need no name.
const DOCKER_HUB: &str = "docker.io";

/// The other name that Docker Hub has in maps of kaniko.
const INDEX: &str = "index.docker.io";

/// What is said of registries, before any file is asked.
pub(super) fn registries(args: &KanikoArgs, settings: &Settings) -> Result<Hosts, Failure> {
    let mut said: BTreeMap<String, HostConfig> = BTreeMap::new();
    for (host, path) in pairs(args, "registry-certificate", "HOST=FILE")? {
        let connection = &mut said.entry(host).or_default().connection;
        connection.authorities.push(PathBuf::from(path));
    }
    for (host, paths) in pairs(args, "registry-client-cert", "HOST=CERTIFICATE,KEY")? {
        let Some((certificate, key)) = paths.split_once(',') else {
            return Err(not_of_form("registry-client-cert", &paths, "HOST=CERTIFICATE,KEY"));
        };
        let identity = Identity { certificate: certificate.into(), key: key.into() };
        said.entry(host).or_default().connection.identity = Some(identity);
    }
    for (host, mirror) in mirrors(args, settings)? {
        let place = Place::parse(&mirror);
        let place = place.map_err(|error| Failure::usage(format!("--registry-mirror: {error}")))?;
        let place = Place { namespace: Namespace::Told, ..place };
        said.entry(host).or_default().mirrors.get_or_insert_default().push(place);
    }
    if args.is_on("skip-default-registry-fallback") {
        for config in said.values_mut() {
            // The last mirror is the registry, for those who read.
            config.source = config.mirrors.as_mut().and_then(Vec::pop);
        }
    }
    let said = said.into_iter().map(|(host, config)| (Part::parse(&host), config)).collect();
    let hosts = Hosts::default().with(said);
    if !args.is_on("insecure-pull") && !args.is_on("skip-tls-verify-pull") {
        return Ok(hosts);
    }
    let connection = Connection { security: Some(Security::AnyOrPlain), ..Connection::default() };
    Ok(hosts.with(vec![(Part::Everything, HostConfig { connection, ..HostConfig::default() })]))
}

/// Registries, each with a mirror, in the order in which they are asked.
fn mirrors(args: &KanikoArgs, settings: &Settings) -> Result<Vec<(String, String)>, Failure> {
    let told = |name: &str| settings.text(name).filter(|text| !text.is_empty());
    let own = args.all("registry-map").map(str::to_owned);
    let mut found = Vec::new();
    for map in own.chain(told("KANIKO_REGISTRY_MAP")) {
        for pair in map.split(';').filter(|pair| !pair.is_empty()) {
            let (host, mirror) = pair
                .split_once('=')
                .ok_or_else(|| not_of_form("registry-map", pair, "HOST=MIRROR"))?;
            let host = if host == INDEX { DOCKER_HUB } else { host };
            found.push((host.to_owned(), mirror.to_owned()));
        }
    }
    let of_hub = args.all("registry-mirror").map(str::to_owned);
    let of_hub = of_hub.chain(told("KANIKO_REGISTRY_MIRROR"));
    found.extend(of_hub.map(|mirror| (DOCKER_HUB.to_owned(), mirror)));
    Ok(found)
}

/// The values of a flag that are a host and something about it.
fn pairs(args: &KanikoArgs, flag: &str, form: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &str| match text.split_once('=') {
        Some((host, value)) if !host.is_empty() && !value.is_empty() => {
            Ok((host.to_owned(), value.to_owned()))
        }
        _ => Err(not_of_form(flag, text, form)),
    };
    args.all(flag).map(pair).collect()
}

fn not_of_form(flag: &str, text: &str, form: &str) -> Failure {
    Failure::usage(format!("--{flag}: {text:?} is not {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn said(flags: &[&str], environment: &[(&str, &str)]) -> Result<Hosts, Failure> {
        let words = [&["wythe", "kaniko"], flags].concat();
        let Command::Kaniko(args) = Cli::of(&words).unwrap().command else { panic!("not kaniko") };
        registries(&args, &Settings::of(environment))
    }

    #[track_caller]
    fn asked(hosts: &Hosts, host: &str, expected: (&[&str], Option<&str>)) {
        let found = hosts.of(host, "library/busybox");
        let mirrors: Vec<_> = found.mirrors.into_iter().flatten().map(|place| place.host).collect();
        let source = found.source.map(|place| place.host);
        let mirrors: Vec<&str> = mirrors.iter().map(String::as_str).collect();
        assert_eq!((&*mirrors, source.as_deref()), expected, "{host}");
    }

    #[test]
    fn mirrors_of_docker_hub_and_of_others_are_asked_in_order() {
        let flags = ["--registry-mirror=a.io", "--registry-map=r.io=b.io;index.docker.io=c.io"];
        let hosts = said(&flags, &[("KANIKO_REGISTRY_MIRROR", "d.io")]).unwrap();
        asked(&hosts, "docker.io", (&["c.io", "a.io", "d.io"], None));
        asked(&hosts, "r.io", (&["b.io"], None));
        asked(&hosts, "other.io", (&[], None));
        let flags = ["--registry-mirror=a.io", "--registry-mirror=b.io"];
        let alone = [&flags[..], &["--skip-default-registry-fallback"]].concat();
        asked(&said(&alone, &[]).unwrap(), "docker.io", (&["a.io"], Some("b.io")));
    }

    #[test]
    fn certificates_are_those_of_one_host() {
        let flags =
            ["--registry-certificate=r.io=ca.pem", "--registry-client-cert=r.io=c.pem,k.pem"];
        let hosts = said(&flags, &[]).unwrap();
        let found = hosts.of("r.io", "app").connection;
        assert_eq!(found.authorities, [PathBuf::from("ca.pem")]);
        assert_eq!(found.identity.unwrap().key, PathBuf::from("k.pem"));
        assert_eq!(hosts.of("other.io", "app").connection, Connection::default());
    }

    #[test]
    fn every_registry_may_be_insecure_but_one_with_a_certificate() {
        let flags = ["--insecure-pull", "--registry-certificate=r.io=ca.pem"];
        let hosts = said(&flags, &[]).unwrap();
        assert_eq!(hosts.of("x.io", "a").connection.security, Some(Security::AnyOrPlain));
        assert_eq!(hosts.of("r.io", "a").connection.security, None);
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        for flag in ["--registry-certificate=x", "--registry-client-cert=r=x", "--registry-map=x"] {
            assert!(said(&[flag], &[]).is_err(), "{flag}");
        }
    }
}
