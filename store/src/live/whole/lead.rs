//! Making a directory that is one root file system another one.

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self as sys, AtFlags, FileType, Mode};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::materialise::add;
use crate::live::place::DIRECTORY;
use crate::path::LayerPath;
use crate::store::Store;
use crate::sys::remove_at;
use crate::tree::diff::diff;
use crate::tree::entry::{Directory, Entry, Node, Subdirectory, Tree};

/// Changes the directory at `path`, which is the first tree, into the second one.
pub(super) fn lead(
    store: &Store,
    (from, to): (&Tree, &Tree),
    path: &Path,
) -> Result<(), MaterialiseError> {
    let changes = diff(from, to);
    let failed = |error: Errno| MaterialiseError { path: LayerPath::root(), cause: error.into() };
    let root = sys::open(path, DIRECTORY, Mode::empty()).map_err(failed)?;
    clear(&root, &changes.children, &LayerPath::root())?;
    let children = Arc::new(without_whiteouts(&changes.children));
    let added = Tree { root: to.root.clone(), children };
    add(&added, (store, store.unpacking_threads()), path)
}

/// Removes what is gone and what is in the way of what comes.
fn clear(at: &OwnedFd, changes: &Directory, path: &LayerPath) -> Result<(), MaterialiseError> {
    for change in changes.entries() {
        let path = path.join(&change.name);
        let failed = |cause: MaterialiseCause| MaterialiseError { path: path.clone(), cause };
        let stat = match sys::statat(at, &*change.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat.map_err(|error| failed(error.into()))?,
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        match &change.node {
            Node::Directory(below) if is_directory => {
                let opened = sys::openat(at, &*change.name, DIRECTORY, Mode::empty());
                let opened = opened.map_err(|error| failed(error.into()))?;
                clear(&opened, &below.children, &path)?;
            }
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Directory(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_)
            | Node::Whiteout => {
                remove_at(at, &*change.name).map_err(|error| failed(error.into()))?;
            }
        }
    }
    Ok(())
}

fn without_whiteouts(directory: &Directory) -> Directory {
    let entries = directory.entries().iter().filter_map(|entry| {
        let node = match &entry.node {
            Node::Whiteout => return None,
            Node::Directory(below) => {
                let children = Arc::new(without_whiteouts(&below.children));
                Node::Directory(Subdirectory { children, ..below.clone() })
            }
            other @ (Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_)) => other.clone(),
        };
        Some(Entry { node, ..entry.clone() })
    });
    Directory::from_entries(entries.collect())
}
