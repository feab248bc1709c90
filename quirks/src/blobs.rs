//! Blobs on their way out.

use std::ops::Range;
use std::sync::Arc;

use crate::answer::{Answer, Content};
use crate::contents::Blob;
use crate::journal::Origin;
use crate::quirks::Flag;
use crate::routes::{Exchange, unsupported};

/// A blob, or where it is to be had.
pub(crate) fn give(exchange: &Exchange<'_>, name: &str, digest: &str) -> Answer {
    let quirks = &exchange.shared.quirks;
    let mut contents = exchange.shared.contents();
    let Some(blob) = contents.blob(name, digest).cloned() else {
        return Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let is_get = exchange.request.method == "GET";
    if exchange.origin == Origin::Storage {
        let signature = exchange.request.raw_query().to_owned();
        let uses = contents.signed.entry(signature).or_default();
        *uses += 1;
        if quirks.storage_uses.is_some_and(|most| most < *uses) {
            return Answer::error(403, "AccessDenied", "Request has expired");
        }
    } else if is_get && quirks.has(Flag::RedirectBlobs) {
        let signature = contents.number();
        let path = format!("/v2/{name}/blobs/{digest}?signature={signature}");
        let location = exchange.shared.url(Origin::Storage, &path);
        return Answer::status(307).with("Location", location);
    }
    let range = is_get.then(|| exchange.request.header("range")).flatten();
    let range = range.filter(|_| !quirks.has(Flag::NoRanges));
    let mut answer = match range.map(|range| part(range, blob.length)) {
        None => whole(&blob),
        Some(None) => Answer::error(416, "RANGE_INVALID", "no such part")
            .with("Content-Range", format!("bytes */{}", blob.length)),
        Some(Some(_)) if quirks.has(Flag::WrongRange) => piece(&blob, 0..blob.length.min(1)),
        Some(Some(range)) => piece(&blob, range),
    };
    if !quirks.has(Flag::NoRanges) {
        answer = answer.with("Accept-Ranges", "bytes");
    }
    if !quirks.has(Flag::NoDigest) {
        answer = answer.with("Docker-Content-Digest", digest);
    }
    answer.with("Content-Type", "application/octet-stream")
}

fn whole(blob: &Blob) -> Answer {
    let body = Content::File(Arc::clone(&blob.file), 0..blob.length);
    Answer { body, ..Answer::status(200) }
}

fn piece(blob: &Blob, range: Range<u64>) -> Answer {
    let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), blob.length);
    let body = Content::File(Arc::clone(&blob.file), range);
    Answer { body, ..Answer::status(206) }.with("Content-Range", text)
}

/// The part that `Range` asks for; only one.
fn part(text: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", last) => length.saturating_sub(last.parse().ok()?)..length,
        (first, "") => first.parse().ok()?..length,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?.min(length),
    };
    (range.start < range.end).then_some(range)
}

/// Forgets a blob.
pub(crate) fn delete(exchange: &Exchange<'_>, name: &str, digest: &str) -> Answer {
    if exchange.shared.quirks.has(Flag::NoDelete) {
        return unsupported(405);
    }
    let mut contents = exchange.shared.contents();
    let repository = contents.repositories.get_mut(name);
    match repository.and_then(|repository| repository.blobs.remove(digest)) {
        Some(_) => Answer::status(202),
        None => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_within_the_blob() {
        for (text, expected) in [
            ("bytes=0-", Some(0..10)),
            ("bytes=4-5", Some(4..6)),
            ("bytes=4-99", Some(4..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=10-", None),
            ("bytes=x", None),
        ] {
            assert_eq!(part(text, 10), expected, "{text}");
        }
    }
}
