//! An image of the store, found by what a person calls it.

use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;

use crate::failure::{Class, Failure};

/// A manifest of the store and its configuration.
#[derive(Clone, Debug)]
pub(crate) struct StoredImage {
    /// What points at the manifest.
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: RawDocument<Manifest>,
    pub(crate) config: RawDocument<ImageConfig>,
}

impl StoredImage {
    /// The image of a name, with `latest` where it has no tag.
    pub(crate) fn find(store: &Store, name: &str) -> Result<Self, Failure> {
        let reference: Reference = name.parse()?;
        match store.find_ref(&reference.canonical())? {
            Some(descriptor) => Self::open(store, descriptor),
            None => Err(absent(&reference)),
        }
    }

    /// The image that a descriptor points at.
    pub(crate) fn open(store: &Store, descriptor: Descriptor) -> Result<Self, Failure> {
        let manifest: RawDocument<Manifest> = document(store, &descriptor)?;
        let config = document(store, &manifest.value().config)?;
        Ok(Self { descriptor, manifest, config })
    }

    /// The bytes of its layers as the manifest lists them.
    pub(crate) fn size(&self) -> u64 {
        self.manifest.value().layers.iter().map(|layer| layer.size).sum()
    }
}

fn document<T: Document>(
    store: &Store,
    descriptor: &Descriptor,
) -> Result<RawDocument<T>, Failure> {
    let missing = || {
        let text = format!("{} {} is not in the store", T::KIND, descriptor.digest);
        Failure::new(Class::Damage, text)
    };
    let bytes = store.document(&descriptor.digest)?.ok_or_else(missing)?;
    Ok(RawDocument::read(descriptor, bytes.to_vec())?)
}

fn absent(reference: &Reference) -> Failure {
    let text = format!("there is no image {} in the store", reference.canonical());
    Failure::usage(text).remedy("`wythe images` lists the images, `wythe pull` fetches one")
}
