//! `wythe pull`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::reference::Reference;

use crate::args::image::PullArgs;
use crate::failure::Failure;
use crate::fetch::Wanted;
use crate::session::Session;
use crate::stored_image::this_machine;

/// Fetches an image into the store, and prints its digest.
pub(crate) fn run(args: &PullArgs, session: &Session) -> Result<(), Failure> {
    let reference: Reference = args.image.parse()?;
    let platform = match &args.platform {
        Some(text) => text.parse()?,
        None => this_machine(),
    };
    let client = session.registry()?;
    let lease = session.store()?.lease()?;
    let wanted = Wanted { source: &client, reference: &reference, platform: &platform };
    let image = wanted.fetch(&lease)?;
    let mut batch = Batch::default();
    // One platform was asked for, and only that one is called so; but what a digest names is fixed.
    let root = match (&args.platform, reference.digest()) {
        (Some(_), None) => image.manifest.descriptor(),
        (None, _) | (Some(_), Some(_)) => image.root,
    };
    batch.set_ref(&ref_name(&reference), &root);
    lease.commit(batch, Durability::Durable)?;
    session.print(&root.digest.to_string())
}
