//! Image indexes: one name, a manifest for each platform.

use std::collections::BTreeMap;

use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, DocumentKind, DocumentProblem};
use crate::oci::frame::{Frame, bounded};
use crate::oci::media_type::MediaType;
use crate::oci::platform::Platform;

/// The most indexes on the way to a manifest. Indexes of indexes are legal; nobody nests them deeper,
/// and more levels only make a reader loop.
pub(crate) const MAX_DEPTH: usize = 4;

/// An index lists platforms and their attestations: some dozens.
const MAX_MANIFESTS: usize = 16_384;

/// An image index.
///
/// [Image spec, "Image Index"](https://github.com/opencontainers/image-spec/blob/main/image-index.md).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Index {
    /// OCI's index type or Docker's manifest list type.
    pub media_type: MediaType,
    /// What an artifact that is no image says it is.
    pub artifact_type: Option<MediaType>,
    /// The entries, in preference order.
    pub manifests: Vec<Descriptor>,
    /// What this document is about.
    pub subject: Option<Descriptor>,
    /// Arbitrary metadata.
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            media_type: MediaType::INDEX,
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The entries that are images or indexes of such, as opposed to what is stated about them.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|entry| is_image(entry))
    }

    /// The entries that serve `platform`, best first: the wanted variant, then the nearest older one.
    ///
    /// Entries of one rank are taken in the order of the index. An entry that names no platform is
    /// not among them, since only its configuration says what it is.
    pub fn ranked(&self, platform: &Platform) -> Vec<&Descriptor> {
        let of = |wanted: Platform| {
            let serves = move |own: &Platform| wanted.accepts(own);
            self.images().filter(move |entry| entry.platform.as_ref().is_some_and(&serves))
        };
        platform.compatible().into_iter().flat_map(of).collect()
    }
}

/// Attestations sit beside the images they describe, under a platform that no machine has; artifacts that say what
/// they are, such as an index of files, under that of their image.
fn is_image(entry: &Descriptor) -> bool {
    let known = entry.media_type.is_manifest() || entry.media_type.is_index();
    let is_artifact = entry.artifact_type.as_ref().is_some_and(|kind| !kind.is_config());
    known && !is_artifact && !entry.annotations.contains_key("vnd.docker.reference.type")
}

impl Document for Index {
    const KIND: DocumentKind = DocumentKind::Index;

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
            manifests: Some(self.manifests.clone()),
            subject: self.subject.clone(),
            annotations: self.annotations.clone(),
            ..Frame::new(&self.media_type)
        };
        frame.to_bytes()
    }
}

fn accept(frame: Frame) -> Result<Index, DocumentProblem> {
    if frame.layers.is_some() || frame.config.is_some() {
        return Err(DocumentProblem::Ambiguous);
    }
    Ok(Index {
        media_type: frame.media_type(MediaType::INDEX, MediaType::is_index)?,
        artifact_type: frame.artifact_type,
        manifests: bounded(frame.manifests, "manifests", MAX_MANIFESTS)?,
        subject: frame.subject,
        annotations: frame.annotations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let mut entry = Descriptor::of(MediaType::MANIFEST, text.as_bytes());
            entry.platform = text.parse().ok();
            entry
        };
        Index::new(platforms.iter().map(entry).collect())
    }

    #[track_caller]
    fn check(platforms: &[&str], wanted: &str, expected: Option<&str>) {
        let index = index(platforms);
        let found = index.ranked(&wanted.parse().unwrap());
        let expected = expected.map(|text| crate::digest::Digest::of(text.as_bytes()));
        assert_eq!(found.first().map(|entry| entry.digest), expected);
    }

    #[test]
    fn the_nearest_variant_that_runs_is_selected() {
        let arms = ["linux/arm/v5", "linux/arm/v6", "linux/arm64", "linux/amd64"];
        check(&arms, "linux/arm/v7", Some("linux/arm/v6"));
        check(&arms, "linux/arm/v6", Some("linux/arm/v6"));
        check(&arms, "linux/arm64/v8", Some("linux/arm64"));
        check(&["linux/amd64/v2", "linux/amd64"], "linux/amd64/v3", Some("linux/amd64/v2"));
        check(&["linux/amd64/v2"], "linux/amd64", None);
        check(&["linux/s390x"], "linux/amd64", None);
    }

    #[test]
    fn statements_are_no_images() {
        let mut index = index(&["?"]);
        let kind = "vnd.docker.reference.type".to_owned();
        index.manifests[0].annotations.insert(kind, "attestation-manifest".to_owned());
        assert_eq!(index.images().next(), None);
    }

    #[test]
    fn an_artifact_for_the_platform_of_an_image_is_none() {
        let mut index = index(&["linux/amd64", "linux/amd64/v2"]);
        index.manifests[0].artifact_type = Some(MediaType::new("application/vnd.example"));
        index.manifests[1].artifact_type = Some(MediaType::CONFIG);
        assert_eq!(index.images().collect::<Vec<_>>(), [&index.manifests[1]]);
    }

    #[test]
    fn bytes_that_could_also_be_a_manifest_are_refused() {
        for text in [
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
            r#"{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
        ] {
            assert!(Index::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_we_write_is_valid_by_the_types_of_the_specification() {
        let bytes = index(&["linux/amd64", "linux/arm/v7"]).to_bytes();
        let read = oci_spec::image::ImageIndex::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read.manifests().len(), 2);
        assert_eq!(Index::parse(&bytes).unwrap(), index(&["linux/amd64", "linux/arm/v7"]));
    }
}
