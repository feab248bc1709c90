//! Blobs on their way in.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::access;
use crate::answer::Answer;
use crate::contents::{Blob, Upload};
use crate::journal::Origin;
use crate::quirks::{Flag, Location, Mount};
use crate::request::Body;
use crate::routes::{Exchange, unsupported};
use crate::step::Step;

/// What the query of an upload holds, in a spelling that not every client leaves as it is.
const STATE: &str = "_state=a%2Fb%3D";

/// Repositories that are called so are not there until somebody makes them.
const ABSENT: &str = "new";

/// Begins an upload, or mounts.
pub(crate) fn begin(
    exchange: &Exchange<'_>,
    name: &str,
    body: &mut Body<'_>,
) -> io::Result<Answer> {
    let quirks = &exchange.shared.quirks;
    let is_absent = name.split('/').any(|part| part.starts_with(ABSENT))
        && !exchange.shared.contents().repositories.contains_key(name);
    if quirks.has(Flag::NoCreate) && is_absent {
        let text = format!(
            "The repository with name '{name}' does not exist in the registry with id '123456789012'"
        );
        return Ok(Answer::error(404, "NAME_UNKNOWN", &text));
    }
    let first = |key| exchange.request.query(key).into_iter().next();
    if let Some(digest) = first("mount") {
        let from = first("from");
        if from.is_none() && quirks.has(Flag::MountNeedsFrom) {
            return Ok(Answer::error(400, "UNSUPPORTED", "mount needs from"));
        }
        match quirks.mount {
            Mount::Status(status) => return Ok(Answer::error(status, "DENIED", "no mounts")),
            Mount::On if mount(exchange, name, (&digest, from.as_deref())) => {
                let place = format!("/v2/{name}/blobs/{digest}");
                return Ok(Answer::status(201).with("Location", place));
            }
            Mount::On | Mount::Off => {}
        }
    }
    let upload = Upload {
        repository: name.to_owned(),
        blob: Arc::new(Mutex::new(Blob::new(&exchange.shared.directory)?)),
        patches: 0,
        first: None,
    };
    let id = {
        let mut contents = exchange.shared.contents();
        let id = format!("upload-{}", contents.number());
        contents.uploads.insert(id.clone(), upload.clone());
        id
    };
    if let Some(digest) = first("digest") {
        // All of it at once.
        append(exchange, &upload, body)?;
        return close(exchange, (name, &id), &upload, Some(&digest));
    }
    let mut answer = Answer::status(202).with("Location", place(exchange, (name, &id), 0));
    if let Some(least) = quirks.min_chunk {
        answer = answer.with("OCI-Chunk-Min-Length", least.to_string());
    }
    Ok(answer.with("Range", "0-0").with("Docker-Upload-UUID", id))
}

fn mount(exchange: &Exchange<'_>, name: &str, (digest, from): (&str, Option<&str>)) -> bool {
    let readable = from.is_none_or(|from| access::may(exchange, &format!("{from}:pull")));
    let mut contents = exchange.shared.contents();
    let blob = match from {
        Some(from) => contents.blob(from, digest).cloned(),
        None => contents.repositories.values().find_map(|one| one.blobs.get(digest).cloned()),
    };
    let Some(blob) = blob.filter(|_| readable) else { return false };
    let repository = contents.repositories.entry(name.to_owned()).or_default();
    repository.blobs.insert(digest.to_owned(), blob);
    true
}

/// Where an upload goes on. Its state is another one after each piece.
fn place(exchange: &Exchange<'_>, (name, id): (&str, &str), patches: u64) -> String {
    let path = format!("/v2/{name}/blobs/uploads/{id}?{STATE}{patches}");
    match exchange.shared.quirks.location {
        Location::Relative => path,
        Location::Absolute => exchange.shared.url(Origin::Registry, &path),
        Location::OtherHost => exchange.shared.url(Origin::Storage, &path),
    }
}

/// A request about an upload that was begun.
pub(crate) fn go_on(
    exchange: &Exchange<'_>,
    (name, id): (&str, &str),
    step: Step,
    body: &mut Body<'_>,
) -> io::Result<Answer> {
    let quirks = &exchange.shared.quirks;
    let upload = exchange.shared.contents().uploads.get(id).cloned();
    let Some(upload) = upload.filter(|upload| upload.repository == name) else {
        return Ok(Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"));
    };
    let expected = format!("{STATE}{}", upload.patches);
    let query = exchange.request.raw_query();
    let is_own = query == expected || query.starts_with(&format!("{expected}&"));
    let at_home = exchange.origin == Origin::Registry || quirks.location == Location::OtherHost;
    if !is_own || !at_home {
        let text = format!("the state of the upload is {expected}, not {query}");
        return Ok(Answer::error(400, "BLOB_UPLOAD_INVALID", &text));
    }
    let unknown = || Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    if step == Step::Patch {
        return patch(exchange, (name, id), &upload, body);
    }
    if step == Step::PutBlob {
        return put(exchange, (name, id), &upload, body);
    }
    if step == Step::UploadStatus {
        let is_told = !quirks.has(Flag::NoResume);
        return Ok(if is_told { progress(exchange, (name, id), &upload, 204) } else { unknown() });
    }
    if quirks.has(Flag::NoCancel) {
        return Ok(unsupported(405));
    }
    exchange.shared.contents().uploads.remove(id);
    Ok(Answer::status(204))
}

/// How far an upload is.
fn progress(
    exchange: &Exchange<'_>,
    (name, id): (&str, &str),
    upload: &Upload,
    status: u16,
) -> Answer {
    let length = upload.blob.lock().unwrap_or_else(PoisonError::into_inner).length;
    let stale = upload.first.filter(|_| exchange.shared.quirks.has(Flag::ChunkBug));
    let length = stale.unwrap_or(length);
    Answer::status(status)
        .with("Location", place(exchange, (name, id), upload.patches))
        .with("Range", format!("0-{}", length.saturating_sub(1)))
        .with("Docker-Upload-UUID", id)
}

fn patch(
    exchange: &Exchange<'_>,
    (name, id): (&str, &str),
    upload: &Upload,
    body: &mut Body<'_>,
) -> io::Result<Answer> {
    let quirks = &exchange.shared.quirks;
    if quirks.has(Flag::NoPatch) {
        return Ok(unsupported(405));
    }
    if let Some(refusal) = too_long(exchange) {
        return Ok(refusal);
    }
    let range = exchange.request.header("content-range");
    if let Some(range) = range {
        let first = range.trim_start_matches("bytes ").split('-').next();
        let first = first.and_then(|first| first.parse::<u64>().ok());
        let length = upload.blob.lock().unwrap_or_else(PoisonError::into_inner).length;
        let limit = quirks.chunk_limit.unwrap_or(u64::MAX);
        if first != Some(length) || exchange.request.length().is_some_and(|it| limit < it) {
            return Ok(progress(exchange, (name, id), upload, 416));
        }
    }
    append(exchange, upload, body)?;
    let length = upload.blob.lock().unwrap_or_else(PoisonError::into_inner).length;
    let first = upload.first.or(Some(length));
    let next = Upload { patches: upload.patches + 1, first, ..upload.clone() };
    exchange.shared.contents().uploads.insert(id.to_owned(), next.clone());
    let created = quirks.has(Flag::PatchCreated);
    Ok(progress(exchange, (name, id), &next, if created { 201 } else { 202 }))
}

fn put(
    exchange: &Exchange<'_>,
    (name, id): (&str, &str),
    upload: &Upload,
    body: &mut Body<'_>,
) -> io::Result<Answer> {
    if let Some(refusal) = too_long(exchange) {
        return Ok(refusal);
    }
    if exchange.shared.quirks.has(Flag::EmptyPut) && exchange.request.length() != Some(0) {
        return Ok(Answer::error(413, "SIZE_INVALID", "the closing request has no body"));
    }
    append(exchange, upload, body)?;
    let digest = exchange.request.query("digest").into_iter().next();
    close(exchange, (name, id), upload, digest.as_deref())
}

/// A body that a proxy does not let through, by what it is said to be.
fn too_long(exchange: &Exchange<'_>) -> Option<Answer> {
    let most = exchange.shared.quirks.max_body?;
    let length = exchange.request.length();
    length.is_some_and(|length| most < length).then(|| {
        let page = crate::routes::page("<html><body>413 Request Entity Too Large</body></html>");
        Answer { status: 413, ..page }
    })
}

/// Adds a body to an upload. What came before it broke is kept, where anything is.
fn append(exchange: &Exchange<'_>, upload: &Upload, body: &mut Body<'_>) -> io::Result<()> {
    let quirks = &exchange.shared.quirks;
    let length = exchange.request.length().unwrap_or(u64::MAX);
    body.breaks = quirks.upload_resets.as_ref().and_then(|breaks| breaks.strike(length));
    let mut blob = upload.blob.lock().unwrap_or_else(PoisonError::into_inner);
    let before = blob.length;
    let most = quirks.max_body.map_or(u64::MAX, |most| most.saturating_add(1));
    let appended = blob.append(&mut body.take(most));
    if appended.is_err() && quirks.has(Flag::NoResume) {
        blob.length = before;
        blob.file.set_len(before)?;
    }
    appended
}

fn close(
    exchange: &Exchange<'_>,
    (name, id): (&str, &str),
    upload: &Upload,
    digest: Option<&str>,
) -> io::Result<Answer> {
    let blob = upload.blob.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let found = blob.digest()?;
    if digest != Some(&found) {
        let text = format!("the blob has digest {found}");
        return Ok(Answer::error(400, "DIGEST_INVALID", &text));
    }
    let mut contents = exchange.shared.contents();
    contents.uploads.remove(id);
    let repository = contents.repositories.entry(name.to_owned()).or_default();
    repository.blobs.insert(found.clone(), blob);
    let no_content = exchange.shared.quirks.has(Flag::PutNoContent);
    let answer = Answer::status(if no_content { 204 } else { 201 });
    let place = exchange.shared.url(Origin::Registry, &format!("/v2/{name}/blobs/{found}"));
    Ok(answer.with("Location", place).with("Docker-Content-Digest", found))
}
