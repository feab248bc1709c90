//! The results of a build to where the flags say they go.

mod attest;
mod destination;
mod image;
mod tree;

use serde_json::{Value, json};
use wythe_builder::build::BuiltTarget;
use wythe_builder::origin::BlobOrigin;
use wythe_store::image::catalog::{StoredImage, ref_name};
use wythe_store::image::tar_output;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use self::destination::{write_text, write_to};
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::output::{Destination, Format, ImageAttributes, Output, Push, Split};
use crate::failure::{Class, Failure};
use crate::obtainable::Obtainable;
use crate::session::Session;
use crate::ship::Shipment;
use crate::{files, stored_image};

/// The outputs that the flags ask for; an image in the store if they ask for none.
pub(crate) fn outputs(args: &ResultArgs) -> Vec<Output> {
    let mut outputs = args.output.clone();
    if args.push.is_on() {
        outputs.push(Output::Image { push: Push::ByName, image: ImageAttributes::default() });
    }
    if outputs.is_empty() || args.load.is_on() {
        outputs.push(Output::Image { push: Push::No, image: ImageAttributes::default() });
    }
    outputs
}

/// What was built, on its way out.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    lease: &'a Lease,
    built: &'a BuiltTarget,
    /// The images of the build, one for each platform.
    images: Vec<StoredImage>,
    /// Where layers of their bases are to be had.
    origins: Vec<BlobOrigin>,
    /// The predicate that is stated of every image.
    pub(crate) provenance: Option<Value>,
    args: &'a BuildArgs,
    session: &'a Session,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(
        lease: &'a Lease,
        built: &'a BuiltTarget,
        args: &'a BuildArgs,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        let read = |image: &wythe_builder::build::Image| {
            stored_image::of_ref(lease.store(), "the image", image.manifest.clone())
        };
        let images = built.images.iter().map(read).collect::<Result<_, _>>()?;
        let origins = built.images.iter().flat_map(|image| image.origins.clone()).collect();
        Ok(Self { lease, built, images, origins, provenance: None, args, session })
    }
}

impl Delivery<'_> {
    /// Delivers to every output, and writes the files that tell what was made.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut digest = self.built.root.digest.to_string();
        for output in outputs(&self.args.result) {
            self.refuse_unattested(&output)?;
            if let Some(shipped) = self.output(&output)? {
                digest = shipped;
            }
        }
        self.tell(&digest)
    }

    /// Statements are about manifests, which files have none of.
    fn refuse_unattested(&self, output: &Output) -> Result<(), Failure> {
        match output {
            Output::Files { .. } | Output::Tar { .. } if self.provenance.is_some() => {
                let text = "--provenance: files cannot carry a statement yet";
                Err(Failure::usage(text).remedy("type=oci, image and registry can"))
            }
            Output::Archive { .. }
            | Output::CacheOnly
            | Output::Files { .. }
            | Output::Image { .. }
            | Output::Tar { .. } => Ok(()),
        }
    }

    /// Delivers to one output; returns the digest of the manifest that left, if one did.
    fn output(&self, output: &Output) -> Result<Option<String>, Failure> {
        match output {
            Output::Archive { format, destination, image } => {
                self.archive(*format, destination, image).map(Some)
            }
            Output::CacheOnly => Ok(None),
            Output::Files { destination, split, stale } => {
                let (tree, store) = (self.files(*split)?, self.lease.store());
                files::write(&tree, store, self.epoch(), (destination, *stale)).map(|()| None)
            }
            Output::Image { push, image } => self.name(*push, image),
            Output::Tar { destination, split } => self.tar(*split, destination).map(|()| None),
        }
    }

    fn archive(
        &self,
        format: Format,
        destination: &Destination,
        image: &ImageAttributes,
    ) -> Result<String, Failure> {
        self.complete()?;
        let shipment = self.shipment(image)?;
        archive(&shipment, format, destination)?;
        Ok(shipment.root.digest.to_string())
    }

    fn tar(&self, split: Split, destination: &Destination) -> Result<(), Failure> {
        let tree = self.files(split)?;
        write_to(destination, |out| {
            tar_output::write(&tree, self.lease.store(), self.epoch(), out)
                .map_err(|error| Failure::of(Class::Environment, &error))
        })
    }

    /// `SOURCE_DATE_EPOCH`, which is that of all platforms.
    fn epoch(&self) -> Option<i64> {
        self.built.images.first().and_then(|image| image.epoch)
    }

    /// Names the image in the store, and pushes it under each name where that is asked for.
    fn name(&self, push: Push, image: &ImageAttributes) -> Result<Option<String>, Failure> {
        let names = self.names(image)?;
        if push == Push::No && !names.is_empty() {
            self.complete()?;
        }
        let mut batch = Batch::default();
        let root = self.kept(image)?;
        for name in &names {
            batch.set_ref(&ref_name(name), &root);
        }
        self.lease.commit(batch, Durability::Durable)?;
        if push == Push::No {
            return Ok(None);
        }
        if names.is_empty() {
            return Err(
                Failure::usage("an image without a name cannot be pushed").remedy("give --tag")
            );
        }
        let shipment = self.shipment(image)?;
        let client = self.session.registry()?;
        names.iter().try_for_each(|name| shipment.push(&client, name))?;
        Ok(Some(shipment.root.digest.to_string()))
    }

    /// Gets the layers of the base that no step has needed.
    fn complete(&self) -> Result<(), Failure> {
        let client = self.session.registry()?;
        Ok(Obtainable::new(self.lease, &client, &self.origins).complete()?)
    }

    fn names(&self, image: &ImageAttributes) -> Result<Vec<Reference>, Failure> {
        let names = self.args.result.tag.iter().chain(&image.names);
        names.map(|name| Ok(name.parse()?)).collect()
    }

    fn tell(&self, digest: &str) -> Result<(), Failure> {
        // An image of several platforms has as many configurations.
        let config = match self.images.as_slice() {
            [only] => Some(only.manifest.value().config.digest.to_string()),
            _ => None,
        };
        if let Some(path) = &self.args.result.iidfile {
            write_text(path, config.as_deref().unwrap_or(digest))?;
        }
        if let Some(path) = &self.args.result.metadata_file {
            let mut metadata = json!({
                "containerimage.digest": digest,
                "image.name": self.args.result.tag.join(","),
            });
            if let Some(config) = config {
                metadata["containerimage.config.digest"] = config.into();
            }
            write_text(path, &format!("{metadata:#}\n"))?;
        }
        let streams = outputs(&self.args.result).iter().any(to_stdout);
        if streams { Ok(()) } else { self.session.print(digest) }
    }
}

/// Whether standard output carries an archive, and so no digest.
fn to_stdout(output: &Output) -> bool {
    matches!(
        output,
        Output::Archive { destination: Destination::Stdout, .. }
            | Output::Tar { destination: Destination::Stdout, .. }
    )
}

fn archive(shipment: &Shipment<'_>, format: Format, to: &Destination) -> Result<(), Failure> {
    let flavour = match format {
        Format::Docker if shipment.root.media_type.is_index() => {
            let text = "a docker archive holds neither several platforms nor statements";
            return Err(Failure::usage(text).remedy("type=oci can"));
        }
        Format::Docker => Flavour::Docker,
        Format::Oci => Flavour::Oci,
    };
    match to {
        Destination::Directory(path) => shipment.write_layout(path),
        Destination::File(_) | Destination::Stdout => {
            write_to(to, |out| shipment.write_archive(out, flavour))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    #[track_caller]
    fn check(flags: &[&str], expected: &[&str]) {
        let words: Vec<&str> =
            ["wythe", "build"].iter().chain(flags).chain(&["."]).copied().collect();
        let Command::Build(args) = Cli::of(&words).unwrap().command else { panic!("not a build") };
        let name = |output: &Output| match output {
            Output::Archive { .. } => "archive",
            Output::CacheOnly => "cacheonly",
            Output::Files { .. } => "files",
            Output::Image { push: Push::ByName, .. } => "push",
            Output::Image { push: Push::No, .. } => "store",
            Output::Tar { .. } => "tar",
        };
        let found: Vec<&str> = outputs(&args.result).iter().map(name).collect();
        assert_eq!(found, expected, "{flags:?}");
    }

    #[test]
    fn without_an_output_the_image_stays_in_the_store() {
        check(&[], &["store"]);
    }

    #[test]
    fn push_and_load_are_short_for_outputs() {
        check(&["--push"], &["push"]);
        check(&["--push", "--load"], &["push", "store"]);
        check(&["-o", "type=oci,dest=x", "-o", "out"], &["archive", "files"]);
    }
}
