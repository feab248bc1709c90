//! Blobs that a cache holds beside those of results: parts of images that were pushed to where it lies. A push that
//! comes later need not ask for them.

use serde::{Deserialize, Serialize};

use crate::id::CacheKey;
use crate::oci::descriptor::Descriptor;
use crate::portable_action::MAX_RECORD;

/// The version of the form. What a later version has written is not read.
const VERSION: u32 = 1;
/// What a record begins its kind with, by which it is told from others.
const KIND: &str = "blobs";
/// How many a record names: those of some images, in less than what is read of a record.
const MAX_NAMED: usize = 500;

/// Blobs that are there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortableBlobs {
    blobs: Vec<Descriptor>,
}

#[derive(Deserialize, Serialize)]
struct Form {
    kind: String,
    v: u32,
    blobs: Vec<Descriptor>,
}

impl PortableBlobs {
    /// These blobs; of too many the first, and `None` where there is none.
    pub fn new(blobs: Vec<Descriptor>) -> Option<Self> {
        // Where else something may be had is for nobody to say.
        let plain = |blob: Descriptor| Descriptor::new(blob.media_type, blob.digest, blob.size);
        let blobs: Vec<_> = blobs.into_iter().take(MAX_NAMED).map(plain).collect();
        (!blobs.is_empty()).then_some(Self { blobs })
    }

    /// What is there.
    pub fn blobs(&self) -> &[Descriptor] {
        &self.blobs
    }

    /// Where the record is kept. Nobody asks for it: it is read with all the others of its cache.
    pub fn key(&self) -> CacheKey {
        CacheKey::of(&self.encode())
    }

    /// The record as JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are texts.
    pub fn encode(&self) -> Vec<u8> {
        let form = Form { kind: KIND.to_owned(), v: VERSION, blobs: self.blobs.clone() };
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
        Self::new(form.blobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::MediaType;

    #[test]
    fn the_blobs_read_back_and_nothing_else_does() {
        let mut layer = Descriptor::of(MediaType::LAYER_GZIP, b"layer");
        layer.urls.push("http://169.254.169.254/".to_owned());
        let blobs =
            PortableBlobs::new(vec![layer, Descriptor::of(MediaType::CONFIG, b"{}")]).unwrap();
        assert_eq!(PortableBlobs::decode(&blobs.encode()), Some(blobs.clone()));
        assert!(blobs.blobs().iter().all(|blob| blob.urls.is_empty()));
        assert_eq!(PortableBlobs::new(Vec::new()), None);
        let text = String::from_utf8(blobs.encode()).unwrap();
        for other in
            [text.replace("\"v\":1", "\"v\":2"), text.replace("\"blobs\",", "\"x\","), "{}".into()]
        {
            assert_eq!(PortableBlobs::decode(other.as_bytes()), None, "{other}");
        }
    }
}
