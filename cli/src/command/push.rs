//! `wythe push`.

use wythe_store::oci::reference::Reference;

use crate::args::image::PushArgs;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::{encode, stored_image};

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    let lease = session.store()?.lease()?;
    let image = stored_image::find(lease.store(), &args.image)?;
    let shipment = encode::shipment(&lease, &image, Layers::new(args.compression, None))?;
    shipment.push(&session.registry()?, &to)?;
    session.print(&shipment.root.digest.to_string())
}
