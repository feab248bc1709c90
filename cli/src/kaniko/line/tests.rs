//! Command lines of kaniko, and the words that they come to.

use wythe_registry::hosts::Hosts;

use super::*;
use crate::args::kaniko::{FLAGS, Flag, Takes};
use crate::kaniko::registries::registries;

fn line(flags: &[&str], environment: &[(&str, &str)]) -> Result<Line, Failure> {
    Ok(meant(flags, environment)?.0)
}

/// The line, and what is said of registries.
fn meant(flags: &[&str], environment: &[(&str, &str)]) -> Result<(Line, Hosts), Failure> {
    let words = [&["wythe", "kaniko"], flags].concat();
    let Command::Kaniko(args) = Cli::of(&words).unwrap().command else { panic!("not kaniko") };
    let settings = Settings::of(environment);
    let line = Line::of(&args, &settings)?;
    line.parsed()?;
    Ok((line, registries(&args, &settings)?))
}

/// A value that each flag takes.
fn value(flag: &Flag) -> &'static str {
    match flag.name {
        "annotation" | "build-arg" | "label" => "key=value",
        "bucket" => "s3://b/k.tar",
        "cache-ttl" => "6h",
        "compression" => "zstd",
        "compression-level" | "image-download-retry" | "image-fs-extract-retry" | "push-retry" => {
            "3"
        }
        "context" => "dir:///elsewhere",
        "custom-platform" | "customPlatform" => "linux/arm64",
        "git" => "branch=b",
        "log-format" => "json",
        "registry-certificate" | "registry-map" => "r.io=/ca.pem",
        "registry-client-cert" => "r.io=/cert.pem,/key.pem",
        "registry-mirror" => "mirror.io",
        "verbosity" => "error",
        "destination" => "r.io/a:1",
        _ => "value",
    }
}

#[test]
fn every_flag_is_taken_and_changes_what_it_says_or_nothing() {
    let base = ["--destination=r.io/app:1", "--cache", "--cache-repo=r.io/cache"];
    for flag in FLAGS {
        // One that all commands have, and so no part of the line.
        if flag.name == "insecure-registry" {
            continue;
        }
        let given = match flag.takes {
            Takes::Switch => format!("--{}=true", flag.name),
            Takes::Value => format!("--{}={}", flag.name, value(flag)),
        };
        let base: Vec<&str> = match flag.name {
            // These say something that the base says already.
            "cache" => vec!["--destination=r.io/app:1"],
            "cache-repo" => vec!["--destination=r.io/app:1", "--cache"],
            "git" => [&base[..], &["--context=git://h/a.git"]].concat(),
            "skip-default-registry-fallback" => [&base[..], &["--registry-mirror=m.io"]].concat(),
            _ => base.to_vec(),
        };
        let without = meant(&base, &[]).unwrap();
        let with = meant(&[&base[..], &[&*given]].concat(), &[]);
        match flag.meaning {
            Meaning::Does => assert_ne!(with.unwrap(), without, "{given}"),
            Meaning::Nothing => assert_eq!(with.unwrap(), without, "{given}"),
            Meaning::Refused => {
                let told = with.unwrap_err().lines().join("\n");
                assert!(told.contains(flag.name), "{told}");
            }
        }
    }
}

#[track_caller]
fn check(flags: &[&str], expected: &str) {
    let words = line(flags, &[]).unwrap().words.join(" ");
    assert_eq!(words, expected, "{flags:?}");
}

#[test]
fn a_usual_pipeline_is_the_build_that_is_meant() {
    check(
        &["-c", "/src", "-f", "app/Dockerfile", "-d", "r:5000/a:1", "-d", "r:5000/a:2", "--cache"],
        "--tag=r:5000/a:1 --tag=r:5000/a:2 --file=/src/app/Dockerfile \
         --cache-from=type=registry,ref=r:5000/a/cache:wythe \
         --cache-to=type=registry,ref=r:5000/a/cache:wythe,mode=max --output=type=registry -- /src",
    );
    check(
        &["--no-push", "--tar-path=a,b.tar", "--destination=a:1", "--reproducible"],
        "--tag=a:1 --build-arg=SOURCE_DATE_EPOCH=0 \
         --output=type=docker,\"dest=a,b.tar\",rewrite-timestamp=true -- /workspace/",
    );
    check(
        &["--no-push", "--cache", "--cache-repo=oci:/cache", "--no-push-cache"],
        "--cache-from=type=local,src=/cache --output=type=image -- /workspace/",
    );
}

#[test]
fn what_kaniko_insists_on_is_insisted_on() {
    for (flags, named) in [
        (&[][..], "--destination"),
        (&["--no-push", "--cache"], "--cache-repo"),
        (&["--no-push", "--image-name-with-digest-file=x"], "--image-name-with-digest-file"),
        (&["--no-push", "--dockerfile=https://h/Dockerfile"], "--dockerfile"),
        (&["--no-push", "--compression=lz4"], "lz4"),
        (&["--no-push", "--compression-level=much"], "much"),
    ] {
        let told = line(flags, &[]).unwrap_err().lines().join("\n");
        assert!(told.contains(named), "{flags:?}: {told}");
    }
}

#[test]
fn the_environment_counts_as_it_does_for_kaniko() {
    assert!(line(&[], &[("KANIKO_NO_PUSH", "true")]).is_ok());
    assert!(line(&[], &[("KANIKO_NO_PUSH", "false")]).is_err());
    let git = ["--no-push", "--context=git://h/a.git"];
    let words = line(&git, &[("GIT_TOKEN", "hush")]).unwrap().words.join(" ");
    assert!(words.contains("--secret=id=GIT_AUTH_TOKEN,env=GIT_TOKEN") && !words.contains("hush"));
}

#[test]
fn hosts_of_destinations_and_of_the_cache_are_trusted_where_it_is_said() {
    let flags = ["-d", "r:5000/a", "--cache", "--cache-repo=c:5000/x", "--insecure"];
    assert_eq!(line(&flags, &[]).unwrap().insecure, ["r:5000", "c:5000"]);
}
