//! Manifests as registries serve them.

use std::io::Read;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use url::Url;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::MAX_DOCUMENT;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;

use crate::agent::Response;
use crate::client::{Repository, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::transport::{Body, Call};
use crate::web::{decoded, is_coded};

/// Registries convert what they hold to what is accepted, and so change digests, unless every kind
/// is listed; indexes come first for those that take the first.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*";

/// Types that say nothing about what a document is, as servers of plain files give them.
const GENERAL: [&str; 4] =
    ["application/json", "application/octet-stream", "binary/octet-stream", "text/plain"];

/// The request for what a reference names.
pub(crate) fn call(
    repository: &Repository,
    method: Method,
    reference: &Reference,
) -> Call<'static> {
    let name = reference.digest().map(|digest| digest.to_string());
    let name = name.unwrap_or_else(|| reference.tag_or_latest().to_owned());
    let mut call = Call::new(method, repository.url(&format!("manifests/{name}")), Body::Empty);
    call.headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST_TYPES));
    call
}

/// The question what a manifest is.
pub(crate) fn head(url: Url) -> Call<'static> {
    let mut call = Call::new(Method::HEAD, url, Body::Empty);
    call.headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST_TYPES));
    call
}

/// What the answer to a `HEAD` says of a manifest, if it says everything.
pub(crate) fn announced(response: &Response) -> Option<Descriptor> {
    let digest = header(response, "docker-content-digest")?.parse().ok()?;
    let size = header(response, "content-length")?.parse().ok()?;
    let media_type = media_type(response).filter(|_| !is_coded(response))?;
    Some(Descriptor::new(media_type, digest, size))
}

/// Reads a manifest and holds it to the digest that was asked for, or that the registry announced.
pub(crate) fn read(
    reference: &Reference,
    call: &Call<'_>,
    response: Response,
) -> Result<(Descriptor, Vec<u8>), RegistryError> {
    let fail = |problem| RegistryError::new(call.method.as_str(), &call.url, problem);
    let announced = header(&response, "docker-content-digest").map(str::to_owned);
    let media_type = media_type(&response);
    let mut bytes = Vec::new();
    let limit = MAX_DOCUMENT as u64;
    let read = decoded(response).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| fail(RegistryProblem::Transport { detail: error.to_string() }))?;
    if MAX_DOCUMENT < bytes.len() {
        return Err(fail(RegistryProblem::TooLong { limit }));
    }
    let found = Digest::of(&bytes);
    let announced = announced.and_then(|text| text.parse().ok());
    for expected in reference.digest().into_iter().chain(announced) {
        if found != expected {
            return Err(fail(RegistryProblem::Digest { found, expected }));
        }
    }
    let media_type = media_type.or_else(|| kind_of(&bytes));
    let media_type =
        media_type.ok_or_else(|| fail(RegistryProblem::Answer { what: "Content-Type" }))?;
    Ok((Descriptor::new(media_type, found, bytes.len() as u64), bytes))
}

/// What kind of document it is, where the server says.
fn media_type(response: &Response) -> Option<MediaType> {
    let text = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let bare = text.split(';').next().unwrap_or(text).trim();
    (!bare.is_empty() && !GENERAL.contains(&bare)).then(|| MediaType::new(bare))
}

/// What kind of document it is by its own word, or else by what it lists.
fn kind_of(document: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(document).ok()?;
    match shape.media_type {
        Some(media_type) => Some(MediaType::new(media_type)),
        None if shape.manifests.is_some() => Some(MediaType::INDEX),
        None => shape.layers.and(shape.config).map(|_| MediaType::MANIFEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_what_it_is_or_shows_it() {
        for (document, expected) in [
            (
                r#"{"mediaType":"application/x","manifests":[]}"#,
                Some(MediaType::new("application/x")),
            ),
            (r#"{"manifests":[]}"#, Some(MediaType::INDEX)),
            (r#"{"config":{},"layers":[]}"#, Some(MediaType::MANIFEST)),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            (r#"{"errors":[]}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(kind_of(document.as_bytes()), expected, "{document}");
        }
    }
}
