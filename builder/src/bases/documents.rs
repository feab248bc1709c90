//! Documents of base images that a cache of other machines has: what a digest names is the same wherever it comes
//! from, and a cache is asked anyway.

use std::io::{Cursor, Read};

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::Document as _;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};
use wythe_store::portable_document::PortableDocument;

use crate::caches::Caches;

/// A source of images whose documents are taken from caches where these have them.
pub(super) struct WithDocuments<'a> {
    pub(super) images: &'a dyn ImageSource,
    pub(super) caches: &'a Caches,
}

impl ImageSource for WithDocuments<'_> {
    /// What a tag stands for only its registry knows.
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        let known = reference.digest().and_then(|digest| self.caches.document(&digest));
        match known.filter(is_what_it_is_called) {
            Some(document) => Ok((document.descriptor.clone(), document.bytes().to_vec())),
            None => self.images.manifest(reference),
        }
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        match self.caches.document(&descriptor.digest) {
            Some(document) => Ok(Box::new(Cursor::new(document.bytes().to_vec()))),
            None => self.images.blob(reference, descriptor),
        }
    }
}

/// Whether a manifest or an index is of the type that a cache says: its bytes are held to their digest, which does not
/// name that.
fn is_what_it_is_called(document: &PortableDocument) -> bool {
    let (media_type, bytes) = (&document.descriptor.media_type, document.bytes());
    let index = || Index::parse(bytes).is_ok_and(|index| index.is_called(media_type));
    let manifest = || Manifest::parse(bytes).is_ok_and(|manifest| manifest.is_called(media_type));
    if media_type.is_index() { index() } else { manifest() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::Range;
    use std::sync::{Arc, Mutex};

    use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError};
    use wythe_store::digest::Digest;
    use wythe_store::id::CacheKey;
    use wythe_store::oci::media_type::MediaType;
    use wythe_store::patience::Patience;
    use wythe_store::timestamp::Timestamp;

    use super::*;
    use crate::caches::{CacheSource, LOOKUP_TIME};

    /// A cache that knows these records.
    struct Records(BTreeMap<CacheKey, Vec<u8>>);

    impl CacheBackend for Records {
        fn name(&self) -> &'static str {
            "records"
        }

        fn repository(&self) -> Option<&Reference> {
            None
        }

        fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
            Ok(keys.iter().map(|key| self.0.get(key).cloned()).collect())
        }

        fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
            Ok(blobs.to_vec())
        }

        fn unasked(&self) -> u64 {
            0
        }

        fn blob(&self, _: &Digest, _: Range<u64>) -> Result<Box<dyn Read + Send + '_>, CacheError> {
            Ok(Box::new(std::io::empty()))
        }

        fn put_blob(&self, _: &CacheBlob<'_>) -> Result<(), CacheError> {
            Ok(())
        }

        fn put_records(&self, _: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
            Ok(())
        }

        fn discredit(&self, _: &Digest) {}

        fn finish(&self) -> Result<(), CacheError> {
            Ok(())
        }

        fn complaints(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// A registry that notes what it is asked for, and answers everything with nothing.
    #[derive(Default)]
    struct Asked(Mutex<Vec<String>>);

    impl ImageSource for Asked {
        fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
            self.0.lock().unwrap().push(reference.to_string());
            Ok((Descriptor::of(MediaType::MANIFEST, b""), Vec::new()))
        }

        fn blob(
            &self,
            _: &Reference,
            descriptor: &Descriptor,
        ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
            self.0.lock().unwrap().push(descriptor.digest.to_string());
            Ok(Box::new(std::io::empty()))
        }
    }

    #[test]
    fn a_cache_is_asked_for_what_has_a_digest_and_believed_if_its_type_is_right() {
        let manifest = Manifest::new(Descriptor::of(MediaType::CONFIG, b"{}"), Vec::new());
        let (manifest, index) = (manifest.to_bytes(), Index::new(Vec::new()).to_bytes());
        let kept = [(MediaType::MANIFEST, &manifest), (MediaType::MANIFEST, &index)]
            .map(|(kind, bytes)| PortableDocument::new(kind, bytes, Timestamp::default()).unwrap());
        let config = PortableDocument::new(MediaType::CONFIG, b"{}", Timestamp::default()).unwrap();
        let all = kept.iter().chain([&config]).map(|one| (one.key(), one.encode()));
        let (backend, patience) = (Arc::new(Records(all.collect())), Patience::of(LOOKUP_TIME));
        let source = CacheSource { backend, patience };
        let (caches, asked) = (Caches::new(vec![source]), Asked::default());
        let images = WithDocuments { images: &asked, caches: &caches };
        let tag: Reference = "r.example/app:1".parse().unwrap();
        let pinned = |bytes: &[u8]| tag.clone().with_digest(Digest::of(bytes));
        assert_eq!(images.manifest(&pinned(&manifest)).unwrap().1, manifest);
        let mut bytes = Vec::new();
        images.blob(&tag, &config.descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!((&*bytes, asked.0.lock().unwrap().len()), (&b"{}"[..], 0));
        // What a tag stands for, an index that is called a manifest, and what no cache has.
        let unknown = Descriptor::of(MediaType::CONFIG, b"unknown");
        images.manifest(&tag).unwrap();
        images.manifest(&pinned(&index)).unwrap();
        drop(images.blob(&tag, &unknown).unwrap());
        let expected = [tag.to_string(), pinned(&index).to_string(), unknown.digest.to_string()];
        assert_eq!(*asked.0.lock().unwrap(), expected);
    }
}
