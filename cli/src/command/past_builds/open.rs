//! `wythe history open`: a past build in a browser.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use super::export::page;
use crate::args::history::OpenBuildArgs;
use crate::build_record::log::BuildLog;
use crate::build_record::shelf::BuildShelf;
use crate::failure::{Class, Failure};
use crate::host;
use crate::session::Session;

/// What opens files with the programs that people like.
const OPENER: &str = "xdg-open";

/// What says that there is a screen.
const SCREENS: [&str; 2] = ["WAYLAND_DISPLAY", "DISPLAY"];

/// Writes the page of a build where pages are kept, says where, and shows it where there is a screen.
pub(super) fn run(
    args: &OpenBuildArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let (record, log): (_, BuildLog) = shelf.read(&shelf.find(args.build.as_ref())?)?;
    let text = page(&record, &log, session)?;
    let folder = session.settings.cache_folder().map(|folder| folder.join("builds"));
    let folder = folder.ok_or_else(|| {
        Failure::new(Class::Environment, "cannot tell where to write the page").remedy("set HOME")
    })?;
    let path = folder.join(format!("{}.html", record.id));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text));
    written.map_err(|error: io::Error| {
        let what = format!("cannot write {}", path.display());
        Failure::new(Class::Environment, what).because(&error)
    })?;
    session.print(&path.display().to_string())?;
    let is_seen = SCREENS.iter().any(|name| session.settings.path(name).is_some());
    let Some(opener) = host::program(OPENER, &session.settings).filter(|_| is_seen) else {
        return Ok(());
    };
    let null = Stdio::null;
    let opened =
        Command::new(opener).arg(&path).stdin(null()).stdout(null()).stderr(null()).spawn();
    if let Err(error) = opened {
        session.remark(&format!("{OPENER} does not run: {error}"));
    }
    Ok(())
}
