//! `wythe save`.

use std::io;

use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerCompression, LayerOptions};
use wythe_store::image::catalog::ref_name;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::reference::Reference;
use wythe_store::store::{Access, Store};

use crate::archive_file::{refuse_terminal, write_files};
use crate::args::image::SaveArgs;
use crate::args::output::Format;
use crate::closure::{self, LocatedImage};
use crate::failure::Failure;
use crate::host;
use crate::session::Session;

/// Writes images to an archive.
pub(crate) fn run(args: &SaveArgs, session: &Session) -> Result<(), Failure> {
    if args.output.is_none() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let lease = session.store_to_read()?.lease()?;
    let platform = args.which.platform()?;
    let client = session.registry()?;
    let located = |name: &String| closure::of_store(&lease, name, platform.as_ref(), &client);
    let stored: Vec<LocatedImage<'_>> =
        args.images.iter().map(located).collect::<Result<_, _>>()?;
    stored.iter().try_for_each(|image| image.complete(&lease))?;
    // Compressed parts are kept, which a store that may only be read does not do.
    let compression = match lease.store().access() {
        Access::Read => LayerCompression::Uncompressed,
        Access::Write => LayerCompression::default(),
    };
    let layers = LayerOptions { compression, ..LayerOptions::default() };
    let (pool, mut images) = (host::threads()?, Vec::new());
    for (stored, name) in stored.iter().zip(&args.images) {
        let mut image =
            OutgoingImage::encode(&stored.content(&lease), &stored.root, layers, &pool)?;
        // One that was asked for by its id has no name there.
        let name = name.parse().ok().filter(|name| is_name(lease.store(), name));
        image.names.extend(name.and_then(spoken));
        images.push(image);
    }
    write_files(&images, args.output.as_deref(), flavour(args.format))
}

/// Whether the store has something under a name.
fn is_name(store: &Store, reference: &Reference) -> bool {
    store.find_ref(&ref_name(reference)).is_ok_and(|root| root.is_some())
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
