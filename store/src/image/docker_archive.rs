//! What `docker save` and `podman save` write, as documents of a layout.

use std::io;

use serde::Deserialize;

use crate::digest::DiffId;
use crate::image::load::Content;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document as _, DocumentError, MAX_DOCUMENT};
use crate::oci::index::Index;
use crate::oci::json::{self, JsonError};
use crate::oci::layout::write::named;
use crate::oci::manifest::Manifest;
use crate::oci::media_type::MediaType;
use crate::oci::reference::Reference;

/// An archive of Docker's makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DockerArchiveError {
    /// Its list of images is not what Docker writes.
    #[error("manifest.json: {0}")]
    List(#[from] JsonError),
    /// A configuration is invalid.
    #[error(transparent)]
    Config(#[from] DocumentError),
    /// An image lists other layers than its configuration.
    #[error("{config} names {expected} layers, manifest.json {found}")]
    Layers {
        /// The configuration.
        config: String,
        /// How many it names.
        expected: usize,
        /// How many the list names.
        found: usize,
    },
    /// A layer is not the one its image is made of.
    #[error("{name} is not the layer {expected}")]
    Layer {
        /// The member.
        name: String,
        /// What the configuration says.
        expected: DiffId,
    },
    /// A member is missing or cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default, deserialize_with = "json::null_as_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "json::null_as_default")]
    layers: Vec<String>,
}

/// The index of a layout with the images that `manifest.json` lists; what it reaches is in
/// `content` then.
pub(crate) fn as_index(
    list: &[u8],
    content: &mut Content<'_>,
) -> Result<Index, DockerArchiveError> {
    let entries: Vec<Entry> = json::parse(list, MAX_DOCUMENT)?;
    let mut images = Vec::new();
    for entry in &entries {
        let manifest = manifest(entry, content)?.to_bytes();
        content.write(&manifest)?;
        let image = Descriptor::of(MediaType::MANIFEST, &manifest);
        let names: Vec<Reference> =
            entry.repo_tags.iter().filter_map(|tag| tag.parse().ok()).collect();
        if names.is_empty() {
            images.push(image);
        } else {
            images.extend(names.iter().map(|name| named(image.clone(), name, None)));
        }
    }
    Ok(Index::new(images))
}

fn manifest(entry: &Entry, content: &mut Content<'_>) -> Result<Manifest, DockerArchiveError> {
    let bytes = content.read(&entry.config)?;
    let config = ImageConfig::parse(&bytes)?;
    content.write(&bytes)?;
    let diff_ids = &config.rootfs.diff_ids;
    let (expected, found) = (diff_ids.len(), entry.layers.len());
    if expected != found {
        let config = entry.config.clone();
        return Err(DockerArchiveError::Layers { config, expected, found });
    }
    let pairs = entry.layers.iter().zip(diff_ids);
    let layers = pairs.map(|(name, diff_id)| layer(name, diff_id, content));
    let layers = layers.collect::<Result<_, _>>()?;
    Ok(Manifest::new(Descriptor::of(MediaType::CONFIG, &bytes), layers))
}

/// Layers are plain tar here, but for some tools that leave them as they were. What a compressed
/// one unpacks to shows when it is unpacked.
fn layer(
    name: &str,
    diff_id: &DiffId,
    content: &mut Content<'_>,
) -> Result<Descriptor, DockerArchiveError> {
    let (digest, size, head) = content.keep(name)?;
    let media_type = match head.as_slice() {
        [0x1f, 0x8b, ..] => MediaType::LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd] => MediaType::LAYER_ZSTD,
        _ if digest == diff_id.0 => MediaType::LAYER,
        _ => {
            return Err(DockerArchiveError::Layer { name: name.to_owned(), expected: *diff_id });
        }
    };
    Ok(Descriptor::new(media_type, digest, size))
}
