//! What a target came to, on its way out.

use serde_json::Value;
use wythe_builder::built::{BuiltTarget, Image};
use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{StoredImage, ref_name};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::origin::remember_origin;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use super::tell::{Stage, Told};
use crate::args::build::ResultArgs;
use crate::args::image_attributes::{DigestNames, ImageAttributes, Transport};
use crate::args::output::Push;
use crate::failure::Failure;
use crate::obtainable::Obtainable;
use crate::session::Session;
use crate::ship::{free, outbox};
use crate::stored_image;

/// A target that was built.
#[derive(Debug)]
pub(crate) struct Goods<'a> {
    pub(super) lease: &'a Lease,
    pub(crate) built: &'a BuiltTarget,
    /// Its images, one for each platform.
    pub(super) images: Vec<StoredImage>,
    /// Where layers of their bases are to be had.
    pub(super) origins: Vec<BlobOrigin>,
    /// The predicate that is stated of every image.
    pub(crate) provenance: Option<Value>,
    pub(super) args: &'a ResultArgs,
    session: &'a Session,
}

impl<'a> Goods<'a> {
    pub(super) fn new(
        lease: &'a Lease,
        built: &'a BuiltTarget,
        args: &'a ResultArgs,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        let read =
            |image: &Image| stored_image::of_ref(lease.store(), "the image", &image.manifest);
        let images = built.images.iter().map(read).collect::<Result<_, _>>()?;
        let origins = built.images.iter().flat_map(|image| image.origins.clone()).collect();
        Ok(Self { lease, built, images, origins, provenance: None, args, session })
    }
}

impl Goods<'_> {
    /// Names the image in the store, and pushes it under each name where that is asked for.
    pub(super) fn name(&self, push: Push, image: &ImageAttributes) -> Result<Told, Failure> {
        let names = self.names(image)?;
        let dangling = image.dangling_prefix.iter().filter(|_| names.is_empty());
        if push == Push::No && (!names.is_empty() || dangling.clone().next().is_some()) {
            // What is recorded to be at a registry is fetched by whoever needs its bytes.
            self.fetch(|origin| !origin.is_elsewhere())?;
        }
        let (root, kept) = self.kept(image)?;
        let mut batch = Batch::default();
        for name in names.iter().filter(|_| push != Push::ByDigest) {
            batch.set_ref(&ref_name(name), &root);
        }
        for prefix in dangling {
            batch.set_ref(&ref_name(&prefix.clone().with_digest(root.digest)), &root);
        }
        self.remember_origins(&mut batch)?;
        self.lease.commit(batch, Durability::Durable)?;
        let (root, told) = match push {
            Push::No => (root, kept),
            Push::ByDigest => {
                names.iter().try_for_each(refuse_tag)?;
                let by_digest = |name: Reference, digest| Ok(name.with_digest(digest));
                self.push(image, names.clone(), &by_digest)?
            }
            Push::ByName => self.push(image, names.clone(), &|name, _| Ok(name))?,
        };
        if image.digest_names == DigestNames::Beside {
            self.name_by_digest(names, &root)?;
        }
        Ok(told)
    }

    /// Records where layers of the bases are: those that no step has needed stay there.
    fn remember_origins(&self, batch: &mut Batch) -> Result<(), Failure> {
        for image in &self.images {
            let layers = &image.manifest.value().layers;
            for named in layers.iter().zip(&image.config.value().rootfs.diff_ids) {
                let mut origins = self.origins.iter();
                let origin = origins.find(|one| one.descriptor.digest == named.0.digest);
                for repository in origin.map(BlobOrigin::repositories).unwrap_or_default() {
                    remember_origin(self.lease.store(), named, &repository, batch)?;
                }
            }
        }
        Ok(())
    }

    /// Names the image in the store by what cannot be moved to another.
    fn name_by_digest(&self, names: Vec<Reference>, root: &Descriptor) -> Result<(), Failure> {
        let mut batch = Batch::default();
        for name in names {
            let name = name.with_default_tag().with_digest(root.digest);
            batch.set_ref(&ref_name(&name), root);
        }
        self.lease.commit(batch, Durability::Durable)?;
        Ok(())
    }

    /// Sends the image to its registries, under what `called` makes of a name and a digest.
    fn push(
        &self,
        image: &ImageAttributes,
        names: Vec<Reference>,
        called: &dyn Fn(Reference, Digest) -> Result<Reference, Failure>,
    ) -> Result<(Descriptor, Told), Failure> {
        let client = match image.transport {
            Transport::Configured => self.session.registry()?,
            Transport::Plain => self.session.registry_over_http(&names)?,
        };
        let content = Obtainable::new(self.lease, &client, &self.origins);
        let origins = content.repositories();
        let outbox = outbox(&client, &content, &origins);
        let (shipment, shipped) =
            outbox.ahead(&free(&names), |ready| self.shipment(image, ready))?;
        let names = names.into_iter().map(|name| called(name, shipment.root.digest));
        let names: Vec<Reference> = names.collect::<Result<_, _>>()?;
        names.iter().try_for_each(|name| shipment.push_from(&outbox, name))?;
        Ok((shipment.root, shipped))
    }

    /// Gets the layers of the base that no step has needed.
    pub(super) fn complete(&self) -> Result<(), Failure> {
        self.fetch(|_| true)
    }

    /// Gets some of them.
    fn fetch(&self, wanted: impl Fn(&BlobOrigin) -> bool) -> Result<(), Failure> {
        let origins: Vec<_> = self.origins.iter().filter(|one| wanted(one)).cloned().collect();
        if origins.is_empty() {
            return Ok(());
        }
        let client = self.session.registry()?;
        Ok(Obtainable::new(self.lease, &client, &origins).complete()?)
    }

    pub(super) fn names(&self, image: &ImageAttributes) -> Result<Vec<Reference>, Failure> {
        let target = &self.built.name;
        let names = self.args.tag.iter().chain(&image.names).filter(|name| name.is_of(target));
        names.map(|name| name.reference(target)).collect()
    }

    /// What there is to tell of images that got to a stage, under a root.
    pub(super) fn told(&self, stage: Stage, root: &Descriptor, images: &[StoredImage]) -> Told {
        let config = match images {
            [only] => Some(only.manifest.value().config.digest),
            _ => None,
        };
        Told { target: self.built.name.clone(), stage, digest: root.digest, config }
    }
}

/// Refuses a name of what is pushed by digest: a tag would be a name after all.
fn refuse_tag(name: &Reference) -> Result<(), Failure> {
    match name.tag() {
        Some(_) => Err(Failure::usage(format!("{name} has a tag and cannot be pushed by digest"))),
        None => Ok(()),
    }
}
