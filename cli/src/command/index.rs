//! `wythe index`.

mod create;
pub(crate) mod show;

use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

use crate::args::index::{IndexArgs, IndexCommand, IndexInspectArgs};
use crate::failure::Failure;
use crate::session::Session;

/// Makes an index of what registries hold, or shows one.
pub(crate) fn run(args: &IndexArgs, session: &Session) -> Result<(), Failure> {
    match &args.command {
        IndexCommand::Create(args) => create::run(args, session),
        IndexCommand::Inspect(args) => inspect(args, session),
    }
}

fn inspect(args: &IndexInspectArgs, session: &Session) -> Result<(), Failure> {
    let name: Reference = args.name.parse()?;
    let client = session.registry()?;
    let (root, bytes) = client.manifest(&name)?;
    let (root, bytes) = match args.which.platform()? {
        None => (root, bytes),
        Some(platform) => match show::entry(&root, &bytes, &platform)? {
            None => (root, bytes),
            Some(entry) => client.manifest(&name.clone().with_digest(entry.digest))?,
        },
    };
    if args.raw.is_on() {
        return session.write(&bytes);
    }
    session.write(show::page(&name, &root, &bytes)?.as_bytes())
}
