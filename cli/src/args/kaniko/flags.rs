//! The flags of kaniko's executor, and what each means here. `docs/from-kaniko.md` has the same table.

use super::Meaning::{Does, Nothing, Refused};
use super::Takes::{Switch, Value};
use super::{Flag, Meaning, Takes};

const fn flag(name: &'static str, takes: Takes, meaning: Meaning, says: &'static str) -> Flag {
    Flag { name, short: None, takes, meaning, says }
}

const fn short(short: char, flag: Flag) -> Flag {
    Flag { short: Some(short), ..flag }
}

/// All of them, those of older versions and of the fork that goes on as well, in order.
pub(crate) const FLAGS: &[Flag] = &[
    flag("annotation", Value, Does, "`--annotation`"),
    short(
        'b',
        flag(
            "bucket",
            Value,
            Does,
            "the context, where `s3://` says that it is in S3; a bucket of Google is refused",
        ),
    ),
    flag("build-arg", Value, Does, "`--build-arg`"),
    flag(
        "cache",
        Switch,
        Does,
        "results come from `--cache-repo` and go there: `--cache-from` and `--cache-to` with `mode=max`",
    ),
    flag("cache-copy-layers", Switch, Nothing, "every step is in the cache"),
    flag("cache-dir", Value, Nothing, "base images are kept in the store"),
    flag(
        "cache-repo",
        Value,
        Does,
        "where the cache is: a repository, `/cache` below the first destination if none is named, or a directory behind `oci:`",
    ),
    flag("cache-run-layers", Switch, Nothing, "every step is in the cache"),
    flag(
        "cache-ttl",
        Value,
        Nothing,
        "results are known by what they were made from, and do not age",
    ),
    flag("cleanup", Switch, Nothing, "steps have a root of their own, and nothing is left"),
    flag("compressed-caching", Switch, Nothing, "layers are compressed when they leave"),
    flag("compression", Value, Does, "`--compression`"),
    flag(
        "compression-level",
        Value,
        Does,
        "the attribute `compression-level` of outputs; -1 is the usual one",
    ),
    short(
        'c',
        flag(
            "context",
            Value,
            Does,
            "the context: a path, `dir://`, `tar://` (`tar://stdin` is standard input), `git://`, `s3://`, `https://`; `gs://` is refused",
        ),
    ),
    flag("context-sub-path", Value, Does, "a directory of the context"),
    flag(
        "credential-helpers",
        Value,
        Nothing,
        "helpers are those of docker's configuration, and ECR needs none",
    ),
    flag("custom-platform", Value, Does, "`--platform`"),
    flag("customPlatform", Value, Does, "`--platform`"),
    short('d', flag("destination", Value, Does, "`--tag` and `--push`")),
    flag("digest-file", Value, Does, "the digest of the image goes there"),
    short(
        'f',
        flag(
            "dockerfile",
            Value,
            Does,
            "`--file`, seen from the working directory or else in the context; an address is refused",
        ),
    ),
    flag("force", Switch, Nothing, "builds run outside of containers as well"),
    flag("force-build-metadata", Switch, Nothing, "instructions without files make no layers"),
    flag(
        "git",
        Value,
        Does,
        "`branch=` is the branch of a `git://` context; `insecure-skip-tls=true` is refused; submodules always come",
    ),
    flag(
        "ignore-path",
        Value,
        Nothing,
        "a step has nothing of the container around it that would have to be left out",
    ),
    flag("ignore-var-run", Switch, Nothing, "as `--ignore-path`"),
    flag("image-download-retry", Value, Nothing, "what fails in passing is tried again anyway"),
    flag("image-fs-extract-retry", Value, Nothing, "what fails in passing is tried again anyway"),
    flag(
        "image-name-tag-with-digest-file",
        Value,
        Does,
        "`NAME:TAG@DIGEST` of each destination goes there, a line each",
    ),
    flag(
        "image-name-with-digest-file",
        Value,
        Does,
        "`NAME@DIGEST` of each destination goes there, a line each",
    ),
    flag("insecure", Switch, Does, "`--insecure-registry` for the destinations and the cache"),
    flag("insecure-pull", Switch, Does, "`--insecure-registry` for every registry"),
    flag("insecure-registry", Value, Does, "`--insecure-registry`"),
    flag("kaniko-dir", Value, Nothing, "nothing is kept beside the store"),
    flag("label", Value, Does, "`--label`"),
    flag(
        "log-format",
        Value,
        Does,
        "`json` is `--progress=json`, in a format of our own; others are a log",
    ),
    flag("log-timestamp", Switch, Nothing, "lines have the time since the step began"),
    flag("materialize", Switch, Nothing, "a build does not touch the files of its container"),
    flag("no-push", Switch, Does, "nothing is pushed; so does `KANIKO_NO_PUSH=true`"),
    flag("no-push-cache", Switch, Does, "the cache is read and not written"),
    flag("oci-layout-path", Value, Does, "`--output=type=oci,tar=false`"),
    flag("preserve-context", Switch, Nothing, "the context is never changed"),
    flag(
        "push-ignore-immutable-tag-errors",
        Switch,
        Refused,
        "a tag that cannot be moved fails the push",
    ),
    flag("push-retry", Value, Nothing, "what fails in passing is tried again anyway"),
    flag(
        "registry-certificate",
        Value,
        Does,
        "`HOST=FILE`: the authority in the file is trusted for that registry",
    ),
    flag(
        "registry-client-cert",
        Value,
        Does,
        "`HOST=CERTIFICATE,KEY`: what is shown to that registry",
    ),
    flag(
        "registry-map",
        Value,
        Does,
        "`HOST=MIRROR;…`: who pulls from the one asks the other first; so does `KANIKO_REGISTRY_MAP`",
    ),
    flag(
        "registry-mirror",
        Value,
        Does,
        "who pulls from Docker Hub asks it first; so does `KANIKO_REGISTRY_MIRROR`",
    ),
    flag("reproducible", Switch, Does, "`--build-arg SOURCE_DATE_EPOCH=0`, unless one is given"),
    flag("single-snapshot", Switch, Nothing, "layers are as the Dockerfile has them"),
    flag("skip-default-registry-fallback", Switch, Does, "who pulls asks the mirrors alone"),
    flag(
        "skip-push-permission-check",
        Switch,
        Nothing,
        "the registry is asked when the first layer is ready",
    ),
    flag("skip-tls-verify", Switch, Does, "as `--insecure`"),
    flag("skip-tls-verify-pull", Switch, Does, "as `--insecure-pull`"),
    flag("skip-tls-verify-registry", Value, Does, "`--insecure-registry`"),
    flag("skip-unused-stages", Switch, Nothing, "only what the target needs is ever built"),
    flag("snapshot-mode", Value, Nothing, "a step's changes are known without looking for them"),
    flag("snapshotMode", Value, Nothing, "a step's changes are known without looking for them"),
    flag("tar-path", Value, Does, "`--output=type=docker,dest=FILE`"),
    flag("target", Value, Does, "`--target`"),
    flag("tarPath", Value, Does, "`--output=type=docker,dest=FILE`"),
    flag("use-new-run", Switch, Nothing, "a step's changes are known without looking for them"),
    short(
        'v',
        flag(
            "verbosity",
            Value,
            Does,
            "`error`, `fatal` and `panic` are `--progress=quiet`; others are a log",
        ),
    ),
    flag("whitelist-var-run", Switch, Nothing, "as `--ignore-path`"),
];
