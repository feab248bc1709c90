//! Descriptors: what points at content.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::oci::media_type::MediaType;
use crate::oci::platform::Platform;

/// A pointer to content: its type, its digest and its length in bytes.
///
/// [Image spec, "Content Descriptors"](https://github.com/opencontainers/image-spec/blob/main/descriptor.md).
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: MediaType,
    /// What the bytes hash to.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// Where else the bytes are to be had.
    #[serde(
        default,
        deserialize_with = "crate::oci::json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// What an entry that is no image says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// Which platform an entry of an index is for.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Arbitrary metadata.
    #[serde(
        default,
        deserialize_with = "crate::oci::json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Some tools write a platform that says nothing where others write none.
fn stated<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Platform>, D::Error> {
    let platform: Option<Platform> = serde::Deserialize::deserialize(from)?;
    Ok(platform.filter(|said| !(said.architecture.is_empty() && said.os.is_empty())))
}

impl Descriptor {
    /// A bare descriptor.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The descriptor of a document in memory.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_platform_is_none() {
        let digest = Digest::of(b"");
        let platform = |said: &str| {
            let text = format!(
                r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":0,"platform":{said}}}"#
            );
            serde_json::from_str::<Descriptor>(&text).unwrap().platform
        };
        for nothing in ["{}", "null", r#"{"architecture":"","os":""}"#, r#"{"variant":"v7"}"#] {
            assert_eq!(platform(nothing), None, "{nothing}");
        }
        assert!(platform(r#"{"os":"linux"}"#).is_some());
    }
}
