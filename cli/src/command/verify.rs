//! `wythe verify`.

use crate::args::store::VerifyArgs;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Compares everything in the store with its digests, and lists what is damaged.
pub(crate) fn run(_args: &VerifyArgs, session: &Session) -> Result<(), Failure> {
    let damage = session.store()?.verify()?;
    for found in &damage {
        session.print(&Failure::of(Class::Damage, found).sentence())?;
    }
    match damage.len() {
        0 => session.print("no damage"),
        count => {
            let failure = Failure::new(Class::Damage, format!("{count} things are damaged"));
            Err(failure.remedy("pull or build the images concerned again"))
        }
    }
}
