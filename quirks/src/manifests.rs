//! Manifests, and the tags that name them.

use std::io::{self, Read as _};

use serde_json::{Value, json};

use crate::answer::{Answer, Content};
use crate::contents::{Contents, Manifest, digest};
use crate::quirks::{Flag, Quirks, Referrers};
use crate::request::Body;
use crate::routes::{Exchange, unsupported};

/// The longest manifest, where no switch says otherwise; registries have to take as much.
const MAX_MANIFEST: u64 = 4 << 20;

/// A manifest by its tag or digest.
pub(crate) fn give(exchange: &Exchange<'_>, name: &str, reference: &str) -> Answer {
    let quirks = &exchange.shared.quirks;
    let contents = exchange.shared.contents();
    let Some((found, manifest)) = find(&contents, name, reference) else {
        return Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    let accepted = exchange.request.header("accept").unwrap_or_default();
    let is_accepted = accepted
        .split(',')
        .any(|one| one.split(';').next().map(str::trim) == Some(&manifest.media_type));
    if quirks.has(Flag::StrictAccept) && !is_accepted {
        let text = "manifest found, but accept header does not support it";
        return Answer::error(404, "MANIFEST_UNKNOWN", text);
    }
    let media_type = if quirks.has(Flag::PlainType) { "text/plain" } else { &manifest.media_type };
    let body = Content::Bytes(manifest.bytes.clone());
    let answer = Answer { body, ..Answer::status(200) }.with("Content-Type", media_type);
    if quirks.has(Flag::NoDigest) { answer } else { answer.with("Docker-Content-Digest", found) }
}

fn find<'a>(contents: &'a Contents, name: &str, reference: &str) -> Option<(String, &'a Manifest)> {
    let repository = contents.repositories.get(name)?;
    let digest = repository.tags.get(reference).map_or(reference, String::as_str);
    Some((digest.to_owned(), repository.manifests.get(digest)?))
}

/// Takes a manifest, if all that it lists is there.
pub(crate) fn take(
    exchange: &Exchange<'_>,
    (name, reference): (&str, &str),
    body: &mut Body<'_>,
) -> io::Result<Answer> {
    let quirks = &exchange.shared.quirks;
    let most = quirks.max_manifest.unwrap_or(MAX_MANIFEST);
    let mut bytes = Vec::new();
    body.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if most < bytes.len() as u64 {
        return Ok(Answer::error(413, "SIZE_INVALID", "the manifest is too long"));
    }
    let media_type = exchange.request.header("content-type").unwrap_or_default().to_owned();
    let invalid = |text: &str| Ok(Answer::error(400, "MANIFEST_INVALID", text));
    let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
        return invalid("not JSON");
    };
    if document["mediaType"].as_str().is_some_and(|own| own != media_type) {
        return invalid("the media type is not that of the document");
    }
    let found = digest(&bytes);
    let is_tag = !reference.contains(':');
    if !is_tag && reference != found {
        return Ok(Answer::error(400, "DIGEST_INVALID", "the manifest has another digest"));
    }
    let subject = document["subject"]["digest"].as_str().map(str::to_owned);
    let mut contents = exchange.shared.contents();
    if 0 < contents.collected {
        contents.collected -= 1;
        contents.repositories.entry(name.to_owned()).or_default().blobs.clear();
    }
    let refusal = refusal(quirks, (&media_type, &document), subject.as_deref())
        .or_else(|| missing(&contents, name, (&document, subject.as_deref(), quirks)));
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let repository = contents.repositories.entry(name.to_owned()).or_default();
    if is_tag && quirks.has(Flag::ImmutableTags) && repository.tags.contains_key(reference) {
        let text = format!(
            "The image tag '{reference}' already exists in the '{name}' repository and cannot be \
             overwritten because the tag is immutable."
        );
        return Ok(Answer::error(400, "TAG_INVALID", &text));
    }
    let manifest = Manifest { media_type, bytes, subject: subject.clone() };
    repository.manifests.insert(found.clone(), manifest);
    if is_tag {
        repository.tags.insert(reference.to_owned(), found.clone());
    }
    let knows_subjects = quirks.referrers == Referrers::On || quirks.has(Flag::SubjectLie);
    let mut answer = Answer::status(201).with("Location", format!("/v2/{name}/manifests/{found}"));
    if let Some(subject) = subject.filter(|_| knows_subjects) {
        answer = answer.with("OCI-Subject", subject);
    }
    Ok(if quirks.has(Flag::NoDigest) {
        answer
    } else {
        answer.with("Docker-Content-Digest", found)
    })
}

/// Why a manifest of this kind is not taken.
fn refusal(
    quirks: &Quirks,
    (media_type, document): (&str, &Value),
    subject: Option<&str>,
) -> Option<Answer> {
    if quirks.has(Flag::OciOnly) && media_type.starts_with("application/vnd.docker.") {
        return Some(Answer::error(
            415,
            "MANIFEST_INVALID",
            "docker media types are not supported",
        ));
    }
    let config = document["config"]["mediaType"].as_str().unwrap_or_default();
    let of_docker = |text: &str| text.starts_with("application/vnd.docker.");
    let mixed = document["layers"].as_array().into_iter().flatten().any(|layer| {
        layer["mediaType"].as_str().is_some_and(|layer| of_docker(layer) != of_docker(config))
    });
    if mixed && of_docker(media_type) {
        return Some(Answer::error(400, "MANIFEST_INVALID", "media types of docker and OCI"));
    }
    let unsupported = |status, what| {
        let text = format!("Invalid parameter: {what} is not supported");
        Answer::error(status, "UNSUPPORTED", &text)
    };
    subject?;
    let typed = quirks.no_artifact_type.filter(|_| !document["artifactType"].is_null());
    let typed = typed.map(|status| unsupported(status, "artifactType"));
    typed.or_else(|| quirks.no_subject.map(|status| unsupported(status, "subject")))
}

/// What a manifest lists and the repository has not.
fn missing(
    contents: &Contents,
    name: &str,
    (document, subject, quirks): (&Value, Option<&str>, &Quirks),
) -> Option<Answer> {
    let empty = crate::contents::Repository::default();
    let repository = contents.repositories.get(name).unwrap_or(&empty);
    let listed = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let blobs = listed("layers").into_iter().chain([document["config"].clone()]);
    let blobs = blobs.filter(|blob| blob["urls"].as_array().is_none_or(Vec::is_empty));
    let lacks = |entry: &Value, known: &dyn Fn(&str) -> bool| {
        let digest = entry["digest"].as_str()?;
        (!known(digest)).then(|| digest.to_owned())
    };
    let unknown = |digest: String| {
        Answer::error(404, "MANIFEST_BLOB_UNKNOWN", &format!("{digest} is unknown to registry"))
    };
    let blob = |entry: Value| lacks(&entry, &|digest| repository.blobs.contains_key(digest));
    let manifest =
        |entry: Value| lacks(&entry, &|digest| repository.manifests.contains_key(digest));
    let lacking = blobs.into_iter().find_map(blob);
    let lacking = lacking.or_else(|| listed("manifests").into_iter().find_map(manifest));
    let lacking = lacking.or_else(|| {
        let wanted = subject.filter(|_| quirks.has(Flag::SubjectFirst))?;
        (!repository.manifests.contains_key(wanted)).then(|| wanted.to_owned())
    });
    lacking.map(unknown)
}

/// Forgets a tag, or a manifest and its tags.
pub(crate) fn delete(exchange: &Exchange<'_>, name: &str, reference: &str) -> Answer {
    if exchange.shared.quirks.has(Flag::NoDelete) {
        return unsupported(405);
    }
    let mut contents = exchange.shared.contents();
    let Some(repository) = contents.repositories.get_mut(name) else {
        return Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let tag = repository.tags.remove(reference).is_some();
    if !tag && repository.manifests.remove(reference).is_none() {
        return Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    }
    repository.tags.retain(|_, digest| digest != reference);
    Answer::status(202)
}

/// The tags of a repository.
pub(crate) fn tags(exchange: &Exchange<'_>, name: &str) -> Answer {
    let contents = exchange.shared.contents();
    let Some(repository) = contents.repositories.get(name) else {
        return Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let first = |key| exchange.request.query(key).into_iter().next();
    let last = first("last").unwrap_or_default();
    let asked = first("n").and_then(|text| text.parse::<usize>().ok());
    let most = [asked, exchange.shared.quirks.page].into_iter().flatten().min();
    let mut tags: Vec<&String> = repository.tags.keys().filter(|tag| **tag > last).collect();
    let more = most.is_some_and(|most| most < tags.len());
    tags.truncate(most.unwrap_or(usize::MAX));
    let answer = Answer::json(&json!({"name": name, "tags": tags}));
    match (more, tags.last(), most) {
        (true, Some(last), Some(most)) => {
            let link = format!("/v2/{name}/tags/list?n={most}&last={last}");
            answer.with("Link", exchange.link(&link))
        }
        _ => answer,
    }
}
