//! Results of steps as they travel: what rebuilds a result in a store that has never seen it.
//!
//! A record names nothing of the store that it was made in: layers by DiffID and blob, files by what
//! they contain, steps by the key that every machine computes alike.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{DiffId, Digest};
use crate::id::{CacheKey, ContentId, hex, unhex};
use crate::oci::descriptor::Descriptor;
use crate::record_origin::RecordOrigin;
use crate::timestamp::Timestamp;

/// The version of the form. What a later version has written is not read.
const VERSION: u32 = 1;
/// The longest record that is read: the facts of a step are a few thousand bytes.
pub const MAX_RECORD: usize = 256 << 10;

/// The result of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortableAction {
    /// What the tar stream of its layer hashes to.
    pub diff_id: DiffId,
    /// How long that stream is, in bytes.
    pub tar_size: u64,
    /// The blob that uncompresses to it.
    pub blob: Descriptor,
    /// The files of the layer, times left out: what keys of later steps are made of.
    pub content: ContentId,
    /// When the step ran.
    pub created: Timestamp,
    /// How long it took; zero where that is not known.
    pub duration: Duration,
    /// What it was called in the build that it comes from.
    pub step: String,
    /// What went into its key, as names and values.
    pub inputs: Vec<(String, String)>,
    /// The blob of the [listings](crate::portable_listings) that its inputs name.
    pub listings: Option<Descriptor>,
    /// The key of the result, in the record of a place: that of the latest result of a step of some project,
    /// kept to be compared with. A newer one takes the place of an older one.
    pub latest: Option<CacheKey>,
    /// Where it was made, and from which source.
    pub origin: Option<RecordOrigin>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    v: u32,
    diff_id: Digest,
    tar_size: u64,
    blob: Descriptor,
    content: String,
    /// Seconds since 1970, and nanoseconds.
    created: (i64, u32),
    milliseconds: u64,
    step: String,
    inputs: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listings: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<String>,
    /// Of any form: it is told, and nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Value>,
}

impl PortableAction {
    /// What it needs to be of use: the layer, and what it is explained by.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.blob].into_iter().chain(&self.listings)
    }

    /// The record of the place where this is the latest result.
    #[must_use]
    pub fn as_latest(&self, key: CacheKey) -> Self {
        Self { latest: Some(key), ..self.clone() }
    }

    /// The record as JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are texts.
    pub fn encode(&self) -> Vec<u8> {
        let form = Form {
            v: VERSION,
            diff_id: self.diff_id.0,
            tar_size: self.tar_size,
            blob: self.blob.clone(),
            content: hex(self.content.as_bytes()),
            created: (self.created.seconds, self.created.nanos),
            milliseconds: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            step: self.step.clone(),
            inputs: self.inputs.clone(),
            listings: self.listings.clone(),
            latest: self.latest.map(|key| hex(key.as_bytes())),
            origin: self.origin.as_ref().and_then(|one| serde_json::to_value(one).ok()),
        };
        serde_json::to_vec(&form).expect("all keys are texts")
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else, and where the blob is no
    /// layer that can be read.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if MAX_RECORD < bytes.len() {
            return None;
        }
        let form: Form =
            serde_json::from_slice(bytes).ok().filter(|form: &Form| form.v == VERSION)?;
        form.blob.media_type.layer_compression()?;
        let (seconds, nanos) = form.created;
        // Where else something may be had is for nobody to say: it comes from the cache.
        let plain = |blob: Descriptor| Descriptor::new(blob.media_type, blob.digest, blob.size);
        let latest = match form.latest {
            Some(key) => Some(CacheKey::from_bytes(unhex(&key)?)),
            None => None,
        };
        Some(Self {
            diff_id: DiffId(form.diff_id),
            tar_size: form.tar_size,
            blob: plain(form.blob),
            content: ContentId::from_bytes(unhex(&form.content)?),
            created: Timestamp { seconds, nanos },
            duration: Duration::from_millis(form.milliseconds),
            step: form.step,
            inputs: form.inputs,
            listings: form.listings.map(plain),
            latest,
            origin: form.origin.as_ref().and_then(RecordOrigin::of),
        })
    }
}

/// The field of an image's configuration that holds records of its layers.
pub const INLINE_FIELD: &str = "wythe.cache.v1";

/// The result of a step whose layer is one of the image that the record is in.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineRecord {
    /// The key, in hex.
    pub key: String,
    /// Which layer, counted from the bottom.
    pub layer: usize,
    /// How long its tar stream is, in bytes.
    pub tar_size: u64,
    /// What it contains, in hex.
    pub content: String,
    /// When the step ran: seconds since 1970, and nanoseconds.
    pub created: (i64, u32),
    /// What it was called.
    pub step: String,
}

impl InlineRecord {
    /// The key and the record as other caches have it; `None` where it makes no sense for an image with
    /// these layers.
    pub fn action(
        &self,
        blobs: &[Descriptor],
        diff_ids: &[DiffId],
    ) -> Option<(CacheKey, PortableAction)> {
        let (seconds, nanos) = self.created;
        let action = PortableAction {
            diff_id: *diff_ids.get(self.layer)?,
            tar_size: self.tar_size,
            blob: blobs.get(self.layer).filter(|_| blobs.len() == diff_ids.len())?.clone(),
            content: ContentId::from_bytes(unhex(&self.content)?),
            created: Timestamp { seconds, nanos },
            duration: Duration::ZERO,
            step: self.step.clone(),
            inputs: Vec::new(),
            listings: None,
            latest: None,
            origin: None,
        };
        Some((CacheKey::from_bytes(unhex(&self.key)?), action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::MediaType;

    fn record() -> PortableAction {
        PortableAction {
            diff_id: DiffId(Digest::of(b"tar")),
            tar_size: 1536,
            blob: Descriptor::of(MediaType::LAYER_GZIP, b"blob"),
            content: ContentId::of(b"files"),
            created: Timestamp { seconds: -5, nanos: 7 },
            duration: Duration::from_millis(1234),
            step: "[1/1] RUN make".to_owned(),
            inputs: vec![("argument".to_owned(), "make".to_owned())],
            listings: None,
            latest: None,
            origin: None,
        }
    }

    #[test]
    fn a_record_reads_back() {
        let listings = Some(Descriptor::of(MediaType::new("x/y"), b"listings"));
        let source = Some("example.org/a".to_owned());
        let origin = Some(RecordOrigin { source, ..RecordOrigin::default() });
        let other = PortableAction { listings, origin, ..record() };
        let other = other.as_latest(CacheKey::of(b"step"));
        for record in [record(), other] {
            assert_eq!(PortableAction::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn an_origin_that_makes_no_sense_costs_a_record_nothing() {
        let text = String::from_utf8(record().encode()).unwrap();
        assert!(!text.contains("origin"), "as earlier versions write it: {text}");
        for odd in ["5", "{\"source\":7}", "{\"source\":\"\\u001b[2J\"}", "[{\"ref\":\"x\"}]"] {
            let with = text.replacen('{', &format!("{{\"origin\":{odd},"), 1);
            assert_eq!(PortableAction::decode(with.as_bytes()), Some(record()), "{with}");
        }
    }

    #[test]
    fn what_another_version_wrote_or_nobody_is_not_read() {
        let text = String::from_utf8(record().encode()).unwrap();
        let later = text.replace("\"v\":1", "\"v\":2");
        for other in [&*later, "", "{}", "null", &text[1..], &text.replace("tar+gzip", "x")] {
            assert_eq!(PortableAction::decode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_record_in_an_image_is_of_one_of_its_layers() {
        let whole = PortableAction { duration: Duration::ZERO, inputs: Vec::new(), ..record() };
        let key = CacheKey::of(b"step");
        let inline = |layer| InlineRecord {
            key: hex(key.as_bytes()),
            layer,
            tar_size: whole.tar_size,
            content: hex(whole.content.as_bytes()),
            created: (whole.created.seconds, whole.created.nanos),
            step: whole.step.clone(),
        };
        let (blobs, diff_ids) = ([whole.blob.clone()], [whole.diff_id]);
        assert_eq!(inline(0).action(&blobs, &diff_ids), Some((key, whole.clone())));
        assert_eq!(inline(1).action(&blobs, &diff_ids), None);
        assert_eq!(inline(0).action(&blobs, &[whole.diff_id; 2]), None);
    }

    #[test]
    fn a_record_sends_nobody_to_other_places() {
        let mut record = record();
        record.blob.urls.push("http://169.254.169.254/".to_owned());
        record.listings = Some(record.blob.clone());
        let read = PortableAction::decode(&record.encode()).unwrap();
        assert!(read.blobs().all(|blob| blob.urls.is_empty()));
    }
}
