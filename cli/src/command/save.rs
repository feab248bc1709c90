//! `wythe save`.

use std::io;

use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerCompression, LayerOptions};
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Access;

use crate::archive_file::{refuse_terminal, write_file};
use crate::args::image::SaveArgs;
use crate::args::output::Format;
use crate::closure;
use crate::failure::Failure;
use crate::host;
use crate::session::Session;

/// Writes an image to an archive.
pub(crate) fn run(args: &SaveArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.image.parse()?;
    if args.output.is_none() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let lease = session.store_to_read()?.lease()?;
    let platform = args.which.platform()?;
    let client = session.registry()?;
    let stored = closure::of_store(&lease, &args.image, platform.as_ref(), &client)?;
    stored.complete(&lease)?;
    // Compressed parts are kept, which a store that may only be read does not do.
    let compression = match lease.store().access() {
        Access::Read => LayerCompression::Uncompressed,
        Access::Write => LayerCompression::default(),
    };
    let layers = LayerOptions { compression, ..LayerOptions::default() };
    let (content, pool) = (stored.content(&lease), host::threads()?);
    let mut image = OutgoingImage::encode(&content, &stored.root, layers, &pool)?;
    image.names.extend(spoken(name));
    write_file(&image, args.output.as_deref(), flavour(args.format))
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
