//! All records of a cache in one object of a web server: a build reads it once and writes it once at most, however many
//! steps it has.
//!
//! Whoever writes it merges with what others have written meanwhile. A server that heeds `If-Match` refuses to write over
//! somebody else; of another one it is looked afterwards whether that has happened. Where a server lets nothing be
//! written twice, the index stays as its first writer made it, and what others add lies apart, each record by itself.

use std::io;
use std::time::Duration;

use wythe_registry::exchange::{ServiceAnswer, ServiceBody};
use wythe_store::cache_backend::{CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::side_by_side::side_by_side;

use super::{HttpCache, MAX_RECORD, THREADS, lock};
use crate::action_result;
use crate::pack::{MAX_PACK, Pack};
use crate::requests::headers;

/// Under which key the index lies, and under which one that says that records lie apart: those of no step.
const INDEX: &[u8] = b"wythe: index of records, 1";
const LOOSE: &[u8] = b"wythe: records lie apart, 1";
/// How often the index is written until it is not written over.
const ATTEMPTS: u32 = 12;
/// How long after writing it is looked whether another job has written over it, at least: longer than any takes from
/// reading to writing. It is four times as long as this job took where that is more.
const SETTLING: Duration = Duration::from_millis(150);
const ZSTD_LEVEL: i32 = 3;
/// A tag that no object has: a server that writes in spite of it heeds none.
const NO_TAG: &str = "\"wythe-heeds\"";

/// The index, and by what it is known from what others make of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Indexed {
    pub(super) pack: Pack,
    pub(super) tag: Tag,
}

/// Which state of an object is meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Tag {
    /// It is not there.
    #[default]
    Absent,
    /// It is there, and the server says nothing that could be held to.
    Untold,
    /// The `ETag` of the server.
    Told(String),
}

/// What a server makes of conditions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Conditions {
    Heeded,
    Ignored,
}

/// What came of writing the index.
enum Put {
    /// It is written, and nobody was written over.
    Written,
    /// It is written, whatever others did.
    WrittenAnyway,
    /// Somebody else has written it.
    Refused,
    /// It is there, and the server does not let it be written again.
    Frozen,
}

impl HttpCache {
    fn index_url(&self) -> String {
        self.record_url(&CacheKey::of(INDEX))
    }

    /// The index as it is now, without what cannot be had any more. One that makes no sense is empty.
    pub(super) fn read_index(&self) -> Result<Indexed, CacheError> {
        let plain = headers([("accept-encoding", "identity")]);
        let answer = self.ask_for("GET", &self.index_url(), &plain, MAX_RECORD)?;
        let tag = match answer.status {
            200 => answer.header("etag").filter(|tag| tag.starts_with('"')).map(str::to_owned),
            404 | 410 => return Ok(Indexed::default()),
            _ => return Err(self.requests.refused("reading the index", answer)),
        };
        let bytes = self.requests.whole(answer, MAX_RECORD)?;
        let mut pack = decode(&bytes).unwrap_or_default();
        for gone in lock(&self.lost).iter() {
            pack.forget(gone);
        }
        Ok(Indexed { pack, tag: tag.map_or(Tag::Untold, Tag::Told) })
    }

    /// Adds records to the index, and to whatever others have added meanwhile.
    pub(super) fn write_index(&self, mut new: Pack) -> Result<(), CacheError> {
        let timing = self.requests.timing();
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let started = timing.now();
            let Indexed { pack, tag } = self.read_index()?;
            if pack.contains(&new) {
                self.state().read = Some(Indexed { pack, tag });
                return Ok(());
            }
            if refused.as_ref() == Some(&tag) {
                return self.put_loose(&new);
            }
            let mut all = new.clone();
            all.merge(pack);
            all.keep_newest();
            new.retain_those_of(&all);
            let jitter = Duration::from_millis(timing.random() % 100);
            match self.put_index(&encode(&all).map_err(|error| self.fail(error))?, &tag)? {
                Put::Written => {
                    self.state().read = Some(Indexed { pack: all, tag: Tag::Untold });
                    return Ok(());
                }
                Put::Frozen => return self.put_loose(&new),
                Put::Refused => {
                    refused = Some(tag);
                    timing.sleep(jitter);
                }
                Put::WrittenAnyway => {
                    refused = None;
                    let took = timing.now().saturating_duration_since(started);
                    timing.sleep(SETTLING.max(took * 4) + jitter);
                }
            }
        }
        let detail = "other jobs write over it all the time".to_owned();
        if self.read_index()?.pack.contains(&new) {
            return Ok(());
        }
        Err(self.fail(CacheProblem::Network { detail }))
    }

    fn put_index(&self, message: &[u8], there: &Tag) -> Result<Put, CacheError> {
        let put = |condition: &[(String, String)]| {
            self.put_message(&self.index_url(), message, condition)
        };
        let known = self.conditions.get().copied();
        if known != Some(Conditions::Ignored) && *there != Tag::Untold {
            if known.is_none() {
                let status = put(&headers([("if-match", NO_TAG)]))?.status;
                let heeds = status == 412;
                let found = if heeds { Conditions::Heeded } else { Conditions::Ignored };
                self.conditions.get_or_init(|| found);
                if (200..=299).contains(&status) {
                    return Ok(Put::WrittenAnyway);
                }
            }
            if self.conditions.get() == Some(&Conditions::Heeded) {
                let condition = match there {
                    Tag::Told(tag) => ("if-match", &**tag),
                    Tag::Absent | Tag::Untold => ("if-none-match", "*"),
                };
                let answer = put(&headers([condition]))?;
                return match answer.status {
                    200..=299 => Ok(Put::Written),
                    412 => Ok(Put::Refused),
                    403 | 405 | 409 if *there != Tag::Absent => Ok(Put::Frozen),
                    _ => Err(self.requests.refused("writing the index", answer)),
                };
            }
        }
        let answer = put(&[])?;
        match answer.status {
            200..=299 => Ok(Put::WrittenAnyway),
            403 | 405 | 409 | 412 if *there != Tag::Absent => Ok(Put::Frozen),
            _ => Err(self.requests.refused("writing the index", answer)),
        }
    }

    fn put_message(
        &self,
        url: &str,
        message: &[u8],
        condition: &[(String, String)],
    ) -> Result<ServiceAnswer, CacheError> {
        self.put_answer(url, ServiceBody::Bytes(message), message.len() as u64, condition)
    }

    /// Puts each record by itself, and the small blobs that they need.
    fn put_loose(&self, new: &Pack) -> Result<(), CacheError> {
        let parts: Vec<_> = new.parts().collect();
        let put = |(bundle, part, range): &(Digest, Digest, std::ops::Range<u64>)| {
            let open = || -> io::Result<Box<dyn io::Read + Send + '_>> {
                let read = self.ranged(bundle, range.clone());
                Ok(Box::new(read.map_err(io::Error::other)?))
            };
            let (digest, size, media_type) = (*part, range.end - range.start, "");
            self.put_apart(&CacheBlob { digest, size, media_type, open: &open })
        };
        side_by_side(&parts, THREADS, put).into_iter().collect::<Result<(), _>>()?;
        let records: Vec<(CacheKey, Vec<u8>)> =
            new.iter().map(|(key, bytes)| (*key, bytes.to_vec())).collect();
        let put = |(key, bytes): &(CacheKey, Vec<u8>)| {
            let message = action_result::encode(bytes);
            let answer = self.put_message(&self.record_url(key), &message, &[])?;
            self.is_put("writing a record", answer)
        };
        side_by_side(&records, THREADS, put).into_iter().collect::<Result<(), _>>()?;
        put(&(CacheKey::of(LOOSE), b"{}".to_vec()))
    }

    /// Whether records lie apart from the index, which is asked once.
    pub(super) fn has_loose(&self) -> Result<bool, CacheError> {
        if let Some(known) = self.loose.get() {
            return Ok(*known);
        }
        let is_indexed = self
            .at_first(|_| ())
            .map(|()| self.state().read.as_ref().is_some_and(|read| read.tag != Tag::Absent))?;
        let found = is_indexed && self.loose_record(&CacheKey::of(LOOSE))?.is_some();
        Ok(*self.loose.get_or_init(|| found))
    }

    /// A record that lies by itself.
    pub(super) fn loose_record(&self, key: &CacheKey) -> Result<Option<Vec<u8>>, CacheError> {
        let answer = self.ask_for("GET", &self.record_url(key), &[], MAX_RECORD)?;
        match answer.status {
            200 => Ok(action_result::decode(&self.requests.whole(answer, MAX_RECORD)?)),
            404 | 410 => Ok(None),
            _ => Err(self.requests.refused("reading a record", answer)),
        }
    }
}

/// An index as it lies on the server, in the form of any record there.
fn encode(pack: &Pack) -> io::Result<Vec<u8>> {
    Ok(action_result::encode(&zstd::bulk::compress(&pack.to_bytes(), ZSTD_LEVEL)?))
}

fn decode(message: &[u8]) -> Option<Pack> {
    let packed = action_result::decode(message)?;
    let length = usize::try_from(MAX_PACK).unwrap_or(usize::MAX);
    Pack::of_bytes(&zstd::bulk::decompress(&packed, length).ok()?)
}
