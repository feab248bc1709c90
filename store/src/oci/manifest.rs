//! Image manifests: a configuration and an ordered list of layers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, DocumentKind, DocumentProblem, MAX_DOCUMENT};
use crate::oci::json;
use crate::oci::media_type::MediaType;

/// Overlay file systems stop at 500 lower directories; registries and runtimes stop far earlier.
const MAX_LAYERS: usize = 4096;

/// An image manifest.
///
/// [Image spec, "Image Manifest"](https://github.com/opencontainers/image-spec/blob/main/manifest.md).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// OCI's or Docker's manifest type.
    pub media_type: MediaType,
    /// What an artifact that is no image says it is.
    pub artifact_type: Option<MediaType>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// What this document is about, for attestations and signatures.
    pub subject: Option<Descriptor>,
    /// Arbitrary metadata.
    pub annotations: BTreeMap<String, String>,
}

/// Fields as they are written. Reading and writing share it, so that neither can forget one.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<MediaType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            media_type: MediaType::MANIFEST,
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Document for Manifest {
    const KIND: DocumentKind = DocumentKind::Manifest;

    fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let fail = |problem| DocumentError { kind: Self::KIND, problem };
        let wire: Wire = json::parse(bytes, MAX_DOCUMENT).map_err(|error| fail(error.into()))?;
        accept(wire).map_err(fail)
    }

    fn media_type(&self) -> MediaType {
        self.media_type.clone()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            schema_version: 2,
            media_type: Some(self.media_type.clone()),
            artifact_type: self.artifact_type.clone(),
            config: Some(self.config.clone()),
            layers: Some(self.layers.clone()),
            manifests: None,
            subject: self.subject.clone(),
            annotations: self.annotations.clone(),
        };
        serde_json::to_vec(&wire).expect("strings and integers always serialise")
    }
}

fn accept(wire: Wire) -> Result<Manifest, DocumentProblem> {
    if wire.schema_version != 2 {
        return Err(DocumentProblem::SchemaVersion { found: wire.schema_version });
    }
    if wire.manifests.is_some() {
        return Err(DocumentProblem::Ambiguous);
    }
    let media_type = wire.media_type.unwrap_or(MediaType::MANIFEST);
    if !media_type.is_manifest() {
        let expected = MediaType::MANIFEST;
        return Err(DocumentProblem::MediaType { found: media_type, expected });
    }
    let layers = wire.layers.unwrap_or_default();
    if MAX_LAYERS < layers.len() {
        return Err(DocumentProblem::TooMany { field: "layers", limit: MAX_LAYERS });
    }
    Ok(Manifest {
        media_type,
        artifact_type: wire.artifact_type,
        config: wire.config.ok_or(DocumentProblem::Missing { field: "config" })?,
        layers,
        subject: wire.subject,
        annotations: wire.annotations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::document::RawDocument;

    const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}"#;

    fn parse(text: &str) -> Result<Manifest, DocumentProblem> {
        let text = text.replace("CONFIG", CONFIG);
        Manifest::parse(text.as_bytes()).map_err(|error| error.problem)
    }

    #[test]
    fn a_manifest_is_written_as_it_is_read() {
        let text = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":CONFIG,"layers":[CONFIG],"annotations":{"a":"b"}}"#;
        let written = parse(text).unwrap().to_bytes();
        assert_eq!(String::from_utf8(written).unwrap(), text.replace("CONFIG", CONFIG));
    }

    #[test]
    fn a_list_that_is_null_is_read_as_empty_and_written_as_empty() {
        let manifest = parse(r#"{"schemaVersion":2,"config":CONFIG,"layers":null}"#).unwrap();
        assert!(manifest.layers.is_empty());
        assert!(String::from_utf8(manifest.to_bytes()).unwrap().contains(r#""layers":[]"#));
    }

    #[test]
    fn bytes_that_could_also_be_an_index_are_refused() {
        let text = r#"{"schemaVersion":2,"config":CONFIG,"layers":[],"manifests":[]}"#;
        assert!(matches!(parse(text), Err(DocumentProblem::Ambiguous)));
    }

    #[test]
    fn other_versions_types_and_shapes_are_refused() {
        let bad = [
            r#"{"schemaVersion":1,"config":CONFIG,"layers":[]}"#,
            r#"{"schemaVersion":2.0,"config":CONFIG,"layers":[]}"#,
            r#"{"config":CONFIG,"layers":[]}"#,
            r#"{"schemaVersion":2,"layers":[]}"#,
            r#"{"schemaVersion":2,"config":CONFIG,"layers":[],"layers":[]}"#,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":CONFIG,"layers":[]}"#,
            r#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../../x","size":1},"layers":[]}"#,
            r#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1},"layers":[]}"#,
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_descriptor_has_the_last_word_on_digest_size_and_type() {
        let bytes = Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![]).to_bytes();
        let right = Descriptor::of(MediaType::MANIFEST, &bytes);
        assert!(RawDocument::<Manifest>::read(&right, bytes.clone()).is_ok());
        let wrong = [
            Descriptor { media_type: MediaType::DOCKER_MANIFEST, ..right.clone() },
            Descriptor { size: right.size + 1, ..right.clone() },
            Descriptor { digest: crate::digest::Digest::of(b""), ..right },
        ];
        for descriptor in wrong {
            assert!(RawDocument::<Manifest>::read(&descriptor, bytes.clone()).is_err());
        }
    }

    #[test]
    fn what_we_write_is_valid_by_the_types_of_the_specification() {
        let config = Descriptor::of(MediaType::CONFIG, b"{}");
        let layer = Descriptor::of(MediaType::LAYER_GZIP, b"layer");
        let bytes = Manifest::new(config, vec![layer]).to_bytes();
        let read = oci_spec::image::ImageManifest::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read.layers().len(), 1);
        assert_eq!(read.schema_version(), 2);
    }
}
