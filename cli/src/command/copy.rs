//! `wythe copy`.

use std::io;
use std::path::Path;

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use crate::acquire::acquire;
use crate::args::image::CopyArgs;
use crate::args::place::{Place, STANDARD_OUTPUT};
use crate::command::save::spoken;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::several;
use crate::ship::{Shipment, refuse_other, refuse_terminal};

/// Copies an image from one place to another, and prints its digest, unless the image goes where that
/// would be printed.
pub(crate) fn run(args: &CopyArgs, session: &Session) -> Result<(), Failure> {
    if args.destination.is_standard_output() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let root = acquire(&args.source, platform.as_ref(), (&lease, session))?;
    let mut shipment = several::shipment(&lease, &root, Layers::new(None, None))?;
    // What docker loads without a name it lists without one.
    shipment.names.extend(args.source.name().and_then(|name| spoken(name.parse().ok()?)));
    deliver(&mut shipment, &args.destination, session)?;
    if args.destination.is_standard_output() {
        return Ok(());
    }
    session.print(&shipment.root.digest.to_string())
}

fn deliver(shipment: &mut Shipment<'_>, to: &Place, session: &Session) -> Result<(), Failure> {
    match to {
        Place::DockerArchive { path, name } => {
            if let Some(name) = name {
                shipment.names = spoken(name.parse()?).into_iter().collect();
            }
            shipment.write_file(file(path), Flavour::Docker)
        }
        Place::Layout { path, tag } => {
            shipment.names = named(tag.as_deref())?;
            shipment.write_layout(path)
        }
        Place::OciArchive { path, tag } => {
            shipment.names = named(tag.as_deref())?;
            shipment.write_file(file(path), Flavour::Oci)
        }
        Place::Registry(name) => shipment.push(&session.registry()?, &name.parse()?),
        Place::Store(name) => {
            let name: Reference = name.parse()?;
            refuse_other(&name, shipment.root.digest)?;
            let mut batch = Batch::default();
            batch.set_ref(&ref_name(&name), &shipment.root);
            shipment.lease.commit(batch, Durability::Durable)?;
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
