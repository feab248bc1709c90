//! The results of a build to where the flags say they go.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use wythe_builder::build::Image;
use wythe_builder::origin::BlobOrigin;
use wythe_store::image::catalog::{StoredImage, ref_name};
use wythe_store::image::encode::Recompress;
use wythe_store::image::rewrite::clamp_times;
use wythe_store::image::rootfs::rootfs;
use wythe_store::image::tar_output;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::media_type::Compression;
use wythe_store::oci::reference::Reference;
use wythe_store::tree::entry::Tree;

use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::output::{Destination, Format, ImageAttributes, Output, Push, Times};
use crate::encode::{self, Layers};
use crate::failure::{Class, Failure};
use crate::files;
use crate::obtainable::Obtainable;
use crate::session::Session;
use crate::ship::Shipment;

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

/// An image that was built, on its way out.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) image: &'a StoredImage,
    pub(crate) made: &'a Image,
    pub(crate) args: &'a BuildArgs,
    pub(crate) session: &'a Session,
}

impl Delivery<'_> {
    /// Delivers to every output, and writes the files that tell what was made.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut digest = self.image.root.digest.to_string();
        for output in outputs(&self.args.result) {
            if let Some(shipped) = self.output(&output)? {
                digest = shipped;
            }
        }
        self.tell(&digest)
    }

    /// Delivers to one output; returns the digest of the manifest that left, if one did.
    fn output(&self, output: &Output) -> Result<Option<String>, Failure> {
        match output {
            Output::Archive { format, destination, image } => {
                self.complete()?;
                let shipment = self.shipment(image)?;
                archive(&shipment, *format, destination)?;
                Ok(Some(shipment.root.digest.to_string()))
            }
            Output::CacheOnly => Ok(None),
            Output::Files { destination } => {
                let tree = self.files()?;
                files::write(&tree, self.lease.store(), self.made.epoch, destination)?;
                Ok(None)
            }
            Output::Image { push, image } => self.name(*push, image),
            Output::Tar { destination } => {
                let tree = self.files()?;
                to(destination, |out| {
                    tar_output::write(&tree, self.lease.store(), self.made.epoch, out)
                        .map_err(|error| Failure::of(Class::Environment, &error))
                })?;
                Ok(None)
            }
        }
    }

    /// Names the image in the store, and pushes it under each name where that is asked for.
    fn name(&self, push: Push, image: &ImageAttributes) -> Result<Option<String>, Failure> {
        let names = self.names(image)?;
        if push == Push::No && !names.is_empty() {
            self.complete()?;
        }
        let mut batch = Batch::default();
        let root = self.rewritten(image)?.root;
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

    fn shipment(&self, image: &ImageAttributes) -> Result<Shipment<'_>, Failure> {
        let compression = image.compression.or(self.args.result.compression);
        let layers = Layers::new(compression, image.level);
        let layers = Layers { recompress: image.recompress, ..layers };
        if image.recompress == Recompress::Differing || self.made.origins.iter().any(is_plain) {
            self.complete()?;
        }
        let mut shipment = encode::shipment(self.lease, &self.rewritten(image)?, layers)?;
        shipment.names = self.names(image)?;
        shipment.origins = &self.made.origins;
        Ok(shipment)
    }

    /// Gets the layers of the base that no step has needed.
    fn complete(&self) -> Result<(), Failure> {
        let client = self.session.registry()?;
        Ok(Obtainable::new(self.lease, &client, &self.made.origins).complete()?)
    }

    fn files(&self) -> Result<Tree, Failure> {
        self.complete()?;
        Ok(rootfs(self.lease, self.image)?)
    }

    /// The image with the times it is to have.
    fn rewritten(&self, image: &ImageAttributes) -> Result<StoredImage, Failure> {
        match (image.times, self.made.epoch) {
            (Times::Rewritten, Some(epoch)) => {
                Ok(clamp_times(self.lease, self.image, self.made.base_layers, epoch)?)
            }
            (Times::Rewritten, None) | (Times::Kept, _) => Ok(self.image.clone()),
        }
    }

    fn names(&self, image: &ImageAttributes) -> Result<Vec<Reference>, Failure> {
        let names = self.args.result.tag.iter().chain(&image.names);
        names.map(|name| Ok(name.parse()?)).collect()
    }

    fn tell(&self, digest: &str) -> Result<(), Failure> {
        let id = self.image.manifest.value().config.digest.to_string();
        if let Some(path) = &self.args.result.iidfile {
            write(path, &id)?;
        }
        if let Some(path) = &self.args.result.metadata_file {
            let metadata = json!({
                "containerimage.config.digest": id,
                "containerimage.digest": digest,
                "image.name": self.args.result.tag.join(","),
            });
            write(path, &format!("{metadata:#}\n"))?;
        }
        let streams = outputs(&self.args.result).iter().any(to_stdout);
        if streams { Ok(()) } else { self.session.print(digest) }
    }
}

/// Whether a layer is compressed when it leaves, for which its bytes have to be here.
fn is_plain(origin: &BlobOrigin) -> bool {
    origin.descriptor.media_type.layer_compression() == Some(Compression::None)
}

/// Whether standard output carries an archive, and so no digest.
fn to_stdout(output: &Output) -> bool {
    matches!(
        output,
        Output::Archive { destination: Destination::Stdout, .. }
            | Output::Tar { destination: Destination::Stdout }
    )
}

fn archive(shipment: &Shipment<'_>, format: Format, to_where: &Destination) -> Result<(), Failure> {
    let flavour = match format {
        Format::Docker => Flavour::Docker,
        Format::Oci => Flavour::Oci,
    };
    match to_where {
        Destination::Directory(path) => shipment.write_layout(path),
        Destination::File(_) | Destination::Stdout => {
            to(to_where, |out| shipment.write_archive(out, flavour))
        }
    }
}

/// Writes to a file or standard output; a file that could not be completed is removed.
fn to(
    destination: &Destination,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (Destination::File(path) | Destination::Directory(path)) = destination else {
        return write(&mut io::stdout().lock());
    };
    let failed = |error: io::Error| unwritable(path, &error);
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    let written = write(&mut out).and_then(|()| out.flush().map_err(failed));
    if written.is_err() {
        // The failure that is reported is the one that came first.
        let _ = fs::remove_file(path);
    }
    written
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Class::Environment, format!("cannot write {}", path.display())).because(error)
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
