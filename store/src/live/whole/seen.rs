//! What the files of a directory were when they were last looked at.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{self as sys, AtFlags, Mode, Stat, StatxFlags};
use rustix::io::Errno;

use crate::live::place::DIRECTORY;
use crate::live::upper::{UpperError, failed};
use crate::path::LayerPath;
use crate::tree::entry::{Directory, Metadata, Node, Tree};

/// A moment of a file system's clock, which goes in steps.
pub(super) type Moment = (i64, i64);

/// A directory that was made once: inodes are used again, and then begin anew.
pub(super) type Identity = (u64, i64, u32);

/// What the files of a directory were, by their inodes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    leaves: HashMap<u64, (Moment, Metadata, Node)>,
    directories: BTreeMap<LayerPath, Identity>,
    /// What changed from then on may have changed once more without its time telling.
    since: Moment,
}

impl Seen {
    /// One that is to be filled now, for the directory at `path`.
    pub(super) fn now(path: &Path) -> Result<Self, UpperError> {
        let since = moment(path).map_err(|error| failed(&LayerPath::root(), error))?;
        Ok(Self { since, ..Self::default() })
    }

    /// Looks at a directory that was made of `tree`.
    pub(super) fn of(path: &Path, tree: &Tree) -> Result<Self, UpperError> {
        let mut seen = Self::now(path)?;
        let at_root = |error: Errno| failed(&LayerPath::root(), error);
        let root = sys::open(path, DIRECTORY, Mode::empty()).map_err(at_root)?;
        seen.look(&root, &tree.children, &LayerPath::root())?;
        Ok(seen)
    }

    fn look(
        &mut self,
        at: &OwnedFd,
        directory: &Directory,
        path: &LayerPath,
    ) -> Result<(), UpperError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            let failed = |error: Errno| failed(&path, error);
            if let Node::Directory(below) = &entry.node {
                let opened = sys::openat(at, &*entry.name, DIRECTORY, Mode::empty());
                let opened = opened.map_err(failed)?;
                self.directory(&path, identity(&opened).map_err(failed)?);
                self.look(&opened, &below.children, &path)?;
            } else {
                let stat = sys::statat(at, &*entry.name, AtFlags::SYMLINK_NOFOLLOW);
                self.leaf(&stat.map_err(failed)?, &entry.metadata, &entry.node);
            }
        }
        Ok(())
    }

    /// Remembers what is no directory, unless its next change might not show.
    pub(super) fn leaf(&mut self, stat: &Stat, metadata: &Metadata, node: &Node) {
        if changed(stat) < self.since {
            self.leaves.insert(stat.st_ino, (changed(stat), metadata.clone(), node.clone()));
        }
    }

    /// Remembers a directory.
    pub(super) fn directory(&mut self, path: &LayerPath, identity: Identity) {
        self.directories.insert(path.clone(), identity);
    }

    /// What a file was, if it is that still, under whatever name.
    pub(super) fn unchanged(&self, stat: &Stat) -> Option<(&Metadata, &Node)> {
        let (moment, metadata, node) = self.leaves.get(&stat.st_ino)?;
        (*moment == changed(stat)).then_some((metadata, node))
    }

    /// Whether the directory at a path is the one that was there.
    pub(super) fn is_same(&self, path: &LayerPath, identity: Identity) -> bool {
        self.directories.get(path) == Some(&identity)
    }
}

/// When anything of an inode was last changed. Nobody can set it.
fn changed(stat: &Stat) -> Moment {
    (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(i64::MAX))
}

/// The moment it is by the clock of the file system that `path` is in.
fn moment(path: &Path) -> Result<Moment, Errno> {
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let clock = path.with_extension("clock");
    let made = fs::File::create(&clock).and_then(|file| file.metadata()).map_err(errno)?;
    fs::remove_file(&clock).map_err(errno)?;
    Ok((made.ctime(), made.ctime_nsec()))
}

/// Which directory it is; where the file system does not say when it was made, its number has to do.
pub(super) fn identity(directory: &OwnedFd) -> Result<Identity, Errno> {
    let found = sys::statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::BTIME);
    let found = match found {
        // A container may keep this call away.
        Err(Errno::NOSYS | Errno::PERM) => return Ok((sys::fstat(directory)?.st_ino, 0, 0)),
        found => found?,
    };
    Ok((found.stx_ino, found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
}
