//! What makes one state of a cache mount another: what goes, what comes, and what only has other metadata.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self as sys, Mode, OFlags};

use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::place::{DIRECTORY, finish};
use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, Metadata, Name, Node, Subdirectory, Tree};

/// What is to become of a directory.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Names that go first.
    gone: Vec<Name>,
    /// Names whose entries come, in place of those that are there.
    new: Vec<Name>,
    /// Files that hold what they held.
    given: Vec<(Name, Metadata)>,
    /// Directories that stay, in which something changes.
    below: Vec<(Name, Change)>,
    /// What the directory has in the end.
    metadata: Metadata,
}

/// What becomes of a name.
pub(crate) enum Fate<'c> {
    /// What is there stays what it is.
    Stays,
    /// What has it changes below.
    Below(&'c Change),
    /// What has it then comes, or is given other metadata.
    Comes,
}

/// How `old` becomes `new`, and what has to be made for it. Neither may have hard links.
pub(crate) fn change(old: &Tree, new: &Tree) -> (Change, Tree) {
    let metadata = new.root.clone().unwrap_or_default();
    let (change, made) = compare(&old.children, &new.children, metadata);
    (change, Tree { root: None, children: Arc::new(made) })
}

fn compare(old: &Directory, new: &Directory, metadata: Metadata) -> (Change, Directory) {
    let (mut change, mut made) = (Change { metadata, ..Change::default() }, Vec::new());
    let is_gone = |entry: &&Entry| new.get(&entry.name).is_none();
    change.gone = old.entries().iter().filter(is_gone).map(|entry| entry.name.clone()).collect();
    for entry in new.entries() {
        let there = old.get(&entry.name);
        if there == Some(entry) {
            continue;
        }
        let name = entry.name.clone();
        match there.map(|there| (there, &there.node, &entry.node)) {
            Some((_, Node::Directory(old), Node::Directory(new))) => {
                let (below, made_below) =
                    compare(&old.children, &new.children, entry.metadata.clone());
                if !made_below.is_empty() {
                    let children = Arc::new(made_below);
                    let node = Node::Directory(Subdirectory { claim: new.claim, children });
                    made.push(Entry { node, ..entry.clone() });
                }
                change.below.push((name, below));
                continue;
            }
            Some((there, Node::File(old), Node::File(new)))
                if (old.body, old.size) == (new.body, new.size)
                    && there.metadata.xattrs == entry.metadata.xattrs =>
            {
                change.given.push((name, entry.metadata.clone()));
                continue;
            }
            // No name of one kind is renamed over one of the other.
            Some((_, Node::Directory(_), _) | (_, _, Node::Directory(_))) => {
                change.gone.push(name.clone());
            }
            Some(_) | None => {}
        }
        change.new.push(name);
        made.push(entry.clone());
    }
    (change, Directory::from_entries(made))
}

impl Change {
    /// What becomes of a name that is there in the end.
    pub(crate) fn fate(&self, name: &[u8]) -> Fate<'_> {
        let beside = |one: &Name| (**one).cmp(name);
        if let Ok(at) = self.below.binary_search_by(|(one, _)| beside(one)) {
            return Fate::Below(&self.below[at].1);
        }
        let is_new = self.new.binary_search_by(beside).is_ok();
        let is_given = || self.given.binary_search_by(|(one, _)| beside(one)).is_ok();
        if is_new || is_given() { Fate::Comes } else { Fate::Stays }
    }

    /// Changes a directory, with what was made for it in another one of the same file system.
    ///
    /// # Errors
    ///
    /// With the first entry that cannot be changed; what was done until then is done.
    pub(crate) fn apply(&self, place: &Path, made: &Path) -> Result<(), MaterialiseError> {
        self.apply_to(place, made, &LayerPath::root())
    }

    fn apply_to(
        &self,
        place: &Path,
        made: &Path,
        path: &LayerPath,
    ) -> Result<(), MaterialiseError> {
        let failed = |name: &Name, cause: MaterialiseCause| {
            let path = path.join(name);
            MaterialiseError { path, cause }
        };
        let join = |at: &Path, name: &Name| at.join(OsStr::from_bytes(name));
        for name in &self.gone {
            remove(&join(place, name)).map_err(|error| failed(name, error.into()))?;
        }
        for (name, below) in &self.below {
            below.apply_to(&join(place, name), &join(made, name), &path.join(name))?;
        }
        for name in &self.new {
            let renamed = fs::rename(join(made, name), join(place, name));
            renamed.map_err(|error| failed(name, error.into()))?;
        }
        for (name, metadata) in &self.given {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            give(&join(place, name), flags, metadata).map_err(|cause| failed(name, cause))?;
        }
        give(place, DIRECTORY, &self.metadata)
            .map_err(|cause| MaterialiseError { path: path.clone(), cause })
    }
}

fn give(path: &Path, flags: OFlags, metadata: &Metadata) -> Result<(), MaterialiseCause> {
    let opened: OwnedFd = sys::open(path, flags, Mode::empty())?;
    finish(&opened, metadata)
}

fn remove(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
