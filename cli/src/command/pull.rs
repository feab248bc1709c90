//! `wythe pull`.

use wythe_builder::progress::AsEvents;
use wythe_store::image::catalog::ref_name;
use wythe_store::image::whole::Whole;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Watched;

use crate::args::image::PullArgs;
use crate::closure;
use crate::failure::{Class, Failure};
use crate::fetch::Wanted;
use crate::session::Session;
use crate::stored_image::this_machine;

/// Fetches an image into the store, and prints its digest. A name that stands for several images
/// goes on doing so, though only the one for this machine is fetched.
pub(crate) fn run(args: &PullArgs, session: &Session) -> Result<(), Failure> {
    let reference: Reference = args.image.parse()?;
    let lease = session.store()?.lease()?;
    let which = if args.all_platforms.is_on() {
        Platforms::All
    } else {
        args.which.platform()?.map_or(Platforms::OfThisMachine, Platforms::One)
    };
    let root = fetch(&reference, which, (&lease, session))?;
    session.print(&root.digest.to_string())
}

/// Which images are fetched of a name that stands for several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Platforms {
    All,
    OfThisMachine,
    One(Platform),
}

/// Fetches an image into the store, under its name there.
pub(crate) fn fetch(
    reference: &Reference,
    which: Platforms,
    (lease, session): (&Lease, &Session),
) -> Result<Descriptor, Failure> {
    let (client, progress) = (session.registry()?, session.progress());
    let source = Watched { images: &client, transfers: &AsEvents(&*progress) };
    let fetched =
        |platform: &Platform| Wanted { source: &source, reference, platform }.fetch(lease);
    let root = match which {
        Platforms::All => {
            closure::of_source(Whole { lease, source: &source, reference }, None, Class::Network)?
        }
        Platforms::OfThisMachine => fetched(&this_machine())?.root,
        // What a digest names is fixed.
        Platforms::One(platform) if reference.digest().is_some() => fetched(&platform)?.root,
        // One platform was asked for, and only that one is called so.
        Platforms::One(platform) => fetched(&platform)?.manifest.descriptor(),
    };
    let mut batch = Batch::default();
    batch.set_ref(&ref_name(reference), &root);
    lease.commit(batch, Durability::Durable)?;
    Ok(root)
}
