//! `wythe copy`.

use std::io;
use std::path::Path;

use wythe_builder::progress::AsEvents;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::image::{OutgoingImage, refuse_other};
use wythe_delivery::options::LayerOptions;
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use crate::acquire::acquire;
use crate::archive_file::{refuse_terminal, write_file};
use crate::args::image::CopyArgs;
use crate::args::location::{ImageLocation, STANDARD_OUTPUT};
use crate::aws::create_repositories;
use crate::command::save::spoken;
use crate::failure::Failure;
use crate::session::Session;

/// Copies an image from one place to another, and prints its digest, unless the image goes where that
/// would be printed.
pub(crate) fn run(args: &CopyArgs, session: &Session) -> Result<(), Failure> {
    if args.destination.is_standard_output() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let mut pushed: Vec<Reference> = Vec::new();
    if let ImageLocation::Registry(name) = &args.destination {
        pushed.push(name.parse()?);
    }
    create_repositories(&pushed, args.repositories.create_repo, session)?;
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let root = acquire(&args.source, platform.as_ref(), (&lease, session))?;
    let (client, layers) = (session.registry()?, LayerOptions::default());
    let mut image =
        OutgoingImage::encode(&OutgoingContent::new(&lease, &client, &[]), &root, layers)?;
    // What docker loads without a name it lists without one.
    image.names.extend(args.source.name().and_then(|name| spoken(name.parse().ok()?)));
    deliver(&mut image, &args.destination, session)?;
    if args.destination.is_standard_output() {
        return Ok(());
    }
    session.print(&image.root.digest.to_string())
}

fn deliver(
    image: &mut OutgoingImage<'_>,
    to: &ImageLocation,
    session: &Session,
) -> Result<(), Failure> {
    match to {
        ImageLocation::DockerArchive { path, name } => {
            if let Some(name) = name {
                image.names = spoken(name.parse()?).into_iter().collect();
            }
            write_file(image, file(path), Flavour::Docker)
        }
        ImageLocation::Layout { path, tag } => {
            image.names = named(tag.as_deref())?;
            Ok(image.write_layout(path)?)
        }
        ImageLocation::OciArchive { path, tag } => {
            image.names = named(tag.as_deref())?;
            write_file(image, file(path), Flavour::Oci)
        }
        ImageLocation::Registry(name) => {
            let progress = session.progress();
            Ok(image.push(&session.registry()?, &name.parse()?, &AsEvents(&*progress))?)
        }
        ImageLocation::Store(name) => {
            let name: Reference = name.parse()?;
            refuse_other(&name, image.root.digest)?;
            let mut batch = Batch::default();
            batch.set_ref(&ref_name(&name), &image.root);
            image.lease.commit(batch, Durability::Durable)?;
            Ok(())
        }
    }
}

/// The file of an archive; `None` for standard output.
fn file(path: &Path) -> Option<&Path> {
    (path.as_os_str() != STANDARD_OUTPUT).then_some(path)
}

/// A tag alone, as a layout has it.
fn named(tag: Option<&str>) -> Result<Vec<Reference>, Failure> {
    let reference = |tag| Ok(format!("localhost/image:{tag}").parse()?);
    tag.into_iter().map(reference).collect()
}
