//! The images a store holds, as values.

use std::io::{self, Read};

use crate::error::ReadError;
use crate::layer::blob_view;
use crate::oci::config::ImageConfig;
use crate::oci::content::Content;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, MAX_DOCUMENT, RawDocument};
use crate::oci::index::Index;
use crate::oci::manifest::Manifest;
use crate::oci::platform::Platform;
use crate::oci::reference::Reference;
use crate::store::Store;

/// An image in the store, for one platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredImage {
    /// What the name stands for: an index, or the manifest.
    pub root: Descriptor,
    /// The manifest.
    pub manifest: RawDocument<Manifest>,
    /// The configuration.
    pub config: RawDocument<ImageConfig>,
}

/// An image that cannot be read from the store.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct OpenImageError {
    /// The name that was asked for.
    pub name: String,
    /// What is wrong.
    #[source]
    pub problem: OpenImageProblem,
}

/// Why an image cannot be read from the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenImageProblem {
    /// A document that something points at is not there.
    #[error("the store lacks the document {}", .0.digest)]
    Missing(Box<Descriptor>),
    /// The index has nothing for the platform.
    #[error("no image for {0}")]
    NoPlatform(Platform),
    /// A document is damaged.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The name under which the store keeps a reference.
pub fn ref_name(reference: &Reference) -> String {
    reference.canonical()
}

/// The image that `reference` names; `None` where the store has no such name.
///
/// # Errors
///
/// If the name is there and what it stands for cannot be read.
pub fn open_image(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<StoredImage>, OpenImageError> {
    let fail = |problem| OpenImageError { name: reference.to_string(), problem };
    let root = store.find_ref(&ref_name(reference)).map_err(|error| fail(error.into()))?;
    root.map(|root| read_image(store, root, platform).map_err(fail)).transpose()
}

/// The image behind a descriptor.
///
/// # Errors
///
/// If a document is missing or damaged, or an index has nothing for `platform`.
pub fn read_image(
    store: &Store,
    root: Descriptor,
    platform: &Platform,
) -> Result<StoredImage, OpenImageProblem> {
    let mut at = root.clone();
    if at.media_type.is_index() {
        let index: RawDocument<Index> = read(store, &at)?;
        let chosen = index.value().select(platform).cloned();
        at = chosen.ok_or_else(|| OpenImageProblem::NoPlatform(platform.clone()))?;
    }
    let manifest: RawDocument<Manifest> = read(store, &at)?;
    let config = read(store, &manifest.value().config)?;
    Ok(StoredImage { root, manifest, config })
}

fn read<T: Document>(
    store: &Store,
    descriptor: &Descriptor,
) -> Result<RawDocument<T>, OpenImageProblem> {
    let found = store.document(&descriptor.digest)?;
    let bytes = found.ok_or_else(|| OpenImageProblem::Missing(Box::new(descriptor.clone())))?;
    Ok(RawDocument::read(descriptor, bytes.to_vec())?)
}

/// What a store holds, for exporters and pushes: documents, blobs, and layers as plain tar.
#[derive(Clone, Debug)]
pub struct StoredContent<'a>(pub &'a Store);

impl Content for StoredContent<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let digest = &descriptor.digest;
        if descriptor.size <= MAX_DOCUMENT as u64
            && let Some(bytes) = self.0.document(digest).map_err(io::Error::other)?
        {
            return Ok(Box::new(io::Cursor::new(bytes.to_vec())));
        }
        match blob_view::open(self.0, digest).map_err(io::Error::other)? {
            Some(blob) => Ok(Box::new(blob.reader)),
            None => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("the store lacks {digest}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{DiffId, Digest};
    use crate::image::resolve::resolve;
    use crate::image::save::{SaveError, fetch_blob, save_documents};
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::oci::content::MemoryContent;
    use crate::oci::layout::write::{named, write};
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::media_type::MediaType;
    use crate::store::OpenOptions;

    fn source() -> (tempfile::TempDir, Layout, Descriptor) {
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids.push(DiffId(Digest::of(b"layer")));
        let config = RawDocument::new(config);
        let layer = Descriptor::of(MediaType::LAYER, b"layer");
        let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer]));
        let mut content = MemoryContent::default();
        for bytes in [config.bytes(), manifest.bytes(), b"layer"] {
            content.insert(bytes.to_vec());
        }
        let directory = tempfile::tempdir().unwrap();
        let entry = named(manifest.descriptor(), &"app".parse().unwrap(), None);
        write(directory.path(), &content, &[entry]).unwrap();
        let layout = Layout::open(directory.path(), Selector::Default).unwrap();
        (directory, layout, manifest.descriptor())
    }

    #[test]
    fn a_pulled_image_leaves_byte_for_byte() {
        let (_layout_directory, layout, root) = source();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let (reference, platform) = ("app".parse().unwrap(), Platform::linux("amd64"));
        assert_eq!(open_image(&store, &reference, &platform).unwrap(), None);

        let image = resolve(&layout, &reference, &platform).unwrap();
        save_documents(&lease, &image).unwrap();
        for layer in &image.layers {
            fetch_blob(&lease, &layout, &reference, &layer.descriptor).unwrap();
        }
        let mut batch = Batch::new();
        batch.set_ref(&ref_name(&reference), &image.root);
        lease.commit(batch, Durability::Durable).unwrap();

        let stored = open_image(&store, &reference, &platform).unwrap().unwrap();
        assert_eq!(stored.manifest, image.manifest);
        let out = tempfile::tempdir().unwrap();
        write(out.path(), &StoredContent(&store), std::slice::from_ref(&root)).unwrap();
        let again = Layout::open(out.path(), Selector::Default).unwrap();
        assert_eq!(resolve(&again, &reference, &platform).unwrap(), image);
    }

    #[test]
    fn a_blob_that_is_not_what_was_announced_is_not_kept() {
        let (layout_directory, layout, _) = source();
        let layer = Descriptor::of(MediaType::LAYER, b"layer");
        let path = layout_directory.path().join("blobs/sha256").join(layer.digest.hex());
        std::fs::write(path, b"other").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let fetched = fetch_blob(&lease, &layout, &"app".parse().unwrap(), &layer);
        assert!(matches!(fetched, Err(SaveError::Blob { .. })), "{fetched:?}");
        assert!(store.foreign_blob(&layer.digest).unwrap().is_none());
    }
}
