//! `wythe push`.

use wythe_store::oci::reference::Reference;

use crate::args::image::PushArgs;
use crate::encode::{self, Layers};
use crate::failure::Failure;
use crate::obtainable::whole;
use crate::session::Session;
use crate::several;

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    let lease = session.store()?.lease()?;
    let image = whole(&lease, &args.image, session)?;
    let layers = Layers::new(args.compression, None);
    let mut shipment = encode::shipment(&lease, &image, layers)?;
    shipment.root = several::root(&lease, &image, layers)?;
    shipment.push(&session.registry()?, &to)?;
    session.print(&shipment.root.digest.to_string())
}
