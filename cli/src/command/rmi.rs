//! `wythe rmi`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::reference::Reference;

use crate::args::image::RmiArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::stored_image;

/// Removes names of images: all of them, or none where one does not exist.
pub(crate) fn run(args: &RmiArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let lease = store.lease()?;
    let mut batch = Batch::default();
    let mut removed = Vec::new();
    for name in &args.images {
        let reference: Reference = name.parse()?;
        let name = ref_name(&reference);
        if store.find_ref(&name)?.is_none() {
            return Err(stored_image::absent(&reference));
        }
        batch.remove_ref(&name);
        removed.push(name);
    }
    lease.commit(batch, Durability::Durable)?;
    removed.iter().try_for_each(|name| session.print(name))
}
