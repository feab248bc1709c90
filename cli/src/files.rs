//! A root file system as files for the person who asked: theirs, whoever owns them in the image.

use std::fs;
use std::io;
use std::path::Path;

use wythe_store::image::local_output;
use wythe_store::store::Store;
use wythe_store::tree::entry::Tree;

use crate::failure::{Class, Failure};

/// Writes the files of a tree into a directory. What is there already stays, unless the tree has
/// something of the same name. All times are `epoch`, if there is one.
pub(crate) fn write(
    tree: &Tree,
    store: &Store,
    epoch: Option<i64>,
    directory: &Path,
) -> Result<(), Failure> {
    let text = || format!("cannot write to {}", directory.display());
    let failed = |error: io::Error| Failure::new(Class::Environment, text()).because(&error);
    fs::create_dir_all(directory).map_err(failed)?;
    local_output::write(tree, store, epoch, directory)
        .map_err(|error| Failure::new(Class::Environment, text()).because(&error))
}
