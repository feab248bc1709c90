//! `wythe rmi`.

use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;

use crate::args::image::RmiArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::stored_image;

/// Removes names of images: all of them, or none where one does not exist.
pub(crate) fn run(args: &RmiArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let lease = store.lease()?;
    let mut batch = Batch::default();
    let mut removed: Vec<String> = Vec::new();
    for text in &args.images {
        match meant(&store, text, args) {
            Ok(names) => removed.extend(names),
            Err(failure) if args.force.is_on() => session.remark(&failure.sentence()),
            Err(failure) => return Err(failure),
        }
    }
    for name in &removed {
        batch.remove_ref(name);
    }
    if !batch.is_empty() {
        lease.commit(batch, Durability::Durable)?;
    }
    removed.iter().try_for_each(|name| session.print(name))
}

/// The names that a word means: itself, or all that have its id.
fn meant(store: &Store, text: &str, args: &RmiArgs) -> Result<Vec<String>, Failure> {
    let absent = match text.parse::<Reference>() {
        Ok(reference) => {
            let name = ref_name(&reference);
            if store.find_ref(&name)?.is_some() {
                return Ok(vec![name]);
            }
            stored_image::absent(&reference)
        }
        Err(error) => error.into(),
    };
    let names: Vec<String> =
        stored_image::by_id(store, text)?.into_iter().map(|(name, _)| name).collect();
    match names.as_slice() {
        [] => Err(absent),
        [_, _, ..] if !args.force.is_on() => {
            let text = format!("{text} has several names: {}", names.join(", "));
            Err(Failure::usage(text).remedy("name those that are to go, or give --force"))
        }
        _ => Ok(names),
    }
}
