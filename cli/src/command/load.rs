//! `wythe load`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::reference::Reference;

use crate::acquire;
use crate::args::image::LoadArgs;
use crate::failure::Failure;
use crate::session::Session;

/// Reads an image from an archive or a layout directory, and names it.
pub(crate) fn run(args: &LoadArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.tag.parse()?;
    let lease = session.store()?.lease()?;
    let image = if args.input.is_dir() {
        acquire::from_layout(&args.input, args.select.as_deref(), &lease)?
    } else {
        acquire::from_archive(&args.input, args.select.as_deref(), &lease)?
    };
    let mut batch = Batch::default();
    batch.set_ref(&ref_name(&name), &image.root);
    lease.commit(batch, Durability::Durable)?;
    session.print(&image.root.digest.to_string())
}
