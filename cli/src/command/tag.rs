//! `wythe tag`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::reference::Reference;

use crate::args::image::TagArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::stored_image;

/// Gives an image another name.
pub(crate) fn run(args: &TagArgs, session: &Session) -> Result<(), Failure> {
    let target: Reference = args.target.parse()?;
    if target.digest().is_some() {
        return Err(Failure::usage("a digest cannot be given to an image, it has one"));
    }
    let store = session.store()?;
    // A lease first: whoever collects garbage meanwhile leaves the image alone.
    let lease = store.lease()?;
    let image = stored_image::find(&store, &args.source)?;
    let mut batch = Batch::default();
    batch.set_ref(&ref_name(&target), &image.root);
    lease.commit(batch, Durability::Durable)?;
    Ok(())
}
