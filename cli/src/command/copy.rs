//! `wythe copy`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use crate::acquire::acquire;
use crate::args::image::CopyArgs;
use crate::args::place::Place;
use crate::encode;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::ship::{Shipment, refuse_other};

/// Copies an image from one place to another, and prints its digest.
pub(crate) fn run(args: &CopyArgs, session: &Session) -> Result<(), Failure> {
    let lease = session.store()?.lease()?;
    let image = acquire(&args.source, &lease, session)?;
    let mut shipment = encode::shipment(&lease, &image, Layers::new(None, None))?;
    deliver(&mut shipment, &args.destination, session)?;
    session.print(&shipment.root.digest.to_string())
}

fn deliver(shipment: &mut Shipment<'_>, to: &Place, session: &Session) -> Result<(), Failure> {
    match to {
        Place::DockerArchive { path, name } => {
            shipment.names = name.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
            shipment.write_file(Some(path), Flavour::Docker)
        }
        Place::Layout { path, tag } => {
            shipment.names = named(tag.as_deref())?;
            shipment.write_layout(path)
        }
        Place::OciArchive { path, tag } => {
            shipment.names = named(tag.as_deref())?;
            shipment.write_file(Some(path), Flavour::Oci)
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

/// A tag alone, as a layout has it.
fn named(tag: Option<&str>) -> Result<Vec<Reference>, Failure> {
    let reference = |tag| Ok(format!("localhost/image:{tag}").parse()?);
    tag.into_iter().map(reference).collect()
}
