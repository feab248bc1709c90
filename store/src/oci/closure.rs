//! Everything an image consists of.

use std::collections::BTreeSet;
use std::io;

use crate::digest::Digest;
use crate::oci::content::{Content, read_document};
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, RawDocument};
use crate::oci::index::Index;
use crate::oci::manifest::Manifest;

/// Indexes of indexes are legal; more levels than this only make a reader loop.
pub(crate) const MAX_DEPTH: usize = 4;

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
        if depth == MAX_DEPTH {
            return Err(io::Error::other("indexes nested too deeply"));
        }
        if descriptor.media_type.is_index() {
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
