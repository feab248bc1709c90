//! What a target came to, on its way out.

use std::path::Path;

use wythe_builder::built::{BuiltTarget, Image};
use wythe_delivery::annotation::Annotations;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::encode::Ready;
use wythe_delivery::error::DeliveryError;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{
    ImageOptions, LayerCompression, LayerOptions, LazyIndex, StatementForm, Times,
};
use wythe_delivery::platforms::{PlatformImage, PlatformImages};
use wythe_delivery::push::{Naming, Push as Delivery};
use wythe_delivery::statements::{self, Taken};
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::error::WriteError;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::origin::remember_origin;
use wythe_store::layer::start_order::StartOrder;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use super::Routes;
use super::report::{Stage, TargetReport};
use crate::args::build::ResultArgs;
use crate::args::image_attributes::{DigestNames, ImageAttributes, Transport};
use crate::args::location::ImagesOf;
use crate::args::output::{Need, Push};
use crate::aws::create_repositories;
use crate::failure::Failure;
use crate::neighbour::Neighbour;
use crate::session::Session;

/// A target that was built.
pub(crate) struct TargetOutput<'a> {
    pub(super) lease: &'a Lease,
    pub(crate) built: &'a BuiltTarget,
    /// Its images, one for each platform.
    pub(crate) images: PlatformImages<'a>,
    pub(super) args: &'a ResultArgs,
    session: &'a Session,
    transfers: &'a dyn Transfers,
    delivered: &'a Delivered,
}

impl<'a> TargetOutput<'a> {
    pub(super) fn new(
        lease: &'a Lease,
        built: &'a BuiltTarget,
        args: &'a ResultArgs,
        (session, routes): (&'a Session, Routes<'a>),
    ) -> Result<Self, Failure> {
        let Routes { pool, transfers, delivered } = routes;
        let read = |image: &Image| {
            let times = (image.base_layers, image.epoch);
            PlatformImage::read(lease, &image.manifest, image.platform.clone(), times)
        };
        let images = built.images.iter().map(read).collect::<Result<_, _>>()?;
        let origins = built.origins();
        let images = PlatformImages { lease, pool, images, origins, provenance: None };
        Ok(Self { lease, built, images, args, session, transfers, delivered })
    }
}

impl TargetOutput<'_> {
    /// What leaves for an archive. All of it is here then.
    pub(super) fn archived(
        &self,
        asked: &ImageAttributes,
    ) -> Result<(OutgoingImage<'_>, TargetReport), Failure> {
        let (client, transfers) = (self.session.registry()?, self.transfers);
        let source = Watched { images: &client, transfers };
        self.images.complete(&source)?;
        let (names, options) = (self.names(asked)?, self.options(asked)?);
        let image = self.images.encode(&names, &options, (&source, &|_| {}))?;
        let report = self.report(Stage::Shipped, &image);
        Ok((image, report))
    }

    /// Names the image in the store, and pushes it under each name where that is asked for.
    pub(super) fn name(
        &self,
        push: Push,
        asked: &ImageAttributes,
    ) -> Result<TargetReport, Failure> {
        if asked.times == Times::Rewritten {
            // Of layers that are somewhere else no time can be changed.
            self.fetch(|origin| origin.cache.is_some())?;
        }
        let names = self.names(asked)?;
        let dangling = asked.dangling_prefix.iter().filter(|_| names.is_empty());
        if push == Push::No && (!names.is_empty() || dangling.clone().next().is_some()) {
            // What is recorded to be at a registry is fetched by whoever needs its bytes.
            self.fetch(|origin| !origin.is_elsewhere())?;
        }
        let kept = self.images.uncompressed(&names, &self.options(asked)?)?;
        let mut batch = Batch::default();
        for name in names.iter().filter(|_| push != Push::ByDigest) {
            batch.set_ref(&ref_name(name), &kept.root);
        }
        for prefix in dangling {
            batch.set_ref(&ref_name(&prefix.clone().with_digest(kept.root.digest)), &kept.root);
        }
        self.remember_origins(&mut batch)?;
        let commit = || self.lease.commit(batch, Durability::Durable);
        let (root, report) = match push {
            Push::No => {
                commit()?;
                (kept.root.clone(), self.report(Stage::Kept, &kept))
            }
            Push::ByDigest => meanwhile(commit, || self.push(asked, &names, Naming::ByDigest))?,
            Push::ByName => meanwhile(commit, || self.push(asked, &names, Naming::ByName))?,
        };
        if push == Push::ByName {
            self.remember_pushed(&names)?;
        }
        if asked.digest_names == DigestNames::Beside {
            self.name_by_digest(names, &root)?;
        }
        Ok(report)
    }

    /// Names the image in the store, and gives it to docker's engine, which takes what it lacks.
    pub(super) fn load(
        &self,
        program: ImagesOf,
        need: Need,
        asked: &ImageAttributes,
    ) -> Result<TargetReport, Failure> {
        let kept = self.name(Push::No, asked)?;
        let neighbour = match Neighbour::find(program, &self.session.settings) {
            Ok(neighbour) => neighbour,
            Err(failure) if need == Need::IfThere => {
                let text = format!("the image is in the store alone: {}", failure.sentence());
                self.session.remark(&text);
                return Ok(kept);
            }
            Err(failure) => return Err(failure),
        };
        let (client, transfers) = (self.session.registry()?, self.transfers);
        let source = Watched { images: &client, transfers };
        let (names, mut options) = (self.names(asked)?, self.options(asked)?);
        // On the way through memory compression saves nothing.
        let (compression, index) = (LayerCompression::Uncompressed, LazyIndex::None);
        options.layers = LayerOptions { compression, index, ..options.layers };
        let image = self.images.encode(&names, &options, (&source, &|_| {}))?;
        let content = OutgoingContent::new(self.lease, &source, &self.images.origins);
        let told = neighbour.take(&image, &content)?;
        if let Some(text) = told.filter(|_| !self.args.quiet.is_on()) {
            self.session.remark(&text);
        }
        let report = self.report(Stage::Shipped, &image);
        let by_manifest = neighbour.knows_manifest(&image);
        Ok(TargetReport { config: report.config.filter(|_| !by_manifest), ..report })
    }

    /// Records where the image was pushed to for layers of the bases that are not here, and were to be had from
    /// where nothing is recorded, such as a layout.
    fn remember_pushed(&self, names: &[Reference]) -> Result<(), Failure> {
        let (mut batch, store) = (Batch::default(), self.lease.store());
        let Some(name) = names.first() else { return Ok(()) };
        for PlatformImage { image, .. } in &self.images.images {
            let layers = &image.manifest.value().layers;
            for named in layers.iter().zip(&image.config.value().rootfs.diff_ids) {
                let mut origins = self.images.origins.iter();
                let origin = origins.find(|one| one.descriptor.digest == named.0.digest);
                if let Some(origin) = origin.filter(|origin| !origin.is_elsewhere())
                    && origin.is_away(store)?
                {
                    remember_origin(store, named, &name.name(), &mut batch)?;
                }
            }
        }
        if !batch.is_empty() {
            self.lease.commit(batch, Durability::Durable)?;
        }
        Ok(())
    }

    /// Records where layers of the bases are: those that no step has needed stay there.
    fn remember_origins(&self, batch: &mut Batch) -> Result<(), Failure> {
        for PlatformImage { image, .. } in &self.images.images {
            let layers = &image.manifest.value().layers;
            for named in layers.iter().zip(&image.config.value().rootfs.diff_ids) {
                let mut origins = self.images.origins.iter();
                let origin = origins.find(|one| one.descriptor.digest == named.0.digest);
                for repository in origin.map(BlobOrigin::repositories).unwrap_or_default() {
                    // Nobody else is told what flags say of this one.
                    let mirrors = self.session.global.registries.stand_ins(&repository);
                    for place in [repository].into_iter().chain(mirrors) {
                        remember_origin(self.lease.store(), named, &place, batch)?;
                    }
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

    /// Sends the image to its registries.
    fn push(
        &self,
        asked: &ImageAttributes,
        names: &[Reference],
        naming: Naming,
    ) -> Result<(Descriptor, TargetReport), Failure> {
        create_repositories(names, self.args.shape.repositories.create_repo, self.session)?;
        let client: Client = match asked.transport {
            Transport::Configured => self.session.registry()?,
            Transport::Plain => self.session.registry_over_http(names)?,
        };
        let (transfers, mut options) = (self.transfers, self.options(asked)?);
        if let Some(runtime) = self.args.shape.service.runtime {
            options.layers = runtime.at_registry(options.layers);
        }
        let source = Watched { images: &client, transfers };
        let content = &OutgoingContent::new(self.lease, &source, &self.images.origins);
        let delivered = self.delivered;
        let push = Delivery { registry: &client, content, transfers, delivered };
        let send = |statements| {
            let options = ImageOptions { statements, ..options.clone() };
            let make = |ready: Ready<'_>| self.images.encode(names, &options, (&source, ready));
            push.run(names, naming, make)
        };
        let image = match asked.statements {
            Some(form) => send(form)?,
            None => self.in_a_form_that_is_taken(names, &client, send)?,
        };
        let report = self.report(Stage::Shipped, &image);
        Ok((image.root, report))
    }

    /// Sends statements as artifacts that refer to the image, and otherwise where the registry does not take them so.
    fn in_a_form_that_is_taken<'image>(
        &self,
        names: &[Reference],
        client: &Client,
        send: impl Fn(StatementForm) -> Result<OutgoingImage<'image>, DeliveryError>,
    ) -> Result<OutgoingImage<'image>, Failure> {
        let Taken { sent, refused } = statements::in_a_form_that_is_taken(client, names, send)?;
        for (host, next) in refused {
            let remark = match next {
                StatementForm::Artifact => continue,
                StatementForm::ArtifactByConfig => format!(
                    "{host} takes no statements with an artifactType: sent as artifacts whose configuration has the type"
                ),
                StatementForm::Image => format!(
                    "{host} takes no statements that refer to the image: sent as with oci-artifact=false"
                ),
            };
            self.session.remark(&remark);
        }
        Ok(sent)
    }

    /// Gets the layers of the base that no step has needed.
    pub(super) fn complete(&self) -> Result<(), Failure> {
        self.fetch(|_| true)
    }

    /// Gets some of them.
    fn fetch(&self, wanted: impl Fn(&BlobOrigin) -> bool) -> Result<(), Failure> {
        let (client, transfers) = (self.session.registry()?, self.transfers);
        Ok(self.images.fetch(&Watched { images: &client, transfers }, wanted)?)
    }

    fn names(&self, asked: &ImageAttributes) -> Result<Vec<Reference>, Failure> {
        let target = &self.built.name;
        let names = self.args.tag.iter().chain(&asked.names).filter(|name| name.is_of(target));
        names.map(|name| name.reference(target)).collect()
    }

    /// How the image is to look for an output, which says more than the flags do.
    fn options(&self, asked: &ImageAttributes) -> Result<ImageOptions, Failure> {
        let layers = asked.layers(self.args);
        let annotations = Annotations::all(self.args.annotation.iter().chain([&asked.annotations]));
        let (times, types) = (asked.times, asked.types);
        let statements = asked.statements.unwrap_or_default();
        let start = asked.start_trace.as_deref().map(start_order).transpose()?.unwrap_or_default();
        Ok(ImageOptions { layers, start, times, types, annotations, statements })
    }

    /// What there is to tell of an image that got to a stage.
    fn report(&self, stage: Stage, image: &OutgoingImage<'_>) -> TargetReport {
        let (target, root) = (self.built.name.clone(), image.root.clone());
        let config = image.config.filter(|_| !root.media_type.is_index());
        TargetReport { target, stage, root, config }
    }
}

/// Reads what a container opens when it starts.
fn start_order(trace: &Path) -> Result<StartOrder, Failure> {
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot use the trace {}: {error}", trace.display()))
    };
    let text = std::fs::read(trace).map_err(|error| unusable(&error))?;
    StartOrder::parse(&text).map_err(|error| unusable(&error))
}

/// Waits for the disk while layers are compressed and sent: a name of the store is there or not
/// whatever becomes of a registry.
fn meanwhile<T>(
    commit: impl FnOnce() -> Result<u64, WriteError> + Send,
    send: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let committing = scope.spawn(commit);
        let sent = send();
        committing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        sent
    })
}
