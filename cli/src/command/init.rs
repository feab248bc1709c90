//! `wythe init`.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use crate::args::init::InitArgs;
use crate::failure::{Class, Failure};
use crate::session::Session;
use crate::starter::Language;

const DOCKERFILE: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";

/// Writes what a project begins with, and prints the names of the files.
pub(crate) fn run(args: &InitArgs, session: &Session) -> Result<(), Failure> {
    let seen = Language::seen_in(&args.directory);
    let Some(language) = args.language.or_else(|| seen.first().copied()) else {
        let text = format!("no language is known by the files in {}", args.directory.display());
        return Err(Failure::usage(text).remedy("name one with --language"));
    };
    let starter = language.starter(&args.directory)?;
    if let Some(other) = seen.iter().find(|other| args.language.is_none() && **other != language) {
        let (taken, other) = (language.name(), other.name());
        session.remark(&format!("taken for {taken}; --language {other} is for the other files"));
    }
    let dockerfile = args.directory.join(DOCKERFILE);
    create(&dockerfile, &starter.dockerfile).map_err(|error| refused(&dockerfile, &error))?;
    session.print(&dockerfile.display().to_string())?;
    let ignore = args.directory.join(IGNORE);
    match create(&ignore, &starter.ignore) {
        Ok(()) => session.print(&ignore.display().to_string()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            session.remark(&format!("{} is there already, and stays as it is", ignore.display()));
            Ok(())
        }
        Err(error) => Err(refused(&ignore, &error)),
    }
}

/// Makes a file that is not there; a link is there wherever it leads.
fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::AlreadyExists {
        let text = format!("{} is there already", path.display());
        return Failure::usage(text).remedy("move it away, or build with it");
    }
    Failure::new(Class::Environment, format!("cannot write {}", path.display())).because(error)
}
