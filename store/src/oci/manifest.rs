//! Image manifests: a configuration and an ordered list of layers.

use std::collections::BTreeMap;

use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, DocumentKind, DocumentProblem};
use crate::oci::frame::{Frame, bounded};
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
        let parsed = Frame::parse(bytes).and_then(accept);
        parsed.map_err(|problem| DocumentError { kind: Self::KIND, problem })
    }

    fn media_type(&self) -> MediaType {
        self.media_type.clone()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let frame = Frame {
            artifact_type: self.artifact_type.clone(),
            config: Some(self.config.clone()),
            layers: Some(self.layers.clone()),
            subject: self.subject.clone(),
            annotations: self.annotations.clone(),
            ..Frame::new(&self.media_type)
        };
        frame.to_bytes()
    }
}

fn accept(frame: Frame) -> Result<Manifest, DocumentProblem> {
    if frame.manifests.is_some() {
        return Err(DocumentProblem::Ambiguous);
    }
    Ok(Manifest {
        media_type: frame.media_type(MediaType::MANIFEST, MediaType::is_manifest)?,
        artifact_type: frame.artifact_type,
        config: frame.config.ok_or(DocumentProblem::Missing { field: "config" })?,
        layers: bounded(frame.layers, "layers", MAX_LAYERS)?,
        subject: frame.subject,
        annotations: frame.annotations,
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
