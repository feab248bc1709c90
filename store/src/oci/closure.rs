//! Everything an image consists of.

use std::collections::BTreeSet;
use std::io;

use crate::digest::Digest;
use crate::oci::content::{Content, read_document};
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, RawDocument};
use crate::oci::index::{Index, MAX_DEPTH};
use crate::oci::manifest::Manifest;

/// What a root reaches, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Closure {
    /// Configurations and layers.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes with their bytes, children before parents.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
}

impl Closure {
    /// Walks from `roots` through documents that `content` holds.
    ///
    /// # Errors
    ///
    /// If a manifest or index cannot be read, is invalid, or nests too deeply.
    pub fn of(content: &dyn Content, roots: &[Descriptor]) -> io::Result<Self> {
        let mut walk = Walk { content, seen: BTreeSet::new(), found: Self::default() };
        for root in roots {
            walk.visit(root, 0)?;
        }
        Ok(walk.found)
    }

    /// What is handed on: all but layers that say where they are published, and are not to be had
    /// from anywhere else.
    #[must_use]
    pub fn without_foreign(mut self) -> Self {
        self.blobs.retain(|blob| !blob.media_type.is_foreign() || blob.urls.is_empty());
        self
    }
}

struct Walk<'a> {
    content: &'a dyn Content,
    seen: BTreeSet<Digest>,
    found: Closure,
}

impl Walk<'_> {
    fn visit(&mut self, descriptor: &Descriptor, depth: usize) -> io::Result<()> {
        if !self.seen.insert(descriptor.digest) {
            return Ok(());
        }
        if descriptor.media_type.is_index() {
            if depth == MAX_DEPTH {
                return Err(io::Error::other("indexes nested too deeply"));
            }
            let bytes = self.visit_children::<Index>(descriptor, depth, |index| index.manifests)?;
            self.found.manifests.push((descriptor.clone(), bytes));
        } else if descriptor.media_type.is_manifest() {
            let bytes = self.visit_children::<Manifest>(descriptor, depth, children)?;
            self.found.manifests.push((descriptor.clone(), bytes));
        } else {
            self.found.blobs.push(descriptor.clone());
        }
        Ok(())
    }

    fn visit_children<T: Document>(
        &mut self,
        descriptor: &Descriptor,
        depth: usize,
        children: impl FnOnce(T) -> Vec<Descriptor>,
    ) -> io::Result<Vec<u8>> {
        let bytes = read_document(self.content, descriptor)?;
        let document = RawDocument::<T>::read(descriptor, bytes).map_err(io::Error::other)?;
        let (bytes, value) = document.into_parts();
        for child in children(value) {
            self.visit(&child, depth + 1)?;
        }
        Ok(bytes)
    }
}

fn children(manifest: Manifest) -> Vec<Descriptor> {
    std::iter::once(manifest.config).chain(manifest.layers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::content::MemoryContent;
    use crate::oci::media_type::MediaType;

    #[test]
    fn a_layer_that_is_published_elsewhere_is_not_handed_on() {
        let kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let plain = Descriptor::of(MediaType::new(kind), b"plain");
        let mut foreign = Descriptor::of(MediaType::new(kind), b"foreign");
        foreign.urls.push("https://e.x/layer".to_owned());
        let config = Descriptor::of(MediaType::CONFIG, b"{}");
        let layers = vec![plain.clone(), foreign];
        let manifest = RawDocument::new(Manifest::new(config.clone(), layers));
        let mut content = MemoryContent::default();
        content.insert(manifest.bytes().to_vec());
        let closure = Closure::of(&content, &[manifest.descriptor()]).unwrap();
        assert_eq!(closure.blobs.len(), 3);
        assert_eq!(closure.without_foreign().blobs, [config, plain]);
    }
}
