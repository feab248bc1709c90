//! The rows. A source is where the behaviour is described, as far as we know; `specification` is that of OCI distribution.

use std::str::FromStr;
use std::time::Duration;

use super::Effect::{On, Profile, Value};
use super::Switch;
use crate::quirks::{Breaks, Door, Flag, Location, Mount, Quirks, Referrers, RetryAfter};
use crate::step::ACTIONS;

/// The table.
pub const SWITCHES: &[Switch] = &[
    row("ecr", ECR, "Amazon ECR, private", "the rows it is made of"),
    row("ghcr", GHCR, "GitHub's registry", "the rows it is made of"),
    row("quay", QUAY, "Quay before its support for OCI 1.1", "the rows it is made of"),
    row("gitlab", GITLAB, "GitLab's registry", "the rows it is made of"),
    row("zot", ZOT, "zot without `compat`", "the rows it is made of"),
    row("gar", GAR, "Google's Artifact Registry", "the rows it is made of"),
    row(
        "distribution-2",
        DISTRIBUTION,
        "distribution 2.x, Debian's docker-registry",
        "the rows it is made of",
    ),
    row(
        "auth",
        Value("open|basic|bearer|oauth", door),
        "clients say who they are: with each request (ECR, htpasswd), by a token from `GET` (Docker Hub, Harbor), by one from `POST` only (Azure)",
        "distribution's docs/spec/auth; AAD-OAuth.md of Azure/acr",
    ),
    row(
        "token-ttl",
        Value("SECONDS", |quirks, text| {
            put(&mut quirks.token_ttl, text.parse().ok().map(Duration::from_secs))
        }),
        "tokens live so long; GitLab's five minutes, less than a large layer takes",
        "moby/moby#33558, cesanta/docker_auth#240",
    ),
    row(
        "token-uses",
        Value("COUNT", |quirks, text| number(&mut quirks.token_uses, text)),
        "tokens are good for so many requests, which is how one runs out between any two",
        "docker/buildx#324",
    ),
    row(
        "first-scope-only",
        On(Flag::FirstScopeOnly),
        "a token is for the first scope that was asked for",
        "goharbor/harbor#2411, cesanta/docker_auth#67",
    ),
    row(
        "relative-realm",
        On(Flag::RelativeRealm),
        "the challenge names the token service by a path",
        "distribution/distribution#1458; no rule says that a realm is absolute (RFC 6750, 3)",
    ),
    row(
        "realm",
        Value("URL", |quirks, text| put(&mut quirks.realm, Some(text.to_owned()))),
        "the challenge names this token service, whosever it is: it would get the password",
        "google/go-containerregistry#2193",
    ),
    row(
        "guests",
        On(Flag::Guests),
        "who shows no credentials gets a token that pulls, as at Docker Hub",
        "docs.docker.com, Docker Hub API",
    ),
    row(
        "tls",
        On(Flag::Tls),
        "everything is over TLS, with a certificate that an authority of its own has signed: `ca.crt` of `--certificates`",
        "docs.docker.com, Verify repository client with certificates",
    ),
    row(
        "client-certificates",
        On(Flag::ClientCertificates),
        "the same, and clients show the registry `client.cert`, with `client.key`; the storage counts one that it is shown as a stray",
        "docs.docker.com, Verify repository client with certificates",
    ),
    row(
        "location",
        Value("absolute|relative|other-host", |quirks, text| {
            put_in(&mut quirks.location, location(text))
        }),
        "how `Location` names an upload; at another host, credentials may not follow",
        "specification, Pushing blobs",
    ),
    row(
        "redirect-blobs",
        On(Flag::RedirectBlobs),
        "blobs are at a storage that answers 400 to `Authorization`, as S3 does",
        "renovatebot/renovate#3877, distribution/distribution#2055",
    ),
    row(
        "storage-uses",
        Value("COUNT", |quirks, text| number(&mut quirks.storage_uses, text)),
        "addresses at the storage run out, and are answered with 403",
        "cloudflare/cloudflare-docs#32436: R2's ExpiredRequest",
    ),
    row(
        "mount",
        Value("on|off|STATUS", mount),
        "a mount is done, or an upload begun in its place (ECR by default), or refused",
        "google/go-containerregistry#1406, containerd/containerd#14086; for ECR, aws/containers-roadmap#2860",
    ),
    row(
        "mount-needs-from",
        On(Flag::MountNeedsFrom),
        "`mount` without `from` is an error, as at Quay before 2021",
        "quay/quay#899, regclient/regclient#398",
    ),
    row(
        "no-create",
        On(Flag::NoCreate),
        "repositories have to be there: ones that are called `new` or begin so are not",
        "aws/containers-roadmap#853",
    ),
    row(
        "deny",
        Value("ACTION", |quirks, text| {
            quirks.denied.push(text.to_owned());
            ACTIONS.contains(&text).then_some(())
        }),
        "nobody may do this at ECR, such as `ecr:PutImage`, which a refusal names",
        "aws-actions/amazon-ecr-login#232, aws-samples/aws-modern-application-workshop#95",
    ),
    row(
        "no-subject",
        Value("STATUS", |quirks, text| {
            status(text).and_then(|it| put(&mut quirks.no_subject, Some(it)))
        }),
        "a manifest with a subject is refused: ECR with 405, Quay with 400",
        "moby/buildkit#5747, oras-project/oras#738",
    ),
    row(
        "no-artifact-type",
        Value("STATUS", |quirks, text| {
            status(text).and_then(|it| put(&mut quirks.no_artifact_type, Some(it)))
        }),
        "a manifest with a subject is refused where it has an `artifactType`, and taken where its configuration has the type, as at an ECR that takes signatures of notation and no statements of BuildKit",
        "moby/buildkit#5747, aws/containers-roadmap#2783",
    ),
    row(
        "subject-first",
        On(Flag::SubjectFirst),
        "a subject has to be there before what refers to it, as at GitLab",
        "moby/buildkit#5561, moby/buildkit#7007",
    ),
    row(
        "subject-lie",
        On(Flag::SubjectLie),
        "`OCI-Subject` is sent by a registry whose referrers API does not work",
        "sigstore/sigstore-js#1183",
    ),
    row(
        "referrers",
        Value("on|off|html", referrers),
        "the referrers API; without it 404 (distribution), or a page to sign in at (Google)",
        "awslabs/soci-snapshotter#512, its docs/registry.md",
    ),
    row(
        "page",
        Value("COUNT", |quirks, text| number(&mut quirks.page, text)),
        "listings come in pages, the next named by `Link`",
        "specification, Listing Referrers",
    ),
    row(
        "link",
        Value("absolute|relative|other-host", |quirks, text| {
            put_in(&mut quirks.links, location(text))
        }),
        "how `Link` names the next page; at another host, credentials may not follow, and who goes nowhere else has no list",
        "google/go-containerregistry#2332 and #2446",
    ),
    row(
        "chunk-bug",
        On(Flag::ChunkBug),
        "after the first `PATCH` of an upload `Range` stays where it is, though the bodies are kept: who goes by it sends them again, to a 416",
        "aws/containers-roadmap#2831 (its comment of 2026-06-24), crashappsec/chalk#682",
    ),
    row(
        "patch-created",
        On(Flag::PatchCreated),
        "`PATCH` is answered with 201, as at ECR",
        "openai/tart#273, jdx/mise#11376",
    ),
    row(
        "chunk-limit",
        Value("BYTES", |quirks, text| number(&mut quirks.chunk_limit, text)),
        "a `PATCH` with a range and a longer body is answered with 416: GHCR, 4 MiB",
        "oras-project/rust-oci-client#35",
    ),
    row(
        "min-chunk",
        Value("BYTES", |quirks, text| number(&mut quirks.min_chunk, text)),
        "`OCI-Chunk-Min-Length`: shorter pieces are refused, save the last",
        "specification, Pushing a blob in chunks",
    ),
    row(
        "max-body",
        Value("BYTES", |quirks, text| number(&mut quirks.max_body, text)),
        "a proxy answers longer bodies with 413, before it has read them",
        "smol-machines/smolvm#436; nginx, client_max_body_size",
    ),
    row(
        "no-patch",
        On(Flag::NoPatch),
        "`PATCH` is answered with 405",
        "specification 1.0, Pushing blobs",
    ),
    row(
        "empty-put",
        On(Flag::EmptyPut),
        "the request that ends an upload may have no body: 413",
        "none seen: what comes of limits of bodies where only `PATCH` was thought of",
    ),
    row(
        "put-no-content",
        On(Flag::PutNoContent),
        "the end of an upload is answered with 204, as the first specification had it",
        "opencontainers/distribution-spec#67",
    ),
    row(
        "no-cancel",
        On(Flag::NoCancel),
        "uploads cannot be cancelled",
        "specification, end-14, is not in 1.1",
    ),
    row(
        "no-resume",
        On(Flag::NoResume),
        "of an upload that breaks nothing is kept, and nobody can ask how far it is",
        "dotnet/sdk#33019: ECR Public answers with 404 to that question",
    ),
    row(
        "immutable-tags",
        On(Flag::ImmutableTags),
        "a tag stays what it is, and to write the same again is refused, too",
        "osscontainertools/kaniko#204",
    ),
    row(
        "oci-only",
        On(Flag::OciOnly),
        "media types of docker are refused",
        "bazel-contrib/rules_oci#68, project-zot/zot#3005",
    ),
    row(
        "strict-accept",
        On(Flag::StrictAccept),
        "a manifest is given only to those who accept its very type, `*/*` not being it",
        "distribution 2.8, registry/handlers/manifests.go",
    ),
    row(
        "plain-type",
        On(Flag::PlainType),
        "manifests are served as `text/plain`, as a server of files does",
        "moby/moby#31318, containers/image#417",
    ),
    row(
        "no-digest",
        On(Flag::NoDigest),
        "`Docker-Content-Digest` is not sent",
        "specification: SHOULD until 1.1",
    ),
    row(
        "no-head",
        On(Flag::NoHead),
        "`HEAD` is answered with 405",
        "distribution/distribution#1485",
    ),
    row(
        "no-ranges",
        On(Flag::NoRanges),
        "`Range` is ignored, and the answer 200 with everything",
        "containerd/containerd#12291, distribution/distribution#4667",
    ),
    row(
        "wrong-range",
        On(Flag::WrongRange),
        "the answer to `Range` is 206 with another part, as its `Content-Range` says",
        "xroche/httrack#428: caches that answer with whole blocks",
    ),
    row(
        "max-manifest",
        Value("BYTES", |quirks, text| number(&mut quirks.max_manifest, text)),
        "longer manifests are answered with 413",
        "specification: 4 MiB at least",
    ),
    row(
        "no-delete",
        On(Flag::NoDelete),
        "nothing can be deleted: 405",
        "distribution, storage.delete.enabled",
    ),
    row(
        "busy",
        Value("COUNT", |quirks, text| number_in(&mut quirks.busy, text)),
        "the first requests are answered with 429",
        "docs.docker.com, Docker Hub usage and limits",
    ),
    row(
        "retry-after",
        Value("SECONDS|date:SECONDS", retry_after),
        "what 429 and 503 say of when to come again",
        "RFC 9110, 10.2.3",
    ),
    row(
        "rate-limit",
        Value("COUNT", |quirks, text| number(&mut quirks.rate_limit, text)),
        "`RateLimit-Remaining` in answers with manifests",
        "docs.docker.com, Docker Hub usage and limits",
    ),
    row(
        "warning",
        Value("TEXT", |quirks, text| put(&mut quirks.warning, Some(text.to_owned()))),
        "`Warning: 299` in every answer",
        "specification, Warnings",
    ),
    row(
        "collected",
        Value("COUNT", |quirks, text| number_in(&mut quirks.collected, text)),
        "before so many manifests are written, the blobs of the repository are collected",
        "distribution, garbage-collect",
    ),
    row(
        "reset-after",
        Value("BYTES[:COUNT]", |quirks, text| put(&mut quirks.resets, breaks(text))),
        "downloads break after so many bytes, where there are more",
        "containers/image#1145",
    ),
    row(
        "upload-reset-after",
        Value("BYTES[:COUNT]", |quirks, text| put(&mut quirks.upload_resets, breaks(text))),
        "uploads break after so many bytes, where there are more; what came is kept",
        "distribution/distribution#785, moby/buildkit#2713",
    ),
    row(
        "rate",
        Value("BYTES", |quirks, text| number(&mut quirks.rate, text)),
        "blobs come and go at so many bytes in a second",
        "a slow line",
    ),
    row(
        "fail",
        Value("STEP:KIND[:COUNT|:each]", fault),
        "requests of a step fail; steps and kinds are below",
        "every network",
    ),
];

const ECR: super::Effect = Profile(&[
    ("auth", "basic"),
    ("no-create", ""),
    ("mount", "off"),
    ("no-subject", "405"),
    ("chunk-bug", ""),
    ("patch-created", ""),
    ("redirect-blobs", ""),
    ("no-resume", ""),
    ("no-cancel", ""),
]);
const GHCR: super::Effect =
    Profile(&[("auth", "bearer"), ("chunk-limit", "4194304"), ("referrers", "off")]);
const QUAY: super::Effect = Profile(&[
    ("auth", "bearer"),
    ("mount-needs-from", ""),
    ("no-subject", "400"),
    ("referrers", "off"),
    ("redirect-blobs", ""),
]);
const GITLAB: super::Effect = Profile(&[
    ("auth", "bearer"),
    ("token-ttl", "300"),
    ("subject-first", ""),
    ("referrers", "off"),
]);
const ZOT: super::Effect = Profile(&[("oci-only", "")]);
const GAR: super::Effect = Profile(&[
    ("auth", "bearer"),
    ("no-create", ""),
    ("referrers", "html"),
    ("redirect-blobs", ""),
]);
const DISTRIBUTION: super::Effect =
    Profile(&[("referrers", "off"), ("strict-accept", ""), ("no-delete", "")]);

const fn row(
    name: &'static str,
    effect: super::Effect,
    imitates: &'static str,
    source: &'static str,
) -> Switch {
    Switch { name, effect, imitates, source }
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    *place = Some(value?);
    Some(())
}

fn put_in<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn number<T: FromStr>(place: &mut Option<T>, text: &str) -> Option<()> {
    put(place, text.parse().ok())
}

fn number_in(place: &mut u64, text: &str) -> Option<()> {
    *place = text.parse().ok()?;
    Some(())
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (400..600).contains(status))
}

fn door(quirks: &mut Quirks, text: &str) -> Option<()> {
    quirks.door = match text {
        "open" => Door::Open,
        "basic" => Door::Basic,
        "bearer" => Door::Bearer,
        "oauth" => Door::Oauth,
        _ => return None,
    };
    Some(())
}

fn location(text: &str) -> Option<Location> {
    match text {
        "absolute" => Some(Location::Absolute),
        "relative" => Some(Location::Relative),
        "other-host" => Some(Location::OtherHost),
        _ => None,
    }
}

fn mount(quirks: &mut Quirks, text: &str) -> Option<()> {
    quirks.mount = match text {
        "on" => Mount::On,
        "off" => Mount::Off,
        text => Mount::Status(status(text)?),
    };
    Some(())
}

fn referrers(quirks: &mut Quirks, text: &str) -> Option<()> {
    quirks.referrers = match text {
        "on" => Referrers::On,
        "off" => Referrers::Off,
        "html" => Referrers::Html,
        _ => return None,
    };
    Some(())
}

fn retry_after(quirks: &mut Quirks, text: &str) -> Option<()> {
    quirks.retry_after = match text.strip_prefix("date:") {
        Some(seconds) => RetryAfter::Date(seconds.parse().ok()?),
        None => RetryAfter::Seconds(text.parse().ok()?),
    };
    Some(())
}

/// Without a count, every connection breaks.
fn breaks(text: &str) -> Option<Breaks> {
    let (bytes, count) = text.split_once(':').unwrap_or((text, "18446744073709551615"));
    let bytes = bytes.parse().ok().filter(|bytes| 0 < *bytes)?;
    Some(Breaks::new(bytes, count.parse().ok()?))
}

fn fault(quirks: &mut Quirks, text: &str) -> Option<()> {
    quirks.faults.push(text.parse().ok()?);
    Some(())
}
