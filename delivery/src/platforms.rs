//! What a build made, on its way out: with the times, the annotations and the compression that is
//! asked for, and under one index where there are several platforms.

use rayon::ThreadPool;
use serde_json::Value;
use wythe_store::digest::Digest;
use wythe_store::error::WriteError;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{StoredImage, read_image};
use wythe_store::image::rewrite::clamp_times;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::annotation::AnnotationTarget;
use crate::attestation::attest;
use crate::content::OutgoingContent;
use crate::docker;
use crate::encode::{Encoded, Encoder, Ready};
use crate::error::DeliveryError;
use crate::image::OutgoingImage;
use crate::options::{ImageOptions, Times};
use crate::root::unreadable;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// Its documents, in the store.
    pub image: StoredImage,
    /// What it is for.
    pub platform: Platform,
    /// How many of its layers come from the base image, whose times stay.
    pub base_layers: usize,
    /// The time that no file of its own layers is later than, in seconds since 1970, where there is
    /// such a time.
    pub epoch: Option<i64>,
}

/// One image for each of several platforms, and what is stated of them.
#[derive(Debug)]
pub struct PlatformImages<'a> {
    /// What keeps their bytes.
    pub lease: &'a Lease,
    /// Where files are read, hashed and compressed.
    pub pool: &'a ThreadPool,
    /// The images, in the order in which an index lists them.
    pub images: Vec<PlatformImage>,
    /// Where layers of their bases are to be had.
    pub origins: Vec<BlobOrigin>,
    /// The predicate that is stated of every image: how it was built.
    pub provenance: Option<Value>,
}

impl PlatformImage {
    /// The image behind a manifest of the store.
    ///
    /// # Errors
    ///
    /// If the store lacks a document of it.
    pub fn read(
        lease: &Lease,
        manifest: &Descriptor,
        platform: Platform,
        (base_layers, epoch): (usize, Option<i64>),
    ) -> Result<Self, DeliveryError> {
        let image = read_image(lease.store(), manifest.clone(), &platform).map_err(unreadable)?;
        Ok(Self { image, platform, base_layers, epoch })
    }
}

impl PlatformImages<'_> {
    /// What leaves under some names. Whoever is `ready` for a layer is told of it as soon as it can
    /// leave. Layers of the base that have to be compressed are fetched from `source` before.
    ///
    /// # Errors
    ///
    /// If a layer is not to be had or has no other form, an index that there is none of is annotated,
    /// or the store fails.
    pub fn encode(
        &self,
        names: &[Reference],
        options: &ImageOptions,
        (source, ready): (&dyn ImageSource, Ready<'_>),
    ) -> Result<OutgoingImage<'_>, DeliveryError> {
        let content = OutgoingContent::new(self.lease, source, &self.origins);
        let encoder = Encoder::new(&content, options.layers, (self.pool, ready))?
            .starting_with(&options.start);
        let images = self.with_times_and_annotations(options)?;
        let images = images.iter().map(|image| encoder.with_tables(image));
        let images: Vec<StoredImage> = images.collect::<Result<_, _>>()?;
        let created = images.first().and_then(|image| image.config.value().created.clone());
        let encoded = images.iter().map(|image| encoder.encoded(image, options.types));
        let root = self.root(encoded.collect::<Result<_, _>>()?, (names, options))?;
        let (lease, config, origins) = (self.lease, only_config(&images), &self.origins);
        Ok(OutgoingImage {
            lease,
            root,
            config,
            names: names.to_vec(),
            title: None,
            created,
            referrers: Vec::new(),
            origins,
        })
    }

    /// What the store keeps under some names: as what leaves, but layers are compressed when they
    /// leave.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn uncompressed(
        &self,
        names: &[Reference],
        options: &ImageOptions,
    ) -> Result<OutgoingImage<'_>, DeliveryError> {
        let images = self.with_times_and_annotations(options)?;
        let created = images.first().and_then(|image| image.config.value().created.clone());
        let alone =
            |image: &StoredImage| Encoded { manifest: image.manifest.descriptor(), index: None };
        // A name of the store stands for bytes; what they are for, they say themselves.
        let root = self.root(images.iter().map(alone).collect(), (names, options))?;
        let root = Descriptor { platform: None, ..root };
        let (lease, config, origins) = (self.lease, only_config(&images), &self.origins);
        Ok(OutgoingImage {
            lease,
            root,
            config,
            names: names.to_vec(),
            title: None,
            created,
            referrers: Vec::new(),
            origins,
        })
    }

    /// Gets the layers of the bases that the store lacks.
    ///
    /// # Errors
    ///
    /// If the source does not hand over what it announced, or the store fails.
    pub fn complete(&self, source: &dyn ImageSource) -> Result<(), DeliveryError> {
        self.fetch(source, |_| true)
    }

    /// Gets some of those layers.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete).
    pub fn fetch(
        &self,
        source: &dyn ImageSource,
        wanted: impl Fn(&BlobOrigin) -> bool,
    ) -> Result<(), DeliveryError> {
        let origins: Vec<_> = self.origins.iter().filter(|one| wanted(one)).cloned().collect();
        Ok(OutgoingContent::new(self.lease, source, &origins).complete()?)
    }

    fn with_times_and_annotations(
        &self,
        options: &ImageOptions,
    ) -> Result<Vec<StoredImage>, DeliveryError> {
        let prepare = |image: &PlatformImage| image.prepare(self.lease, options);
        self.pool.install(|| self.images.iter().map(prepare).collect())
    }

    /// The only manifest with what it is for, or an index of several, of what is beside them, and of what is stated about them.
    fn root(
        &self,
        images: Vec<Encoded>,
        (names, options): (&[Reference], &ImageOptions),
    ) -> Result<Descriptor, DeliveryError> {
        let said = |target| options.annotations.of(target, None);
        let (index, outer) =
            (said(AnnotationTarget::Index), said(AnnotationTarget::IndexDescriptor));
        let (mut entries, mut beside) = (Vec::new(), Vec::new());
        for (Encoded { mut manifest, index }, PlatformImage { platform, .. }) in
            images.into_iter().zip(&self.images)
        {
            let target = AnnotationTarget::ManifestDescriptor;
            manifest.annotations.extend(options.annotations.of(target, Some(platform)));
            entries.push(Descriptor { platform: Some(platform.clone()), ..manifest });
            let index = index.into_iter();
            beside.extend(index.map(|one| Descriptor { platform: Some(platform.clone()), ..one }));
        }
        if let ([only], [], None) = (entries.as_slice(), beside.as_slice(), &self.provenance) {
            let none = index.is_empty() && outer.is_empty();
            return if none { Ok(only.clone()) } else { Err(DeliveryError::NoIndex) };
        }
        if let Some(predicate) = &self.provenance {
            let how = (names, options.statements);
            let stated = entries.iter().map(|image| attest(self.lease, predicate, image, how));
            let stated: Vec<Descriptor> = stated.collect::<Result<_, WriteError>>()?;
            beside.extend(stated);
        }
        entries.append(&mut beside);
        let media_type = docker::index_type(&entries);
        let index = Index { media_type, annotations: index, ..Index::new(entries) };
        let index = RawDocument::new(index);
        self.lease.put_document(index.bytes())?;
        Ok(Descriptor { annotations: outer, ..index.descriptor() })
    }
}

impl PlatformImage {
    /// The image with the times and the annotations it is to have.
    fn prepare(&self, lease: &Lease, options: &ImageOptions) -> Result<StoredImage, DeliveryError> {
        let image = match (options.times, self.epoch) {
            (Times::Rewritten, Some(epoch)) => {
                clamp_times(lease, &self.image, self.base_layers, epoch)?
            }
            (Times::Rewritten, None) | (Times::Kept, _) => self.image.clone(),
        };
        let target = AnnotationTarget::Manifest;
        let annotations = options.annotations.of(target, Some(&self.platform));
        if annotations.is_empty() {
            return Ok(image);
        }
        let mut manifest = image.manifest.value().clone();
        manifest.annotations.extend(annotations);
        let manifest = RawDocument::new(manifest);
        lease.put_document(manifest.bytes())?;
        Ok(StoredImage { root: manifest.descriptor(), manifest, ..image })
    }
}

/// The configuration of the only image.
fn only_config(images: &[StoredImage]) -> Option<Digest> {
    match images {
        [only] => Some(only.manifest.value().config.digest),
        _ => None,
    }
}
