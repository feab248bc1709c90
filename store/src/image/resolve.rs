//! Resolves a reference for one platform, without touching a layer.

use std::io::Read;

use crate::digest::DiffId;
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

/// Indexes of indexes are legal; nobody nests them deeper than this.
pub(super) const MAX_DEPTH: usize = 4;

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
    let (root, mut bytes) = source.manifest(reference)?;
    if let Some(expected) = reference.digest().filter(|pinned| *pinned != root.digest) {
        let found = root.digest;
        return Err(fail(DocumentProblem::Digest { found, expected }.into()));
    }
    let mut at = root.clone();
    let mut indexes = Vec::new();
    while at.media_type.is_index() {
        let index = RawDocument::<Index>::read(&at, bytes).map_err(|error| fail(error.into()))?;
        at = select(index.value(), platform).map_err(fail)?;
        indexes.push(index);
        if MAX_DEPTH < indexes.len() {
            return Err(fail(SourceProblem::Protocol { detail: "indexes without end".to_owned() }));
        }
        bytes = source.manifest(&reference.clone().with_digest(at.digest))?.1;
    }
    if !at.media_type.is_manifest() {
        return Err(fail(SourceProblem::Unsupported { media_type: at.media_type }));
    }
    let manifest = RawDocument::read(&at, bytes).map_err(|error| fail(error.into()))?;
    let config = fetch_config(source, reference, &manifest)?;
    let layers = pair(manifest.value(), config.value()).map_err(|problem| fail(problem.into()))?;
    Ok(ResolvedImage { root, indexes, manifest, config, layers })
}

fn select(index: &Index, platform: &Platform) -> Result<Descriptor, SourceProblem> {
    index.select(platform).cloned().ok_or_else(|| {
        let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        let available: Vec<String> = platforms.map(ToString::to_string).collect();
        let available = available.join(", ");
        SourceProblem::NoPlatform { wanted: platform.to_string(), available }
    })
}

fn fetch_config(
    source: &dyn ImageSource,
    reference: &Reference,
    manifest: &RawDocument<Manifest>,
) -> Result<RawDocument<ImageConfig>, SourceError> {
    let fail = |problem| SourceError::new(reference, problem);
    let descriptor = &manifest.value().config;
    if MAX_DOCUMENT as u64 <= descriptor.size {
        return Err(fail(SourceProblem::TooLarge { limit: MAX_DOCUMENT as u64 }));
    }
    let mut bytes = Vec::new();
    let blob = source.blob(reference, descriptor)?;
    blob.take(descriptor.size + 1).read_to_end(&mut bytes).map_err(|error| fail(error.into()))?;
    RawDocument::read(descriptor, bytes).map_err(|error| fail(error.into()))
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
