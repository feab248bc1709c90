//! The images a store holds, as values.

use std::io::{self, Read, Write};

use crate::digest::Digest;
use crate::error::ReadError;
use crate::image::select::{Kind, Search, Selected};
use crate::layer::blob_view::{self, BlobReader};
use crate::oci::config::ImageConfig;
use crate::oci::content::{Content, copy_checked, copy_verified};
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentError, MAX_DOCUMENT, RawDocument};
use crate::oci::index::{Index, MAX_DEPTH};
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
    /// The name has a digest, and the store has it for something else.
    #[error("the store has it for {found}, which is not what its digest says")]
    NotAsPinned {
        /// What it stands for.
        found: Digest,
    },
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

/// What `reference` stands for; `None` where the store has no such name.
///
/// Whatever was written under it: a reference with a digest only ever stands for what has that
/// digest.
///
/// # Errors
///
/// [`OpenImageProblem::NotAsPinned`] if it is recorded for something else; or if the store cannot be
/// read.
pub fn find_root(
    store: &Store,
    reference: &Reference,
) -> Result<Option<Descriptor>, OpenImageProblem> {
    let root = store.find_ref(&ref_name(reference))?;
    match (root, reference.digest()) {
        (Some(root), Some(pinned)) if root.digest != pinned => {
            Err(OpenImageProblem::NotAsPinned { found: root.digest })
        }
        (root, _) => Ok(root),
    }
}

/// The image that `reference` names; `None` where the store has no such name.
///
/// # Errors
///
/// As [`find_root`], or if what it stands for cannot be read.
pub fn open_image(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<StoredImage>, OpenImageError> {
    let fail = |problem| OpenImageError { name: reference.to_string(), problem };
    let root = find_root(store, reference).map_err(fail)?;
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
    let read_bytes = |at: &Descriptor, _: Kind| bytes(store, at);
    let manifest = match (Search { platform, read: &read_bytes }).run(&root)? {
        Selected::Image(_, manifest) => *manifest,
        Selected::Nothing(_) | Selected::Other(_) | Selected::TooDeep => {
            return Err(OpenImageProblem::NoPlatform(platform.clone()));
        }
    };
    let config = read(store, &manifest.value().config)?;
    Ok(StoredImage { root, manifest, config })
}

/// The image for `platform`; where an index has none for it, or the store lacks that one, the first
/// image of the index that the store has.
///
/// # Errors
///
/// As [`read_image`], if there is none at all.
pub fn read_any_image(
    store: &Store,
    root: &Descriptor,
    platform: &Platform,
) -> Result<StoredImage, OpenImageProblem> {
    let wanted = read_image(store, root.clone(), platform);
    let absent =
        matches!(wanted, Err(OpenImageProblem::NoPlatform(_) | OpenImageProblem::Missing(_)));
    if !absent || !root.media_type.is_index() {
        return wanted;
    }
    let Ok(index) = read::<Index>(store, root) else { return wanted };
    let here = |entry: &Descriptor| read_any_image(store, entry, platform).ok();
    let other =
        index.value().images().filter(|entry| entry.media_type.is_manifest()).find_map(here);
    other.map_or(wanted, |image| Ok(StoredImage { root: root.clone(), ..image }))
}

/// All images behind a descriptor that the store has.
pub(crate) fn all_images(store: &Store, root: &Descriptor) -> Vec<StoredImage> {
    let mut found = Vec::new();
    let mut waiting = vec![(root.clone(), 0)];
    while let Some((at, depth)) = waiting.pop() {
        if !at.media_type.is_index() {
            found.extend(read_image(store, at, &Platform::linux("amd64")));
        } else if depth < MAX_DEPTH
            && let Ok(index) = read::<Index>(store, &at)
        {
            waiting.extend(index.value().images().map(|entry| (entry.clone(), depth + 1)));
        }
    }
    found
}

fn read<T: Document>(
    store: &Store,
    descriptor: &Descriptor,
) -> Result<RawDocument<T>, OpenImageProblem> {
    Ok(RawDocument::read(descriptor, bytes(store, descriptor)?)?)
}

fn bytes(store: &Store, descriptor: &Descriptor) -> Result<Vec<u8>, OpenImageProblem> {
    let found = store.document(&descriptor.digest)?;
    let bytes = found.ok_or_else(|| OpenImageProblem::Missing(Box::new(descriptor.clone())))?;
    Ok(bytes.to_vec())
}

/// What a store holds, for exporters and pushes: documents, blobs, and layers as plain tar.
#[derive(Clone, Debug)]
pub struct StoredContent<'a>(pub &'a Store);

impl Content for StoredContent<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.reader(descriptor)?))
    }

    /// A blob that was hashed when it was put together is not hashed again: each of its parts is
    /// checked when it is read, as is the list of them. Neither is one that is hashed as it is read.
    fn copy(&self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        match self.reader(descriptor)? {
            BlobReader::Recipe(stream) => stream.copy(descriptor, to),
            mut foreign @ BlobReader::Foreign(_) => copy_checked(&mut foreign, to, descriptor),
            mut made @ (BlobReader::Document(_) | BlobReader::Tar(_) | BlobReader::Unpacked(_)) => {
                copy_verified(&mut made, to, descriptor)
            }
        }
    }
}

impl StoredContent<'_> {
    fn reader(&self, descriptor: &Descriptor) -> io::Result<BlobReader> {
        let digest = &descriptor.digest;
        if descriptor.size <= MAX_DOCUMENT as u64
            && let Some(bytes) = self.0.document(digest).map_err(io::Error::other)?
        {
            return Ok(BlobReader::Document(io::Cursor::new(bytes)));
        }
        let blob = blob_view::open(self.0, digest).map_err(io::Error::other)?;
        let lacks = || io::Error::new(io::ErrorKind::NotFound, format!("the store lacks {digest}"));
        blob.map(|blob| blob.reader).ok_or_else(lacks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DiffId;
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
    fn a_name_with_a_digest_stands_for_nothing_else_whatever_is_recorded() {
        let (_layout_directory, layout, root) = source();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let platform = Platform::linux("amd64");
        let image = resolve(&layout, &"app".parse().unwrap(), &platform).unwrap();
        save_documents(&lease, &image).unwrap();
        let names = ["app", "app:1"].map(|name| name.parse::<Reference>().unwrap());
        for name in names {
            let (right, forged) = (root.digest, Digest::of(b"another"));
            for (digest, is_right) in [(right, true), (forged, false)] {
                let name = name.clone().with_digest(digest);
                let mut batch = Batch::new();
                batch.set_ref(&ref_name(&name), &root);
                lease.commit(batch, Durability::Durable).unwrap();
                let found = open_image(&store, &name, &platform);
                assert_eq!(found.is_ok(), is_right, "{name}");
            }
        }
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
