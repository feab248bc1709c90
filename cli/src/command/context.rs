//! `wythe context`: docker's contexts, of which there is one.

use crate::args::docker_groups::{ContextCommand, ContextGroup};
use crate::failure::Failure;
use crate::session::Session;

/// Says what there is of contexts.
pub(crate) fn run(args: &ContextGroup, session: &Session) -> Result<(), Failure> {
    match &args.command {
        ContextCommand::Ls { quiet } if quiet.is_on() => session.print("default"),
        ContextCommand::Ls { .. } => {
            let store = session.store_path()?;
            session.print("NAME        DESCRIPTION             DOCKER ENDPOINT")?;
            session.print(&format!("default *   The store of wythe      {}", store.display()))
        }
        ContextCommand::Show => session.print("default"),
        ContextCommand::Use { name } => session.print(name),
    }
}
