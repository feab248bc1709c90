//! Resolves a reference for one platform, without touching a layer.

use std::io::Read;

use crate::digest::DiffId;
use crate::image::select::{Kind, Search, Selected};
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{
    DocumentError, DocumentKind, DocumentProblem, MAX_DOCUMENT, RawDocument,
};
use crate::oci::index::Index;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::Compression;
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError, SourceProblem};

/// An image for one platform: its documents, checked against each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedImage {
    /// What the reference itself names: an index, or the manifest.
    pub root: Descriptor,
    /// The indexes that led to the manifest, outermost first.
    pub indexes: Vec<RawDocument<Index>>,
    /// The manifest.
    pub manifest: RawDocument<Manifest>,
    /// The configuration.
    pub config: RawDocument<ImageConfig>,
    /// The layers, bottom first.
    pub layers: Vec<ResolvedLayer>,
}

/// A layer of a resolved image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// How the blob is compressed.
    pub compression: Compression,
    /// What it uncompresses to.
    pub diff_id: DiffId,
}

/// Finds the image that `reference` names for `platform`.
///
/// A reference that leads straight to a manifest is taken whatever its platform is, as other tools
/// do: [`ImageConfig::platform`] tells.
///
/// # Errors
///
/// Whatever the source reports; [`SourceProblem::NoPlatform`] if an index has no fitting entry;
/// [`SourceProblem::Mismatch`] if documents contradict each other.
pub fn resolve(
    source: &dyn ImageSource,
    reference: &Reference,
    platform: &Platform,
) -> Result<ResolvedImage, SourceError> {
    let fail = |problem| SourceError::new(reference, problem);
    let (root, bytes) = source.manifest(reference)?;
    if let Some(expected) = reference.digest().filter(|pinned| *pinned != root.digest) {
        let found = root.digest;
        return Err(fail(DocumentProblem::Digest { found, expected }.into()));
    }
    let read = |at: &Descriptor, kind: Kind| -> Result<Vec<u8>, Failed> {
        Ok(match kind {
            Kind::Manifest if at.digest == root.digest => bytes.clone(),
            Kind::Manifest => source.manifest(&reference.clone().with_digest(at.digest))?.1,
            Kind::Configuration => document(source, reference, at)?,
        })
    };
    let selected = Search { platform, read: &read }.run(&root);
    let (indexes, manifest) = match selected.map_err(|failed| failed.about(reference))? {
        Selected::Image(indexes, manifest) => (indexes, *manifest),
        Selected::Nothing(there) => return Err(fail(nothing(platform, &there))),
        Selected::Other(other) => {
            let media_type = other.media_type;
            return Err(fail(SourceProblem::Unsupported { media_type }));
        }
        Selected::TooDeep => {
            let detail = "indexes without end".to_owned();
            return Err(fail(SourceProblem::Protocol { detail }));
        }
    };
    let config = fetch_config(source, reference, &manifest)?;
    let layers = pair(manifest.value(), config.value()).map_err(|problem| fail(problem.into()))?;
    Ok(ResolvedImage { root, indexes, manifest, config, layers })
}

/// Why a search failed, before it is said of which image.
enum Failed {
    Document(DocumentError),
    Source(SourceError),
}

impl Failed {
    fn about(self, reference: &Reference) -> SourceError {
        match self {
            Self::Document(error) => SourceError::new(reference, error),
            Self::Source(error) => error,
        }
    }
}

impl From<DocumentError> for Failed {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<SourceError> for Failed {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

fn nothing(platform: &Platform, there: &[Platform]) -> SourceProblem {
    let available: Vec<String> = there.iter().map(ToString::to_string).collect();
    let available = if there.is_empty() { "none".to_owned() } else { available.join(", ") };
    SourceProblem::NoPlatform { wanted: platform.to_string(), available }
}

fn fetch_config(
    source: &dyn ImageSource,
    reference: &Reference,
    manifest: &RawDocument<Manifest>,
) -> Result<RawDocument<ImageConfig>, SourceError> {
    let descriptor = &manifest.value().config;
    let bytes = document(source, reference, descriptor)?;
    RawDocument::read(descriptor, bytes).map_err(|error| SourceError::new(reference, error))
}

/// The bytes of a document that a source has as a blob, which nothing has checked.
fn document(
    source: &dyn ImageSource,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, SourceError> {
    let fail = |problem| SourceError::new(reference, problem);
    if MAX_DOCUMENT as u64 <= descriptor.size {
        return Err(fail(SourceProblem::TooLarge { limit: MAX_DOCUMENT as u64 }));
    }
    let mut bytes = Vec::new();
    let blob = source.blob(reference, descriptor)?;
    blob.take(descriptor.size + 1).read_to_end(&mut bytes).map_err(|error| fail(error.into()))?;
    Ok(bytes)
}

/// Layers and their uncompressed digests are listed in two documents; an image is only an image if
/// the lists have one length.
fn pair(manifest: &Manifest, config: &ImageConfig) -> Result<Vec<ResolvedLayer>, DocumentError> {
    let diff_ids = &config.rootfs.diff_ids;
    let fail = |problem| DocumentError { kind: DocumentKind::Manifest, problem };
    if manifest.layers.len() != diff_ids.len() {
        let (diff_ids, layers) = (diff_ids.len(), manifest.layers.len());
        return Err(fail(DocumentProblem::LayerCount { diff_ids, layers }));
    }
    let pairs = manifest.layers.iter().zip(diff_ids).enumerate();
    pairs
        .map(|(index, (layer, diff_id))| read_layer(index, layer, *diff_id).map_err(fail))
        .collect()
}

fn read_layer(
    index: usize,
    descriptor: &Descriptor,
    diff_id: DiffId,
) -> Result<ResolvedLayer, DocumentProblem> {
    let media_type = &descriptor.media_type;
    let compression = media_type.layer_compression();
    let compression = compression
        .ok_or_else(|| DocumentProblem::LayerType { index, media_type: media_type.clone() })?;
    Ok(ResolvedLayer { descriptor: descriptor.clone(), compression, diff_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::oci::content::MemoryContent;
    use crate::oci::layout::write::write;
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::media_type::MediaType;

    struct Example {
        content: MemoryContent,
    }

    impl Example {
        fn manifest(
            &mut self,
            platform: &str,
            layers: &[MediaType],
            diff_ids: usize,
        ) -> Descriptor {
            let platform: Platform = platform.parse().unwrap();
            let mut config = ImageConfig {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                ..ImageConfig::default()
            };
            config.rootfs.diff_ids = vec![DiffId(Digest::of(b"layer")); diff_ids];
            let config = RawDocument::new(config);
            self.content.insert(config.bytes().to_vec());
            self.content.insert(b"layer".to_vec());
            let layers = layers.iter().map(|kind| Descriptor::of(kind.clone(), b"layer")).collect();
            let manifest = RawDocument::new(Manifest::new(config.descriptor(), layers));
            self.content.insert(manifest.bytes().to_vec());
            Descriptor { platform: Some(platform), ..manifest.descriptor() }
        }

        fn resolve(&self, root: Descriptor, platform: &str) -> Result<ResolvedImage, SourceError> {
            let directory = tempfile::tempdir().unwrap();
            write(directory.path(), &self.content, &[root]).unwrap();
            let layout = Layout::open(directory.path(), Selector::Default).unwrap();
            resolve(&layout, &"app".parse().unwrap(), &platform.parse().unwrap())
        }
    }

    fn example() -> Example {
        Example { content: MemoryContent::default() }
    }

    #[test]
    fn an_index_leads_to_the_manifest_of_the_platform() {
        let mut example = example();
        let amd64 = example.manifest("linux/amd64", &[MediaType::LAYER_GZIP], 1);
        let arm64 = example.manifest("linux/arm64", &[MediaType::LAYER_ZSTD], 1);
        let index = RawDocument::new(Index::new(vec![amd64, arm64.clone()]));
        example.content.insert(index.bytes().to_vec());
        let image = example.resolve(index.descriptor(), "linux/arm64").unwrap();
        assert_eq!(image.root, index.descriptor());
        assert_eq!(image.manifest.descriptor().digest, arm64.digest);
        assert_eq!(image.layers[0].compression, Compression::Zstd);
        let error = example.resolve(index.descriptor(), "linux/s390x").unwrap_err();
        assert!(matches!(error.problem, SourceProblem::NoPlatform { .. }), "{error}");
    }

    /// The digest of what an index leads to, or whether it leads to nothing.
    #[track_caller]
    fn check(example: &mut Example, entries: Vec<Descriptor>, expected: Option<Digest>) {
        let index = RawDocument::new(Index::new(entries));
        example.content.insert(index.bytes().to_vec());
        let found = example.resolve(index.descriptor(), "linux/arm64");
        let nothing =
            |error: &SourceError| matches!(error.problem, SourceProblem::NoPlatform { .. });
        assert_eq!(found.as_ref().err().map(nothing), expected.is_none().then_some(true));
        assert_eq!(found.ok().map(|image| image.manifest.descriptor().digest), expected);
    }

    #[test]
    fn an_entry_that_says_no_platform_is_for_what_its_configuration_says() {
        let mut example = example();
        let [amd64, arm64, s390x] = ["amd64", "arm64", "s390x"]
            .map(|name| example.manifest(&format!("linux/{name}"), &[], 0));
        let silent = |entry: &Descriptor| Descriptor { platform: None, ..entry.clone() };
        let of = |entry: &Descriptor| Some(entry.digest);
        let example = &mut example;
        check(example, vec![amd64.clone(), silent(&arm64)], of(&arm64));
        check(example, vec![silent(&amd64), silent(&arm64)], of(&arm64));
        check(example, vec![amd64.clone(), silent(&s390x)], None);
        check(example, vec![silent(&s390x)], of(&s390x));
        // What is said comes before what has to be looked up.
        let lie = Descriptor { platform: arm64.platform.clone(), ..s390x.clone() };
        check(example, vec![silent(&arm64), lie.clone()], of(&lie));
    }

    #[test]
    fn indexes_in_an_index_are_looked_into() {
        let mut example = example();
        let [amd64, arm64] =
            ["amd64", "arm64"].map(|name| example.manifest(&format!("linux/{name}"), &[], 0));
        let mut index = |entries| {
            let index = RawDocument::new(Index::new(entries));
            example.content.insert(index.bytes().to_vec());
            index.descriptor()
        };
        let (first, second) = (index(vec![amd64]), index(vec![arm64.clone()]));
        let mut deep = second.clone();
        for _ in 0..2 {
            deep = index(vec![deep]);
        }
        check(&mut example, vec![first.clone(), second], Some(arm64.digest));
        check(&mut example, vec![first, deep], Some(arm64.digest));
    }

    #[test]
    fn lists_of_different_length_are_refused() {
        for (layers, diff_ids) in [(1, 0), (0, 1), (1, 2)] {
            let mut example = example();
            let kinds = vec![MediaType::LAYER; layers];
            let manifest = example.manifest("linux/amd64", &kinds, diff_ids);
            let error = example.resolve(manifest, "linux/amd64").unwrap_err();
            assert!(matches!(error.problem, SourceProblem::Document(_)), "{error}");
        }
    }

    #[test]
    fn layers_that_cannot_be_read_are_refused_by_their_type() {
        let mut example = example();
        let kind = MediaType::new("application/vnd.oci.image.layer.v1.tar+encrypted");
        let manifest = example.manifest("linux/amd64", &[kind], 1);
        let error = example.resolve(manifest, "linux/amd64").unwrap_err();
        assert!(error.to_string().contains("tar+encrypted"), "{error}");
    }

    /// A source that hands over one manifest, whatever it is asked for.
    struct Stubborn(Descriptor, Vec<u8>);

    impl ImageSource for Stubborn {
        fn manifest(&self, _: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
            Ok((self.0.clone(), self.1.clone()))
        }

        fn blob(
            &self,
            reference: &Reference,
            _: &Descriptor,
        ) -> Result<Box<dyn Read + Send>, SourceError> {
            let detail = "nothing".to_owned();
            Err(SourceError::new(reference, SourceProblem::NotFound { detail }))
        }
    }

    #[test]
    fn what_has_another_digest_than_the_reference_is_refused() {
        let bytes = Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), vec![]);
        let manifest = RawDocument::new(bytes);
        let source = Stubborn(manifest.descriptor(), manifest.bytes().to_vec());
        let pinned = "app".parse::<Reference>().unwrap().with_digest(Digest::of(b"another"));
        let error = resolve(&source, &pinned, &Platform::linux("amd64")).unwrap_err();
        assert!(
            matches!(error.problem, SourceProblem::Mismatch(DocumentProblem::Digest { .. })),
            "{error}"
        );
    }

    #[test]
    fn an_image_without_layers_is_an_image() {
        let mut example = example();
        let manifest = example.manifest("linux/amd64", &[], 0);
        assert!(example.resolve(manifest, "linux/amd64").unwrap().layers.is_empty());
    }
}
