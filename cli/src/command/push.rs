//! `wythe push`.

use wythe_store::oci::reference::Reference;

use crate::args::image::PushArgs;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::{everything, several};

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let root = everything::of_store(&lease, &args.image, platform.as_ref(), session)?;
    let shipment = several::shipment(&lease, &root, Layers::new(args.compression, None))?;
    shipment.push(&session.registry()?, &to)?;
    session.print(&shipment.root.digest.to_string())
}
