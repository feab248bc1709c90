//! Cache mounts as they travel: what fills one in a store that has never seen it.
//!
//! ```text
//! record ──► document: the tree, and where in the packs the bytes of its files are
//!        └─► packs: the bytes of many files each, one after the other, as one zstd stream
//! ```
//!
//! A record is found under what tells the mount from others on every machine. Of several the newest counts.
//! What has changed goes into new packs, and a document says of the old ones what in them still counts.

pub mod document;
pub mod follow;
mod pack_writer;
pub mod packing;
pub mod restore;
pub mod save;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::CacheKey;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::portable_action::MAX_RECORD;
use crate::timestamp::Timestamp;

/// The version of the form. What a later version has written is not read.
const VERSION: u32 = 1;
/// What a record begins its kind with, by which it is told from that of a step.
const KIND: &str = "cache-mount";

/// The media type of documents.
pub const DOCUMENT_TYPE: &str = "application/vnd.wythe.cache.mount.v1+zstd";
/// The media type of packs.
pub const PACK_TYPE: &str = "application/vnd.wythe.cache.mount.pack.v1+zstd";

/// A cache mount that was saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortableMount {
    /// What tells it from others, on every machine.
    pub identity: String,
    /// What the steps that use it run on, as `OS/ARCHITECTURE`.
    pub platform: String,
    /// What people call it.
    pub label: String,
    /// When it was saved.
    pub created: Timestamp,
    /// How many files it has.
    pub files: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// The blob of the [`document`].
    pub document: Descriptor,
    /// Those of the packs, in the order in which the document speaks of them.
    pub packs: Vec<Descriptor>,
}

/// Where the mount of this identity and platform is found.
pub fn mount_key(identity: &str, platform: &str) -> CacheKey {
    CacheKey::of(format!("{KIND} {VERSION}\0{platform}\0{identity}").as_bytes())
}

#[derive(Deserialize, Serialize)]
struct Form {
    kind: String,
    v: u32,
    identity: String,
    platform: String,
    label: String,
    /// Seconds since 1970, and nanoseconds.
    created: (i64, u32),
    files: u64,
    bytes: u64,
    document: (Digest, u64),
    packs: Vec<(Digest, u64)>,
}

impl PortableMount {
    /// Where it is found.
    pub fn key(&self) -> CacheKey {
        mount_key(&self.identity, &self.platform)
    }

    /// All that has to be there for it.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.document).chain(&self.packs)
    }

    /// The record as JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are texts.
    pub fn encode(&self) -> Vec<u8> {
        let short = |blob: &Descriptor| (blob.digest, blob.size);
        let form = Form {
            kind: KIND.to_owned(),
            v: VERSION,
            identity: self.identity.clone(),
            platform: self.platform.clone(),
            label: self.label.clone(),
            created: (self.created.seconds, self.created.nanos),
            files: self.files,
            bytes: self.bytes,
            document: short(&self.document),
            packs: self.packs.iter().map(short).collect(),
        };
        serde_json::to_vec(&form).expect("all keys are texts")
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if MAX_RECORD < bytes.len() {
            return None;
        }
        let form: Form = serde_json::from_slice(bytes).ok()?;
        if form.v != VERSION || form.kind != KIND {
            return None;
        }
        let (seconds, nanos) = form.created;
        let pack = |(digest, size)| Descriptor::new(MediaType::new(PACK_TYPE), digest, size);
        let (digest, size) = form.document;
        Some(Self {
            identity: form.identity,
            platform: form.platform,
            label: form.label,
            created: Timestamp { seconds, nanos },
            files: form.files,
            bytes: form.bytes,
            document: Descriptor::new(MediaType::new(DOCUMENT_TYPE), digest, size),
            packs: form.packs.into_iter().map(pack).collect(),
        })
    }
}
