//! `wythe verify`.

use wythe_store::image::stacks::stacks;
use wythe_store::live::compare::compare;

use crate::args::store::VerifyArgs;
use crate::failure::{Class, Failure};
use crate::session::Session;
use crate::world;

/// Compares everything in the store with its digests, and lists what is damaged.
pub(crate) fn run(args: &VerifyArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_to_read()?;
    let mut damage = store.verify()?;
    let mut remedy = "pull or build the images concerned again";
    if damage.is_empty() && args.live {
        remedy = "remove these directories of the store: they are made again from their layers";
        let (lease, stacks) = (store.lease()?, stacks(&store)?);
        let compared = || compare(&lease, world::id_map().as_bytes(), &stacks);
        damage.extend(world::threads()?.install(compared)?);
    }
    for found in &damage {
        session.print(&Failure::of(Class::Damage, found).sentence())?;
    }
    match damage.len() {
        0 => session.print("no damage"),
        count => {
            let failure = Failure::new(Class::Damage, format!("{count} things are damaged"));
            Err(failure.remedy(remedy))
        }
    }
}
