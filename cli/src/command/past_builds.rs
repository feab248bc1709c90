//! `wythe history ls|inspect|logs|rm|…`: what is known of past builds.

mod export;
mod inspect;
mod list;
mod logs;
mod open;
mod trace;

use crate::args::history::{BuildHistoryCommand, HistoryGroup, RemoveBuildsArgs};
use crate::build_record::shelf::{BuildShelf, ShelfError};
use crate::command::history;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Tells of an image or of past builds.
pub(crate) fn of_group(group: &HistoryGroup, session: &Session) -> Result<(), Failure> {
    match (&group.builds, &group.image) {
        (Some(command), _) => run(command, session),
        (None, Some(args)) => history::run(args, session),
        (None, None) => Err(Failure::usage("neither an image nor a command is named")),
    }
}

/// Tells of past builds.
pub(crate) fn run(command: &BuildHistoryCommand, session: &Session) -> Result<(), Failure> {
    let shelf = BuildShelf::of_store(&session.store_path()?);
    match command {
        BuildHistoryCommand::Export(args) => export::run(args, &shelf, session),
        BuildHistoryCommand::Inspect(args) => inspect::run(args, &shelf, session),
        BuildHistoryCommand::Logs(args) => logs::run(args, &shelf, session),
        BuildHistoryCommand::Ls(args) => list::run(args, &shelf, session),
        BuildHistoryCommand::Open(args) => open::run(args, &shelf, session),
        BuildHistoryCommand::Rm(args) => remove(args, &shelf),
        BuildHistoryCommand::Trace(args) => trace::run(args, &shelf, session),
    }
}

fn remove(args: &RemoveBuildsArgs, shelf: &BuildShelf) -> Result<(), Failure> {
    let named = args.builds.iter().map(|build| shelf.find(Some(build)));
    // All are looked up first: places count from the latest, and that may be one of them.
    let mut gone = named.collect::<Result<Vec<_>, _>>()?;
    if args.all.is_on() {
        gone = shelf.list()?;
    }
    gone.iter().try_for_each(|kept| shelf.remove(kept))?;
    Ok(())
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        match &error {
            ShelfError::Absent(_) | ShelfError::Empty | ShelfError::Several { .. } => {
                Self::usage(error.to_string()).remedy("`wythe history ls` lists past builds")
            }
            ShelfError::Folder { .. } | ShelfError::Stuck { .. } => {
                Self::of(Class::Environment, &error)
            }
            ShelfError::Unreadable { id, .. } => Self::of(Class::Damage, &error)
                .remedy(format!("`wythe history rm {id}` forgets it")),
        }
    }
}
