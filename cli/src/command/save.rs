//! `wythe save`.

use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;

use crate::args::image::SaveArgs;
use crate::args::output::Format;
use crate::encode::{self, Layers};
use crate::failure::Failure;
use crate::obtainable::whole;
use crate::session::Session;

/// Writes an image to an archive.
pub(crate) fn run(args: &SaveArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.image.parse()?;
    let lease = session.store()?.lease()?;
    let image = whole(&lease, &args.image, session)?;
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
