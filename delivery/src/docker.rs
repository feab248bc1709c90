//! Images under Docker's media types, for readers older than those of OCI.

use wythe_store::error::WriteError;
use wythe_store::layer::estargz::TOC_DIGEST;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;

/// A manifest in Docker's words if it has words for all of it: it has none for zstd, nor for annotations, with
/// which a layer says that it has a table of contents.
pub(crate) fn manifest(
    lease: &Lease,
    encoded: &RawDocument<Manifest>,
) -> Result<Descriptor, WriteError> {
    let Some(renamed) = renamed(encoded.value()) else { return Ok(encoded.descriptor()) };
    let renamed = RawDocument::new(renamed);
    lease.put_document(renamed.bytes())?;
    Ok(renamed.descriptor())
}

fn renamed(manifest: &Manifest) -> Option<Manifest> {
    if !manifest.annotations.is_empty() {
        return None;
    }
    let layers = manifest.layers.iter().map(|layer| {
        if layer.annotations.contains_key(TOC_DIGEST) {
            return None;
        }
        Some(Descriptor { media_type: layer.media_type.of_docker()?, ..layer.clone() })
    });
    Some(Manifest {
        media_type: MediaType::DOCKER_MANIFEST,
        config: Descriptor { media_type: MediaType::DOCKER_CONFIG, ..manifest.config.clone() },
        layers: layers.collect::<Option<_>>()?,
        ..manifest.clone()
    })
}

/// The type of an index over these entries.
pub(crate) fn index_type(entries: &[Descriptor]) -> MediaType {
    let is_docker = |entry: &Descriptor| entry.media_type == MediaType::DOCKER_MANIFEST;
    if entries.iter().all(is_docker) { MediaType::DOCKER_LIST } else { MediaType::INDEX }
}

#[cfg(test)]
mod tests {
    use wythe_store::digest::Digest;

    use super::*;

    fn manifest_of(layer: MediaType) -> Manifest {
        let descriptor = |media_type| Descriptor::new(media_type, Digest::of(b""), 0);
        Manifest::new(descriptor(MediaType::CONFIG), vec![descriptor(layer)])
    }

    #[test]
    fn docker_has_names_for_gzip_and_for_plain_layers_only() {
        let types =
            |layer| renamed(&manifest_of(layer)).map(|found| found.layers[0].media_type.clone());
        assert_eq!(types(MediaType::LAYER_GZIP), Some(MediaType::DOCKER_LAYER_GZIP));
        assert_eq!(types(MediaType::LAYER), Some(MediaType::DOCKER_LAYER));
        assert_eq!(types(MediaType::LAYER_ZSTD), None);
    }

    #[test]
    fn what_is_annotated_keeps_the_names_of_oci() {
        let mut manifest = manifest_of(MediaType::LAYER);
        assert_eq!(renamed(&manifest).unwrap().config.media_type, MediaType::DOCKER_CONFIG);
        manifest.annotations.insert("a".to_owned(), "b".to_owned());
        assert_eq!(renamed(&manifest), None);
    }
}
