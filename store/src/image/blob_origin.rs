//! Layers that are to be had elsewhere while nobody has needed their bytes.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cache_backend::{CacheBackend, has_other};
use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::id::ContentId;
use crate::image::save::{SaveError, keep_blob};
use crate::journal::Durability;
use crate::journal::batch::Batch;
use crate::layer::blob_view;
use crate::layer::import::{ImportError, Keep, announced, read_layer_within};
use crate::layer::origin::recorded_origins;
use crate::layers::LayerBlob;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::layout::Layout;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError, SourceErrorClass, SourceProblem};
use crate::store::Store;
use crate::tree::encode::content_id;

/// The blob of a layer, and where it comes from.
#[derive(Clone, Debug)]
pub struct BlobOrigin {
    /// The blob.
    pub descriptor: Descriptor,
    /// Which image it is of. Its registry is asked last, after those that are known to have the blob.
    pub reference: Reference,
    /// Repositories of registries that are known to hold it.
    pub known: Vec<Reference>,
    /// The layout it lies in, where it does not come from a registry.
    pub layout: Option<Arc<Layout>>,
    /// The cache that it is asked of, where it is the layer of a step that another machine ran.
    pub cache: Option<CachedLayer>,
}

/// A layer that a cache has.
#[derive(Clone)]
pub struct CachedLayer {
    /// The cache.
    pub backend: Arc<dyn CacheBackend>,
    /// What the blob uncompresses to.
    pub diff_id: DiffId,
    /// What its files are said to be: keys of later steps rely on it.
    pub content: ContentId,
    /// Set once the cache did not hand over what it had announced.
    pub lost: Arc<AtomicBool>,
}

impl fmt::Debug for CachedLayer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("CachedLayer");
        out.field("backend", &self.backend.name()).field("lost", &self.lost).finish_non_exhaustive()
    }
}

/// What is to blame where a layer of a cache is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The bytes are those of the blob, and not what the record says of it.
    Record,
    /// The bytes, or the way on which they came.
    Unknown,
    /// Nothing came.
    Way,
}

impl BlobOrigin {
    /// Of an image that a registry has under this name.
    pub fn of_registry(descriptor: Descriptor, reference: Reference) -> Self {
        Self { descriptor, known: vec![reference.clone()], reference, layout: None, cache: None }
    }

    /// Of an image that a layout has.
    pub fn of_layout(descriptor: Descriptor, reference: Reference, layout: Arc<Layout>) -> Self {
        Self { descriptor, reference, known: Vec::new(), layout: Some(layout), cache: None }
    }

    /// Of an image that the store has under this name, which need not be its name at any registry: what
    /// a build leaves at the registry of its base is recorded to be there.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn of_store(
        store: &Store,
        descriptor: Descriptor,
        reference: Reference,
    ) -> Result<Self, ReadError> {
        let recorded = recorded_origins(store, &descriptor.digest)?;
        let known = recorded.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(Self { descriptor, reference, known, layout: None, cache: None })
    }

    /// Of the layer of a step that a cache knows. `reference` stands for it in messages.
    pub fn of_cache(descriptor: Descriptor, reference: Reference, cache: CachedLayer) -> Self {
        let known = cache.backend.repository().cloned().into_iter().collect();
        Self { descriptor, reference, known, layout: None, cache: Some(cache) }
    }

    /// A reader of the blob from the first place that has it; `images` stands for all registries.
    ///
    /// # Errors
    ///
    /// What the first place said, if no other has it either.
    pub fn open<'s>(
        &'s self,
        images: &'s dyn ImageSource,
    ) -> Result<Box<dyn Read + Send + 's>, SourceError> {
        let found = match (&self.cache, &self.layout) {
            (Some(cache), _) => return self.ask_cache(cache),
            (None, Some(layout)) => layout.blob(&self.reference, &self.descriptor),
            (None, None) => self.ask(images),
        };
        match found {
            // A layout may well lack what is not to be handed on, and so may a registry.
            Err(error)
                if error.class() == SourceErrorClass::NotFound
                    && !self.descriptor.urls.is_empty() =>
            {
                images.elsewhere(&self.reference, &self.descriptor)
            }
            found => found,
        }
    }

    fn ask_cache<'s>(
        &'s self,
        cache: &'s CachedLayer,
    ) -> Result<Box<dyn Read + Send + 's>, SourceError> {
        let Descriptor { digest, size, .. } = &self.descriptor;
        cache.backend.blob(digest, 0..*size).map_err(|error| {
            cache.lost.store(true, Ordering::Relaxed);
            let (class, error) = (SourceErrorClass::Network, Box::new(error));
            SourceError::new(&self.reference, SourceProblem::Other { class, error })
        })
    }

    fn ask<'s>(
        &'s self,
        images: &'s dyn ImageSource,
    ) -> Result<Box<dyn Read + Send + 's>, SourceError> {
        let mut first = None;
        for place in self.places() {
            match images.blob(place, &self.descriptor) {
                Ok(blob) => return Ok(blob),
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        let detail = self.descriptor.digest.to_string();
        let none = || SourceError::new(&self.reference, SourceProblem::NotFound { detail });
        Err(first.unwrap_or_else(none))
    }

    /// The repositories to ask, each once.
    fn places(&self) -> impl Iterator<Item = &Reference> {
        let named = |known: &Reference| known.name() == self.reference.name();
        let guess = Some(&self.reference).filter(|_| !self.known.iter().any(named));
        self.known.iter().chain(guess)
    }

    /// The repositories that are known to hold the blob, as `host/name`.
    pub fn repositories(&self) -> Vec<String> {
        self.known.iter().map(Reference::name).collect()
    }

    /// Whether the store can do without it: a registry is known to have it, and that is recorded of layers.
    /// What a cache has may be gone tomorrow.
    pub fn is_elsewhere(&self) -> bool {
        self.cache.is_none()
            && !self.known.is_empty()
            && self.descriptor.media_type.layer_compression().is_some()
    }

    /// Whether the store cannot hand the blob out.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn is_away(&self, store: &Store) -> Result<bool, ReadError> {
        Ok(!is_here(store, &self.descriptor.digest)?)
    }

    /// Sees to it that the store can hand the blob out.
    ///
    /// # Errors
    ///
    /// If what came is not what the descriptor announced, or the source or the store fails.
    pub fn fetch(&self, lease: &Lease, images: &dyn ImageSource) -> Result<(), SaveError> {
        let Some(cache) = &self.cache else { return self.keep(lease, images) };
        // That the blob is here does not say that it is the layer that the cache takes it for.
        if self.is_confirmed(lease.store(), cache)? {
            return Ok(());
        }
        self.keep(lease, images).inspect_err(|error| {
            let came = matches!(error, SaveError::Blob { .. } | SaveError::Transfer { .. });
            self.lose(if came { Blame::Unknown } else { Blame::Way });
        })?;
        self.take_over(lease, cache).inspect_err(|_| self.lose(Blame::Record))
    }

    /// Notes that what came of a cache is of no use, and has that take note of it unless the way there was to blame.
    pub fn lose(&self, blame: Blame) {
        let Some(cache) = &self.cache else { return };
        cache.lost.store(true, Ordering::Relaxed);
        let is_of_cache = match blame {
            Blame::Record => true,
            Blame::Unknown => has_other(&*cache.backend, &self.descriptor),
            Blame::Way => false,
        };
        if is_of_cache {
            cache.backend.discredit(&self.descriptor.digest);
        }
    }

    /// Whether the store knows the files of the layer, and that the blob is one of its forms.
    fn is_confirmed(&self, store: &Store, cache: &CachedLayer) -> Result<bool, ReadError> {
        let is_it = |blob: &LayerBlob| blob.descriptor.digest == self.descriptor.digest;
        let record = store.layer_of_diff(&cache.diff_id)?;
        Ok(record.is_some_and(|record| record.tree.is_some() && record.blobs.iter().any(is_it)))
    }

    fn keep(&self, lease: &Lease, images: &dyn ImageSource) -> Result<(), SaveError> {
        if is_here(lease.store(), &self.descriptor.digest)? {
            return Ok(());
        }
        let _alone = lease.fetching(self.descriptor.digest);
        if is_here(lease.store(), &self.descriptor.digest)? {
            return Ok(());
        }
        let mut blob = self.open(images)?;
        keep_blob(lease, &self.reference, &self.descriptor, &mut *blob)
    }

    /// Reads the layer of a step as that of a step of this machine, which it is from now on: its files
    /// are in the store, and can leave in any form.
    fn take_over(&self, lease: &Lease, cache: &CachedLayer) -> Result<(), SaveError> {
        let Some(mut blob) = blob_view::open(lease.store(), &self.descriptor.digest)? else {
            return Ok(());
        };
        let refused = |error: ImportError| SaveError::Transfer {
            reference: self.reference.to_string(),
            error: io::Error::other(error),
        };
        let mut record = announced(lease, &self.descriptor, &cache.diff_id).map_err(refused)?;
        let (limits, keep) = (lease.store().limits(), Keep::In(lease));
        let read = read_layer_within(limits, &mut blob.reader, &cache.diff_id, keep);
        let (tree, size) = read.map_err(refused)?;
        if content_id(&tree) != cache.content {
            let problem = "its files are not those that the cache announced";
            let error = io::Error::new(io::ErrorKind::InvalidData, problem);
            return Err(SaveError::Transfer { reference: self.reference.to_string(), error });
        }
        record.tree = Some(lease.put_tree(&tree)?);
        record.tar_size = Some(size);
        let mut batch = Batch::new();
        batch.put_layer(&record);
        lease.commit(batch, Durability::Relaxed)?;
        Ok(())
    }
}

/// Whether the store has a blob as it came, can put it together, or made its layer.
fn is_here(store: &Store, digest: &Digest) -> Result<bool, ReadError> {
    // First, since opening such a layer would list its files.
    let layer = store.layer_of_diff(&DiffId(*digest))?;
    Ok(layer.is_some_and(|record| record.tree.is_some())
        || blob_view::open(store, digest)?.is_some())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::layer::origin::remember_origin;
    use crate::oci::media_type::MediaType;
    use crate::oci::source::SourceError;
    use crate::store::OpenOptions;

    const BLOB: &[u8] = b"a layer";

    /// Registries of which one repository has the blob.
    struct Registries {
        holder: &'static str,
        asked: Mutex<Vec<String>>,
    }

    impl ImageSource for Registries {
        fn manifest(&self, _: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
            unreachable!("a blob needs no manifest")
        }

        fn blob(
            &self,
            reference: &Reference,
            _: &Descriptor,
        ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
            self.asked.lock().unwrap().push(reference.name());
            if reference.name() == self.holder {
                return Ok(Box::new(BLOB));
            }
            let detail = "no".to_owned();
            Err(SourceError::new(reference, SourceProblem::Unauthorized { detail }))
        }
    }

    /// Where a blob of the image `app` of a store is looked for, and whether it came, if it is
    /// recorded to be in `recorded`.
    fn asked(recorded: &[&str], holder: &'static str) -> (Vec<String>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let layer = Descriptor::of(MediaType::LAYER_GZIP, BLOB);
        for repository in recorded {
            let mut batch = Batch::new();
            let named = (&layer, &DiffId(Digest::of(b"its stream")));
            remember_origin(&store, named, repository, &mut batch).unwrap();
            lease.commit(batch, Durability::Relaxed).unwrap();
        }
        let name = "app:1".parse().unwrap();
        let origin = BlobOrigin::of_store(&store, layer.clone(), name).unwrap();
        assert_eq!(origin.is_elsewhere(), !recorded.is_empty());
        let registries = Registries { holder, asked: Mutex::default() };
        let came = origin.fetch(&lease, &registries).is_ok();
        assert_eq!(store.foreign_blob(&layer.digest).unwrap().is_some(), came);
        (registries.asked.into_inner().unwrap(), came)
    }

    #[test]
    fn a_blob_comes_from_where_it_is_recorded_to_be_whatever_the_image_is_called() {
        let (one, two) = ("r.example/one", "r.example/two");
        assert_eq!(asked(&[one, two], one), (vec![one.to_owned()], true));
        assert_eq!(asked(&[one, two], two), (vec![one.to_owned(), two.to_owned()], true));
    }

    #[test]
    fn the_registry_of_the_name_is_asked_last_and_alone_where_nothing_is_recorded() {
        let (one, named) = ("r.example/one", "docker.io/library/app");
        assert_eq!(asked(&[one], named), (vec![one.to_owned(), named.to_owned()], true));
        assert_eq!(asked(&[], named), (vec![named.to_owned()], true));
        assert_eq!(asked(&[one], "nowhere"), (vec![one.to_owned(), named.to_owned()], false));
    }
}
