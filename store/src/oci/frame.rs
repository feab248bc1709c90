//! What manifests and indexes have in common as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::descriptor::Descriptor;
use crate::oci::document::{DocumentProblem, MAX_DOCUMENT};
use crate::oci::json;
use crate::oci::media_type::MediaType;

/// The only version there is.
const VERSION: u64 = 2;

/// Fields as they are written. Reading and writing share it, so that neither can forget one; and both
/// kinds do, so that bytes which could be read as either are known.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    pub(super) schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<MediaType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<MediaType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifests: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Descriptor>,
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Frame {
    /// One of a type with nothing in it.
    pub(super) fn new(media_type: &MediaType) -> Self {
        Self {
            schema_version: VERSION,
            media_type: Some(media_type.clone()),
            artifact_type: None,
            config: None,
            layers: None,
            manifests: None,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads one of the version there is.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DocumentProblem> {
        let frame: Self = json::parse(bytes, MAX_DOCUMENT)?;
        match frame.schema_version {
            VERSION => Ok(frame),
            found => Err(DocumentProblem::SchemaVersion { found }),
        }
    }

    /// Its media type, which is `expected` where it has none, if it is of the right kind.
    pub(super) fn media_type(
        &self,
        expected: MediaType,
        is_right: fn(&MediaType) -> bool,
    ) -> Result<MediaType, DocumentProblem> {
        let found = self.media_type.clone().unwrap_or_else(|| expected.clone());
        if is_right(&found) {
            Ok(found)
        } else {
            Err(DocumentProblem::MediaType { found, expected })
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and integers always serialise")
    }
}

/// A list of no more than any real document has; one that is missing or null is empty.
pub(super) fn bounded(
    list: Option<Vec<Descriptor>>,
    field: &'static str,
    limit: usize,
) -> Result<Vec<Descriptor>, DocumentProblem> {
    let list = list.unwrap_or_default();
    if limit < list.len() {
        return Err(DocumentProblem::TooMany { field, limit });
    }
    Ok(list)
}
