//! The images of a build as they leave: with the times, the annotations and the compression that
//! an output asks for, and under one index where there are several.

use wythe_builder::built::Image;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::encode::Recompress;
use wythe_store::image::rewrite::clamp_times;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::Compression;

use super::docker;
use super::goods::Goods;
use super::tell::{Stage, Told};
use crate::args::annotation::{Annotations, Place};
use crate::args::image_attributes::{ImageAttributes, MediaTypes, Times};
use crate::encode::{self, Layers, Ready};
use crate::failure::Failure;
use crate::ship::Shipment;

impl Goods<'_> {
    /// What leaves for an output. Whoever is `ready` for a layer is told of it as soon as it can leave.
    pub(super) fn shipment(
        &self,
        asked: &ImageAttributes,
        ready: Ready<'_>,
    ) -> Result<(Shipment<'_>, Told), Failure> {
        let compression = asked.compression.or(self.args.compression);
        let layers = Layers::new(compression, asked.level).with_others(asked.recompress);
        let layers = layers.telling(ready);
        if asked.recompress == Recompress::Differing || self.origins.iter().any(is_plain) {
            self.complete()?;
        }
        let images = self.prepared(asked)?;
        let images = images.iter().map(|image| layers.cut(self.lease, image));
        let images: Vec<StoredImage> = images.collect::<Result<_, _>>()?;
        let created = images.first().and_then(|image| image.config.value().created.clone());
        let manifests = images.iter().map(|image| match asked.types {
            MediaTypes::Docker => docker::manifest(self.lease, image, layers),
            MediaTypes::Oci => encode::manifest(self.lease, image, layers),
        });
        let root = self.root(manifests.collect::<Result<_, _>>()?, asked)?;
        let told = self.told(Stage::Shipped, &root, &images);
        let (lease, names, origins) = (self.lease, self.names(asked)?, &self.origins);
        Ok((Shipment { lease, root, names, title: None, created, origins }, told))
    }

    /// What the store keeps for an output: layers are compressed when they leave.
    pub(super) fn kept(&self, asked: &ImageAttributes) -> Result<(Descriptor, Told), Failure> {
        let images = self.prepared(asked)?;
        let manifests = images.iter().map(|image| image.manifest.descriptor());
        let root = self.root(manifests.collect(), asked)?;
        let told = self.told(Stage::Kept, &root, &images);
        Ok((root, told))
    }

    fn prepared(&self, asked: &ImageAttributes) -> Result<Vec<StoredImage>, Failure> {
        let pairs = self.images.iter().zip(&self.built.images);
        pairs.map(|(stored, made)| self.prepare(stored, made, asked)).collect()
    }

    /// The image with the times and the annotations it is to have.
    fn prepare(
        &self,
        stored: &StoredImage,
        made: &Image,
        asked: &ImageAttributes,
    ) -> Result<StoredImage, Failure> {
        let image = match (asked.times, made.epoch) {
            (Times::Rewritten, Some(epoch)) => {
                clamp_times(self.lease, stored, made.base_layers, epoch)?
            }
            (Times::Rewritten, None) | (Times::Kept, _) => stored.clone(),
        };
        let annotations = self.said(asked).of(Place::Manifest, Some(&made.platform));
        if annotations.is_empty() {
            return Ok(image);
        }
        let mut manifest: Manifest = image.manifest.value().clone();
        manifest.annotations.extend(annotations);
        let manifest = RawDocument::new(manifest);
        self.lease.put_document(manifest.bytes())?;
        Ok(StoredImage { root: manifest.descriptor(), manifest, ..image })
    }

    /// The only manifest, or an index of several and of what is stated about them.
    fn root(
        &self,
        manifests: Vec<Descriptor>,
        asked: &ImageAttributes,
    ) -> Result<Descriptor, Failure> {
        let said = self.said(asked);
        let (index, outer) = (said.of(Place::Index, None), said.of(Place::IndexDescriptor, None));
        let platforms = self.built.images.iter().map(|image| image.platform.clone());
        let entry = |(manifest, platform)| {
            let annotations = said.of(Place::ManifestDescriptor, Some(&platform));
            Descriptor { platform: Some(platform), annotations, ..manifest }
        };
        let mut entries: Vec<_> = manifests.into_iter().zip(platforms).map(entry).collect();
        if let ([only], None) = (entries.as_slice(), &self.provenance) {
            let none = index.is_empty() && outer.is_empty();
            let text = "an image of one platform has no index to annotate";
            let only = Descriptor { platform: None, ..only.clone() };
            return if none { Ok(only) } else { Err(Failure::usage(text)) };
        }
        if let Some(predicate) = &self.provenance {
            let names = self.names(asked)?;
            let about = |image| self.attestation(predicate, image, (&names, asked.statements));
            let stated = entries.iter().map(about);
            let stated: Vec<Descriptor> = stated.collect::<Result<_, _>>()?;
            entries.extend(stated);
        }
        let media_type = docker::index_type(&entries);
        let index = Index { media_type, annotations: index, ..Index::new(entries) };
        let index = RawDocument::new(index);
        self.lease.put_document(index.bytes())?;
        Ok(Descriptor { annotations: outer, ..index.descriptor() })
    }

    /// What the flags and an output say of the images; the output wins.
    fn said(&self, asked: &ImageAttributes) -> Annotations {
        Annotations::all(self.args.annotation.iter().chain([&asked.annotations]))
    }
}

/// Whether a layer is compressed when it leaves, for which its bytes have to be here.
fn is_plain(origin: &BlobOrigin) -> bool {
    origin.descriptor.media_type.layer_compression() == Some(Compression::None)
}
