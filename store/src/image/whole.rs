//! Everything behind a descriptor from a source into the store: all platforms, and what is stated
//! about them.

use std::collections::BTreeSet;
use std::io::Read;

use crate::digest::Digest;

use crate::image::save::SaveError;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, DocumentProblem, MAX_DOCUMENT, RawDocument, verify};
use crate::oci::index::{Index, MAX_DEPTH};
use crate::oci::manifest::Manifest;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError, SourceErrorClass, SourceProblem};

/// Where everything behind a descriptor is to be had.
#[derive(Clone, Copy)]
pub struct Whole<'a> {
    /// The lease that keeps what comes.
    pub lease: &'a Lease,
    /// Where from.
    pub source: &'a dyn ImageSource,
    /// Which repository of it.
    pub reference: &'a Reference,
}

/// What is behind a descriptor, besides its documents.
#[derive(Debug, Default)]
pub struct Parts {
    /// Layers, and whatever else is no document. The store may lack them.
    pub blobs: Vec<Part>,
    /// What neither the store nor the source has.
    pub lacking: Vec<Lacking>,
}

/// A blob of an image or statement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// The blob.
    pub blob: Descriptor,
    /// What it is a part of, as the index lists it.
    pub of: Descriptor,
}

/// An image or statement that is not to be had in full.
#[derive(Debug)]
pub struct Lacking {
    /// What it is, as the index lists it.
    pub of: Descriptor,
    /// What the source said.
    pub error: SourceError,
}

impl Whole<'_> {
    /// What the reference names now. It is in the store then, and the only thing that is.
    ///
    /// # Errors
    ///
    /// If the source does not hand it over, or the store cannot be written.
    pub fn root(&self) -> Result<Descriptor, SaveError> {
        let (root, bytes) = self.source.manifest(self.reference)?;
        if let Some(expected) = self.reference.digest().filter(|pinned| *pinned != root.digest) {
            return Err(self.fail(DocumentProblem::Digest { found: root.digest, expected }).into());
        }
        self.keep(&root, &bytes)?;
        Ok(root)
    }

    /// Stores every document behind `root` that the store lacks, and says what else there is.
    ///
    /// # Errors
    ///
    /// If the source fails otherwise than by not having something, a document is not what points at
    /// it, or the store fails.
    pub fn documents(&self, root: &Descriptor) -> Result<Parts, SaveError> {
        let mut walk = Walk { whole: *self, seen: BTreeSet::new(), found: Parts::default() };
        walk.visit(root, root, 0)?;
        Ok(walk.found)
    }

    fn fail(&self, problem: impl Into<SourceProblem>) -> SourceError {
        SourceError::new(self.reference, problem)
    }

    fn keep(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), SaveError> {
        verify(descriptor, bytes).map_err(|problem| self.fail(problem))?;
        self.lease.put_document(bytes)?;
        Ok(())
    }

    fn stored(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, SaveError> {
        let found = self.lease.store().document(&descriptor.digest)?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, SaveError> {
        if let Some(bytes) = self.stored(descriptor)? {
            return Ok(bytes);
        }
        let pinned = self.reference.clone().with_digest(descriptor.digest);
        let (_, bytes) = self.source.manifest(&pinned)?;
        self.keep(descriptor, &bytes)?;
        Ok(bytes)
    }

    fn configuration(&self, descriptor: &Descriptor) -> Result<(), SaveError> {
        if self.stored(descriptor)?.is_some() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let blob = self.source.blob(self.reference, descriptor)?;
        blob.take(descriptor.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| self.fail(error))?;
        self.keep(descriptor, &bytes)
    }
}

impl std::fmt::Debug for Whole<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Whole").field("reference", &self.reference).finish_non_exhaustive()
    }
}

struct Walk<'a> {
    whole: Whole<'a>,
    seen: BTreeSet<Digest>,
    found: Parts,
}

impl Walk<'_> {
    /// Visits what `of` consists of, or is.
    fn visit(&mut self, at: &Descriptor, of: &Descriptor, depth: usize) -> Result<(), SaveError> {
        if !self.seen.insert(at.digest) {
            return Ok(());
        }
        if at.media_type.is_index() && depth == MAX_DEPTH {
            let detail = "indexes without end".to_owned();
            return Err(self.whole.fail(SourceProblem::Protocol { detail }).into());
        }
        if at.media_type.is_index() {
            let Some(index) = self.read::<Index>(at, of)? else { return Ok(()) };
            index.manifests.iter().try_for_each(|child| self.visit(child, child, depth + 1))
        } else if at.media_type.is_manifest() {
            let Some(manifest) = self.read::<Manifest>(at, of)? else { return Ok(()) };
            self.manifest(manifest, of)
        } else {
            self.found.blobs.push(Part { blob: at.clone(), of: of.clone() });
            Ok(())
        }
    }

    fn manifest(&mut self, manifest: Manifest, of: &Descriptor) -> Result<(), SaveError> {
        let part = |blob| Part { blob, of: of.clone() };
        if manifest.config.size <= MAX_DOCUMENT as u64 {
            let stored = self.whole.configuration(&manifest.config);
            self.had(stored, of)?;
        } else {
            self.found.blobs.push(part(manifest.config));
        }
        self.found.blobs.extend(manifest.layers.into_iter().map(part));
        Ok(())
    }

    fn read<T: Document>(
        &mut self,
        at: &Descriptor,
        of: &Descriptor,
    ) -> Result<Option<T>, SaveError> {
        let bytes = self.whole.manifest(at);
        let Some(bytes) = self.had(bytes, of)? else { return Ok(None) };
        let document = RawDocument::<T>::read(at, bytes).map_err(|error| self.whole.fail(error))?;
        Ok(Some(document.into_parts().1))
    }

    /// What was handed over; nothing, and a note, where the source does not have it.
    fn had<T>(
        &mut self,
        outcome: Result<T, SaveError>,
        of: &Descriptor,
    ) -> Result<Option<T>, SaveError> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(SaveError::Source(error)) if error.class() == SourceErrorClass::NotFound => {
                self.found.lacking.push(Lacking { of: of.clone(), error });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::content::MemoryContent;
    use crate::oci::layout::write::write;
    use crate::oci::layout::{Layout, Selector};
    use crate::oci::media_type::MediaType;
    use crate::oci::platform::Platform;
    use crate::store::{OpenOptions, Store};

    /// A layout of an index with an image, a statement that is an artifact, and an index in it.
    fn source() -> (tempfile::TempDir, Layout, Vec<Descriptor>) {
        let mut content = MemoryContent::default();
        let mut put = |kind: MediaType, bytes: &[u8]| {
            content.insert(bytes.to_vec());
            Descriptor::of(kind, bytes)
        };
        let mut entry = |kind: MediaType, name: &[u8]| {
            let (config, layer) = (put(kind, b"{}"), put(MediaType::LAYER, name));
            put(MediaType::MANIFEST, &Manifest::new(config, vec![layer]).to_bytes())
        };
        let mut image = entry(MediaType::CONFIG, b"amd64");
        image.platform = Some(Platform::linux("amd64"));
        let artifact = entry(MediaType::new("application/vnd.oci.empty.v1+json"), b"statement");
        let nested = entry(MediaType::CONFIG, b"nested");
        let inner = put(MediaType::INDEX, &Index::new(vec![nested.clone()]).to_bytes());
        let entries = vec![image, artifact, inner];
        let root = put(MediaType::INDEX, &Index::new(entries.clone()).to_bytes());
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &content, &[root]).unwrap();
        let layout = Layout::open(directory.path(), Selector::Default).unwrap();
        (directory, layout, [entries, vec![nested]].concat())
    }

    fn lease() -> (tempfile::TempDir, Lease) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        (directory, store.lease().unwrap())
    }

    #[test]
    fn images_statements_and_inner_indexes_come_with_an_index() {
        let ((_source, layout, entries), (_folder, lease)) = (source(), lease());
        let reference = "app".parse().unwrap();
        let whole = Whole { lease: &lease, source: &layout, reference: &reference };
        let root = whole.root().unwrap();
        let parts = whole.documents(&root).unwrap();
        assert!(parts.lacking.is_empty());
        let blobs: Vec<Digest> = parts.blobs.iter().map(|part| part.blob.digest).collect();
        assert_eq!(blobs, [&b"amd64"[..], b"statement", b"nested"].map(Digest::of));
        for entry in &entries {
            assert!(lease.store().document(&entry.digest).unwrap().is_some());
        }
    }

    #[test]
    fn what_the_source_does_not_have_is_told_by_its_entry() {
        let ((folder, layout, entries), (_folder, lease)) = (source(), lease());
        let path = folder.path().join("blobs/sha256").join(entries[0].digest.hex());
        std::fs::remove_file(path).unwrap();
        let reference = "app".parse().unwrap();
        let whole = Whole { lease: &lease, source: &layout, reference: &reference };
        let parts = whole.documents(&whole.root().unwrap()).unwrap();
        let lacking: Vec<&Descriptor> = parts.lacking.iter().map(|lacking| &lacking.of).collect();
        assert_eq!(lacking, [&entries[0]]);
    }

    #[test]
    fn a_document_that_is_not_what_points_at_it_is_refused() {
        let ((folder, layout, entries), (_folder, lease)) = (source(), lease());
        let path = folder.path().join("blobs/sha256").join(entries[0].digest.hex());
        std::fs::write(path, b"{}").unwrap();
        let reference = "app".parse().unwrap();
        let whole = Whole { lease: &lease, source: &layout, reference: &reference };
        assert!(whole.documents(&whole.root().unwrap()).is_err());
    }
}
