//! What refers to a manifest.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::contents::Manifest;
use crate::journal::Origin;
use crate::quirks::Referrers;
use crate::routes::Exchange;

/// The media type of the listing.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The listing of them, in pages where there are such.
pub(crate) fn list(exchange: &Exchange<'_>, name: &str, digest: &str) -> Answer {
    let quirks = &exchange.shared.quirks;
    match quirks.referrers {
        Referrers::On => {}
        Referrers::Off => return Answer::error(404, "UNSUPPORTED", "404 page not found"),
        Referrers::Html => {
            let place = exchange.shared.url(Origin::Storage, "/signin");
            return Answer::status(302).with("Location", place);
        }
    }
    let first = |key| exchange.request.query(key).into_iter().next();
    let kind = first("artifactType");
    let contents = exchange.shared.contents();
    let manifests = contents.repositories.get(name).into_iter().flat_map(|one| &one.manifests);
    let mut entries: Vec<Value> = manifests
        .filter(|(_, manifest)| manifest.subject.as_deref() == Some(digest))
        .map(|(digest, manifest)| entry(digest, manifest))
        .filter(|entry| kind.as_deref().is_none_or(|kind| entry["artifactType"] == kind))
        .collect();
    let from = first("page").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let most = quirks.page.unwrap_or(usize::MAX).max(1);
    entries = entries.split_off(from.min(entries.len()));
    let more = most < entries.len();
    entries.truncate(most);
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    let mut answer = Answer::json(&index);
    answer.headers.clear();
    answer = answer.with("Content-Type", INDEX);
    if kind.is_some() {
        answer = answer.with("OCI-Filters-Applied", "artifactType");
    }
    if more {
        let next = from + most;
        let kind = kind.map_or(String::new(), |kind| format!("&artifactType={kind}"));
        let link = format!("/v2/{name}/referrers/{digest}?page={next}{kind}");
        answer = answer.with("Link", exchange.link(&link));
    }
    answer
}

fn entry(digest: &str, manifest: &Manifest) -> Value {
    // What is kept was read before.
    let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let kind = [&document["artifactType"], &document["config"]["mediaType"]];
    let kind = kind.into_iter().find_map(Value::as_str);
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": digest,
        "size": manifest.bytes.len(),
    });
    if let Some(kind) = kind {
        entry["artifactType"] = json!(kind);
    }
    if document["annotations"].is_object() {
        entry["annotations"] = document["annotations"].clone();
    }
    entry
}
