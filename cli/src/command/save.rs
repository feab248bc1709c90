//! `wythe save`.

use std::io;

use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Access;

use crate::args::image::SaveArgs;
use crate::args::image_attributes::Compression;
use crate::args::output::Format;
use crate::encode::Layers;
use crate::failure::Failure;
use crate::session::Session;
use crate::ship::refuse_terminal;
use crate::{everything, several};

/// Writes an image to an archive.
pub(crate) fn run(args: &SaveArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.image.parse()?;
    if args.output.is_none() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let lease = session.store_to_read()?.lease()?;
    let platform = args.which.platform()?;
    let root = everything::of_store(&lease, &args.image, platform.as_ref(), session)?;
    // Compressed parts are kept, which a store that may only be read does not do.
    let as_they_lie = (lease.store().access() == Access::Read).then_some(Compression::Uncompressed);
    let mut shipment = several::shipment(&lease, &root, Layers::new(as_they_lie, None))?;
    shipment.names.extend(spoken(name));
    shipment.write_file(args.output.as_deref(), flavour(args.format))
}

/// The name that an archive can give to an image: its digest is no part of that.
pub(crate) fn spoken(name: Reference) -> Option<Reference> {
    match (name.tag(), name.digest()) {
        (None, Some(_)) => None,
        _ => Some(name.without_digest()),
    }
}

/// The flavour of an archive.
pub(crate) fn flavour(format: Format) -> Flavour {
    match format {
        Format::Docker => Flavour::Docker,
        Format::Oci => Flavour::Oci,
    }
}
