//! A root file system as files for the person who asked: theirs, whoever owns them in the image.

use std::fs;
use std::io;
use std::path::Path;

use wythe_store::image::local_output;
use wythe_store::layer::bodies::Bodies;
use wythe_store::tree::entry::Tree;

use crate::args::output::Stale;
use crate::failure::{Class, Failure};

/// Writes the files of a tree into a directory. What is there already stays, unless it is to be
/// deleted or the tree has something of the same name. All times are `epoch`, if there is one.
pub(crate) fn write(
    tree: &Tree,
    bodies: &dyn Bodies,
    epoch: Option<i64>,
    (directory, stale): (&Path, Stale),
) -> Result<(), Failure> {
    let text = || format!("cannot write to {}", directory.display());
    let failed = |error: io::Error| Failure::new(Class::Environment, text()).because(&error);
    if stale == Stale::Deleted {
        empty(directory).map_err(failed)?;
    }
    fs::create_dir_all(directory).map_err(failed)?;
    local_output::write(tree, bodies, epoch, directory)
        .map_err(|error| Failure::new(Class::Environment, text()).because(&error))
}

/// Removes everything in a directory, if there is one.
fn empty(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
