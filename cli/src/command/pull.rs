//! `wythe pull`.

use wythe_builder::progress::AsEvents;
use wythe_store::image::catalog::ref_name;
use wythe_store::image::whole::Whole;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
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
    let (client, progress) = (session.registry()?, session.progress());
    let source = Watched { images: &client, transfers: &AsEvents(&*progress) };
    let lease = session.store()?.lease()?;
    let root = if args.all_platforms.is_on() {
        let whole = Whole { lease: &lease, source: &source, reference: &reference };
        closure::of_source(whole, None, Class::Network)?
    } else {
        let asked = args.which.platform()?;
        let platform = &asked.clone().unwrap_or_else(this_machine);
        let wanted = Wanted { source: &source, reference: &reference, platform };
        let image = wanted.fetch(&lease)?;
        match (asked, reference.digest()) {
            // One platform was asked for, and only that one is called so.
            (Some(_), None) => image.manifest.descriptor(),
            // What a digest names is fixed.
            (None, _) | (Some(_), Some(_)) => image.root,
        }
    };
    let mut batch = Batch::default();
    batch.set_ref(&ref_name(&reference), &root);
    lease.commit(batch, Durability::Durable)?;
    drop(progress);
    session.print(&root.digest.to_string())
}
