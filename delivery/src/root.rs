//! What leaves for a name of the store: one image, or an index of several, and statements about them.

use std::iter;

use wythe_store::digest::Digest;
use wythe_store::image::catalog::{OpenImageError, OpenImageProblem, read_image};
use wythe_store::image::soci::is_soci;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;

use crate::attestation::{SUBJECT, configuration};
use crate::encode::{Encoded, Encoder};
use crate::error::{DeliveryError, StatementProblem};
use crate::options::MediaTypes;

impl Encoder<'_> {
    /// What leaves for a root that is complete in the store: itself where nothing in it is of another
    /// form in the store than outside, else the manifest or index with its layers as they leave.
    ///
    /// # Errors
    ///
    /// If a document cannot be read, a layer cannot be encoded, or the store fails.
    pub fn root(&self, root: &Descriptor) -> Result<Descriptor, DeliveryError> {
        if root.media_type.is_index() {
            return self.index(root);
        }
        let Some((Encoded { manifest, index }, platform)) = self.image(root)? else {
            return Ok(root.clone());
        };
        let Some(index) = index else { return Ok(manifest) };
        let of = |one| Descriptor { platform: Some(platform.clone()), ..one };
        let index = RawDocument::new(Index::new(vec![of(manifest), of(index)]));
        self.lease.put_document(index.bytes())?;
        Ok(index.descriptor())
    }

    /// What leaves for an image, and what it is for; `None` for an artifact, which has no layers of ours.
    fn image(&self, root: &Descriptor) -> Result<Option<(Encoded, Platform)>, DeliveryError> {
        let manifest: RawDocument<Manifest> = read(self.lease, root)?;
        if !manifest.value().config.media_type.is_config() {
            return Ok(None);
        }
        // An entry that is a manifest is read whatever platform is asked for.
        let anything = Platform::linux("amd64");
        let image = read_image(self.lease.store(), root.clone(), &anything).map_err(unreadable)?;
        let platform = image.config.value().platform();
        Ok(Some((self.encoded(&image, MediaTypes::Oci)?, platform)))
    }

    fn index(&self, root: &Descriptor) -> Result<Descriptor, DeliveryError> {
        let mut index = read::<Index>(self.lease, root)?.into_parts().1;
        let (before, mut beside) = (index.manifests.clone(), Vec::new());
        let mut moved: Vec<(Descriptor, Descriptor)> = Vec::new();
        for entry in &mut index.manifests {
            let known = entry.media_type.is_manifest() || entry.media_type.is_index();
            if !known || entry.annotations.contains_key(SUBJECT) || is_soci(entry) {
                continue;
            }
            let new = self.entry(entry, &mut beside)?;
            if new.digest != entry.digest {
                moved.push((std::mem::replace(entry, new.clone()), new));
            }
        }
        for entry in &mut index.manifests {
            let subject = entry.annotations.get(SUBJECT).cloned();
            let of = |(old, _): &&(Descriptor, Descriptor)| Some(old.digest.to_string()) == subject;
            if let Some((old, new)) = moved.iter().find(of) {
                *entry = restated(self.lease, entry, (old, new))?;
            }
        }
        for one in beside {
            // One that was there for the platform is about the image as it was.
            let same = |entry: &&mut Descriptor| is_soci(entry) && entry.platform == one.platform;
            match index.manifests.iter_mut().find(same) {
                Some(entry) => *entry = one,
                None => index.manifests.push(one),
            }
        }
        if index.manifests == before {
            // Byte for byte, as it came.
            return Ok(root.clone());
        }
        let index = RawDocument::new(index);
        self.lease.put_document(index.bytes())?;
        Ok(index.descriptor())
    }

    /// What leaves for an entry of an index; what leaves beside it is added to `beside`.
    fn entry(
        &self,
        entry: &Descriptor,
        beside: &mut Vec<Descriptor>,
    ) -> Result<Descriptor, DeliveryError> {
        let leaving = if entry.media_type.is_index() { None } else { self.image(entry)? };
        let Some((Encoded { manifest, index }, platform)) = leaving else {
            let Descriptor { media_type, digest, size, .. } = self.root(entry)?;
            return Ok(Descriptor { media_type, digest, size, ..entry.clone() });
        };
        let platform = entry.platform.clone().or(Some(platform));
        beside.extend(index.map(|one| Descriptor { platform, ..one }));
        let Descriptor { media_type, digest, size, annotations, .. } = manifest;
        let annotations = entry.annotations.clone().into_iter().chain(annotations).collect();
        Ok(Descriptor { media_type, digest, size, annotations, ..entry.clone() })
    }
}

/// The images that a root lists: itself, or those of an index.
///
/// # Errors
///
/// If the index cannot be read.
pub(crate) fn images(lease: &Lease, root: &Descriptor) -> Result<Vec<Descriptor>, DeliveryError> {
    if !root.media_type.is_index() {
        return Ok(vec![root.clone()]);
    }
    let index: RawDocument<Index> = read(lease, root)?;
    Ok(index.value().images().cloned().collect())
}

fn read<T: Document>(
    lease: &Lease,
    descriptor: &Descriptor,
) -> Result<RawDocument<T>, DeliveryError> {
    let missing = || OpenImageProblem::Missing(Box::new(descriptor.clone()));
    let bytes = lease.store().document(&descriptor.digest)?;
    let bytes = bytes.ok_or_else(missing).map_err(unreadable)?.to_vec();
    RawDocument::read(descriptor, bytes).map_err(|error| unreadable(error.into()))
}

/// That what a name stands for cannot be read.
pub(crate) fn unreadable(problem: OpenImageProblem) -> DeliveryError {
    OpenImageError { name: "the image".to_owned(), problem }.into()
}

/// A statement that was about one manifest, about another: the same image, encoded.
fn restated(
    lease: &Lease,
    entry: &Descriptor,
    (old, new): (&Descriptor, &Descriptor),
) -> Result<Descriptor, DeliveryError> {
    let damaged = |problem| DeliveryError::Statement { statement: entry.digest, problem };
    let read = |digest: &Digest| lease.store().document(digest);
    let bytes = read(&entry.digest)?.ok_or_else(|| damaged(StatementProblem::Missing))?;
    let manifest = RawDocument::<Manifest>::read(entry, bytes.to_vec());
    let mut manifest = manifest.map_err(|error| unreadable(error.into()))?.into_parts().1;
    for layer in &mut manifest.layers {
        let bytes = read(&layer.digest)?.ok_or_else(|| damaged(StatementProblem::TextMissing))?;
        let text = String::from_utf8(bytes.to_vec());
        let text = text.map_err(|_| damaged(StatementProblem::NotText))?;
        let text = text.replace(&old.digest.hex(), &new.digest.hex());
        lease.put_document(text.as_bytes())?;
        let stated = Descriptor::of(MediaType::new(layer.media_type.as_str()), text.as_bytes());
        *layer = Descriptor { annotations: layer.annotations.clone(), ..stated };
    }
    if manifest.config.media_type == MediaType::CONFIG {
        let configuration = configuration(&manifest.layers);
        lease.put_document(configuration.as_bytes())?;
        manifest.config = Descriptor::of(MediaType::CONFIG, configuration.as_bytes());
    }
    manifest.subject =
        manifest.subject.map(|_| Descriptor::new(new.media_type.clone(), new.digest, new.size));
    let manifest = RawDocument::new(manifest);
    lease.put_document(manifest.bytes())?;
    let mut moved = manifest.descriptor();
    moved.platform.clone_from(&entry.platform);
    moved.annotations.clone_from(&entry.annotations);
    moved.annotations.extend(iter::once((SUBJECT.to_owned(), new.digest.to_string())));
    Ok(moved)
}
