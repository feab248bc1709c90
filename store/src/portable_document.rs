//! Documents of base images as they travel: who has a cache need not ask a registry for what a digest names.
//!
//! A document is named by what it is, so that it needs nobody's word, and is the same whoever has kept it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::CacheKey;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::portable_action::MAX_RECORD;
use crate::timestamp::Timestamp;

/// The version of the form. What a later version has written is not read.
const VERSION: u32 = 1;
/// What a record begins its kind with, by which it is told from others.
const KIND: &str = "document";
/// The longest document that is kept: those of images have a few thousand bytes, and a record of one has to be shorter
/// than any that is read.
const MAX_KEPT: usize = MAX_RECORD / 4;

/// A manifest, an index or a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortableDocument {
    /// What names it.
    pub descriptor: Descriptor,
    /// When it was kept.
    pub created: Timestamp,
    /// JSON, to the byte.
    text: String,
}

/// Where the document with this digest is found.
pub fn document_key(digest: &Digest) -> CacheKey {
    CacheKey::of(format!("{KIND} {VERSION}\0{digest}").as_bytes())
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    kind: String,
    v: u32,
    media_type: String,
    /// Seconds since 1970, and nanoseconds.
    created: (i64, u32),
    text: String,
}

impl PortableDocument {
    /// A document with these bytes; `None` where it is too long, or no text.
    pub fn new(media_type: MediaType, bytes: &[u8], created: Timestamp) -> Option<Self> {
        let text = str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_KEPT)?;
        let descriptor = Descriptor::of(media_type, bytes);
        Some(Self { descriptor, created, text: text.to_owned() })
    }

    /// Where it is found.
    pub fn key(&self) -> CacheKey {
        document_key(&self.descriptor.digest)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The record as JSON.
    ///
    /// # Panics
    ///
    /// Never: all keys are texts.
    pub fn encode(&self) -> Vec<u8> {
        let form = Form {
            kind: KIND.to_owned(),
            v: VERSION,
            media_type: self.descriptor.media_type.as_str().to_owned(),
            created: (self.created.seconds, self.created.nanos),
            text: self.text.clone(),
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
        let created = Timestamp { seconds, nanos };
        Self::new(MediaType::new(form.media_type), form.text.as_bytes(), created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back_to_the_byte_and_is_found_by_its_digest() {
        let bytes = b"{\n  \"a\": \"\\u00e9 \xc3\xa9\"\r\n}";
        let created = Timestamp { seconds: 5, nanos: 6 };
        let document = PortableDocument::new(MediaType::CONFIG, bytes, created).unwrap();
        let read = PortableDocument::decode(&document.encode()).unwrap();
        assert_eq!(read, document);
        assert_eq!(read.bytes(), bytes);
        assert_eq!(read.key(), document_key(&Digest::of(bytes)));
    }

    #[test]
    fn what_is_no_text_or_too_long_or_of_another_version_is_not_kept() {
        let document =
            |bytes: &[u8]| PortableDocument::new(MediaType::CONFIG, bytes, Timestamp::default());
        assert_eq!(document(b"\xff"), None);
        assert_eq!(document(&vec![b' '; MAX_KEPT + 1]), None);
        // Each of these letters is written as six.
        let longest = document(&vec![1; MAX_KEPT / 2]).unwrap();
        assert_eq!(PortableDocument::decode(&longest.encode()), Some(longest.clone()));
        let text = String::from_utf8(document(b"{}").unwrap().encode()).unwrap();
        for other in
            [text.replace("\"v\":1", "\"v\":2"), text.replace("document", "x"), "{}".into()]
        {
            assert_eq!(PortableDocument::decode(other.as_bytes()), None, "{other}");
        }
    }
}
