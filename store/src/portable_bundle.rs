//! Small blobs of a cache that lie in one blob, one behind another: a server is asked for one instead of many.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::CacheKey;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::portable_action::MAX_RECORD;

/// What a blob of blobs is called.
pub const BUNDLE_TYPE: &str = "application/vnd.wythe.cache.bundle.v1";
/// How many parts one has: their names take a third of what is read of a record.
pub const MAX_PARTS: usize = 1000;

/// The version of the form. What a later version has written is not read.
const VERSION: u32 = 1;
/// What a record begins its kind with, by which it is told from others.
const KIND: &str = "bundle";

/// A blob of blobs, and what these are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortableBundle {
    blob: Descriptor,
    /// Each with its length, in the order in which they lie in it.
    parts: Vec<(Digest, u64)>,
}

#[derive(Deserialize, Serialize)]
struct Form {
    kind: String,
    v: u32,
    blob: Descriptor,
    parts: Vec<(Digest, u64)>,
}

impl PortableBundle {
    /// These bytes, which are those of `parts`; `None` where they have another length, or are too many or nothing.
    pub fn new(bytes: &[u8], parts: Vec<(Digest, u64)>) -> Option<Self> {
        Self::of(Descriptor::of(MediaType::new(BUNDLE_TYPE), bytes), parts)
    }

    fn of(blob: Descriptor, parts: Vec<(Digest, u64)>) -> Option<Self> {
        let length = parts.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length))?;
        let is_right = length == blob.size && !parts.is_empty() && parts.len() <= MAX_PARTS;
        is_right.then_some(Self { blob, parts })
    }

    /// The blob of all of them.
    pub fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// The blobs in it, with the bytes of it that each is.
    pub fn parts(&self) -> impl Iterator<Item = (Digest, Range<u64>)> {
        let place = |at: &mut u64, (digest, length): &(Digest, u64)| {
            let start = *at;
            *at += length;
            Some((*digest, start..*at))
        };
        self.parts.iter().scan(0, place)
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
        let (kind, v) = (KIND.to_owned(), VERSION);
        let form = Form { kind, v, blob: self.blob.clone(), parts: self.parts.clone() };
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
        // Where else something may be had is for nobody to say.
        let Descriptor { digest, size, .. } = form.blob;
        Self::of(Descriptor::new(MediaType::new(BUNDLE_TYPE), digest, size), form.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> PortableBundle {
        let parts = vec![(Digest::of(b"one"), 3), (Digest::of(b""), 0), (Digest::of(b"more"), 4)];
        PortableBundle::new(b"onemore", parts).unwrap()
    }

    #[test]
    fn parts_lie_one_behind_another() {
        let places: Vec<_> = bundle().parts().map(|(_, place)| place).collect();
        assert_eq!(places, [0..3, 3..3, 3..7]);
    }

    #[test]
    fn a_bundle_reads_back_and_nothing_else_does() {
        let one = bundle();
        assert_eq!(PortableBundle::decode(&one.encode()), Some(one.clone()));
        let text = String::from_utf8(one.encode()).unwrap();
        for other in [
            text.replace("\"v\":1", "\"v\":2"),
            text.replace("\"bundle\",", "\"x\","),
            text.replace(",4]", ",5]"),
            text.replace(",4]", &format!(",{}]", u64::MAX)),
            "{}".into(),
        ] {
            assert_eq!(PortableBundle::decode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_too_much_or_nothing_is_none() {
        assert_eq!(PortableBundle::new(b"", Vec::new()), None);
        assert_eq!(PortableBundle::new(b"more", vec![(Digest::of(b"one"), 3)]), None);
        let many = |count: usize| {
            let parts = (0..count).map(|number| (Digest::of(&number.to_le_bytes()), 1)).collect();
            PortableBundle::new(&vec![0; count], parts)
        };
        assert!(many(MAX_PARTS).unwrap().encode().len() < MAX_RECORD);
        assert_eq!(many(MAX_PARTS + 1), None);
    }
}
