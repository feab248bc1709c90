//! `wythe save`.

use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use crate::args::image::SaveArgs;
use crate::args::output::Format;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::{encode, stored_image};

/// Writes an image to an archive.
pub(crate) fn run(args: &SaveArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.image.parse()?;
    let lease = session.store()?.lease()?;
    let image = stored_image::find(lease.store(), &args.image)?;
    let mut shipment = encode::shipment(&lease, &image, Layers::new(None, None))?;
    shipment.names.push(name);
    shipment.write_file(args.output.as_deref(), flavour(args.format))
}

/// The flavour of an archive.
pub(crate) fn flavour(format: Format) -> Flavour {
    match format {
        Format::Docker => Flavour::Docker,
        Format::Oci => Flavour::Oci,
    }
}
