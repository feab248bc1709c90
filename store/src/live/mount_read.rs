//! The directory of a cache mount as a tree.
//!
//! It is nobody's upper directory: no name in it means that something is gone, and there is nothing below it.
//! Sockets and devices are left out, which mean nothing on another machine.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::body::named::name_file;
use crate::chunk_list::ChunkList;
use crate::error::WriteError;
use crate::id::BodyId;
use crate::live::attributes::{self, metadata};
use crate::live::mount_seen::{ByInode, Seen, SeenDirectory, SeenFile, changed};
use crate::live::owner::{Ids, recorded_at};
use crate::live::place::DIRECTORY;
use crate::live::upper::names;
use crate::path::{LayerPath, PathError};
use crate::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree,
};
use crate::tree::links;

/// The directory of a cache mount could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of a cache mount")]
pub struct MountReadError {
    /// The entry.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: MountReadCause,
}

/// Why the directory of a cache mount could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountReadCause {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] WriteError),
    /// Its path is longer or deeper than any tree holds.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl From<Errno> for MountReadCause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// What a cache mount holds.
#[derive(Debug)]
pub struct MountFiles {
    /// Its files by what they hold, and all else.
    pub tree: Tree,
    /// What its long files consist of.
    pub(crate) lists: BTreeMap<BodyId, ChunkList>,
    /// What is noted of them for the next time.
    pub seen: Seen,
}

/// So many names in one directory are looked at by several threads; of fewer one is done before the others have come.
const MANY: usize = 16;

/// Reads a directory that nobody changes meanwhile, whose owners are those of `idmap`. What is as it was `seen`
/// is not opened. On a thread of a rayon pool all of its threads read.
///
/// # Errors
///
/// With the first entry that cannot be read, or has a place in no tree.
pub fn read(path: &Path, idmap: &[u8], seen: &Seen) -> Result<MountFiles, MountReadError> {
    let walk = Walk::new(idmap, seen);
    let top = Top::open(path, &walk)?;
    let children = walk.children(Place::of(&top.opened), &top.names, &LayerPath::root())?;
    let children = links::without_singles(&Arc::new(children));
    let tree = Tree { root: Some(top.metadata), children };
    let seen = walk.into_seen();
    Ok(MountFiles { tree, lists: seen.lists(), seen })
}

/// The directory itself.
pub(super) struct Top {
    pub(super) opened: OwnedFd,
    pub(super) metadata: Metadata,
    pub(super) names: Vec<Vec<u8>>,
}

impl Top {
    pub(super) fn open(path: &Path, walk: &Walk<'_>) -> Result<Self, MountReadError> {
        let found = || -> Result<Self, Errno> {
            let opened = sys::open(path, DIRECTORY, Mode::empty())?;
            let (stat, found) = (sys::fstat(&opened)?, attributes::read(&opened)?);
            let owner = walk.ids.owner((stat.st_uid, stat.st_gid), found.owner);
            let names = names(&opened)?;
            Ok(Self { opened, metadata: metadata(&stat, owner, found.image), names })
        };
        found().map_err(|error| MountReadError { path: LayerPath::root(), cause: error.into() })
    }
}

/// A way through the directory of a cache mount.
pub(super) struct Walk<'a> {
    ids: Ids,
    seen: &'a Seen,
    state: Mutex<State>,
}

/// A directory that was opened.
pub(super) struct OpenDirectory {
    pub(super) file: OwnedFd,
    pub(super) inode: u64,
}

#[derive(Default)]
struct State {
    files: ByInode<SeenFile>,
    directories: ByInode<SeenDirectory>,
    /// Files with several names, by inode.
    groups: BTreeMap<u64, LinkGroup>,
}

/// A directory: by one above it that is open, and the path from there, which ends with a slash or is empty.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    open: &'a OwnedFd,
    below: &'a [u8],
}

impl<'a> Place<'a> {
    pub(super) fn of(open: &'a OwnedFd) -> Self {
        Self { open, below: &[] }
    }
}

impl<'a> Walk<'a> {
    /// One for owners of `idmap`, which does not open what is as it was `seen`.
    pub(super) fn new(idmap: &[u8], seen: &'a Seen) -> Self {
        Self { ids: Ids::of(idmap), seen, state: Mutex::default() }
    }

    /// What was found on it.
    pub(super) fn into_seen(self) -> Seen {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Seen::of(state.files, state.directories)
    }

    fn children<N: AsRef<[u8]> + Sync>(
        &self,
        at: Place<'_>,
        names: &[N],
        path: &LayerPath,
    ) -> Result<Directory, MountReadError> {
        let entry = |name: &N| self.entry(at, name.as_ref(), &path.join(name.as_ref()));
        let is_shared = MANY <= names.len() && rayon::current_thread_index().is_some();
        let entries: Vec<Option<Entry>> = if is_shared {
            names.par_iter().map(entry).collect::<Result<_, _>>()?
        } else {
            names.iter().map(entry).collect::<Result<_, _>>()?
        };
        Ok(Directory::from_entries(entries.into_iter().flatten().collect()))
    }

    pub(super) fn entry(
        &self,
        at: Place<'_>,
        name: &[u8],
        path: &LayerPath,
    ) -> Result<Option<Entry>, MountReadError> {
        let failed = |cause: MountReadCause| MountReadError { path: path.clone(), cause };
        path.check().map_err(|cause| failed(cause.into()))?;
        let (at, place) = (at.open, &*[at.below, name].concat());
        let stat = sys::statat(at, place, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|error| failed(error.into()))?;
        let made = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let (metadata, node) = self.subdirectory(at, place, (&stat, path))?;
                return Ok(Some(Entry { name: name.into(), metadata, node }));
            }
            FileType::RegularFile => self.file(at, place, &stat).map(Some),
            FileType::Symlink => self.symlink(at, place, &stat).map(Some),
            FileType::Fifo => Ok(Some((self.plain((at, place), &stat), Node::Fifo))),
            FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Ok(None),
        };
        let made = made.map_err(failed)?;
        Ok(made.map(|(metadata, node)| Entry { name: name.into(), metadata, node }))
    }

    /// One in which no name has changed is not opened: what it holds is looked up from above, by a path that was checked
    /// to be none that the kernel finds too long.
    fn subdirectory(
        &self,
        at: &OwnedFd,
        place: &[u8],
        (stat, path): (&Stat, &LayerPath),
    ) -> Result<(Metadata, Node), MountReadError> {
        let known = self.seen.directory(stat);
        let (children, seen) = if let Some(known) = known {
            let below = &*[place, b"/"].concat();
            let children = self.children(Place { open: at, below }, &known.names, path)?;
            (children, known.clone())
        } else {
            let (opened, seen) = self.open(at, place, path)?;
            (self.children(Place::of(&opened.file), &seen.names, path)?, Arc::new(seen))
        };
        let metadata = seen.metadata.clone();
        self.note(stat.st_ino, seen);
        let (claim, children) = (Claim::Explicit, Arc::new(children));
        Ok((metadata, Node::Directory(Subdirectory { claim, children })))
    }

    /// Opens a directory and reads what is noted of it.
    pub(super) fn open(
        &self,
        at: &OwnedFd,
        place: &[u8],
        path: &LayerPath,
    ) -> Result<(OpenDirectory, SeenDirectory), MountReadError> {
        let found = || -> Result<_, Errno> {
            let file = sys::openat(at, place, DIRECTORY, Mode::empty())?;
            let (stat, found) = (sys::fstat(&file)?, attributes::read(&file)?);
            let owner = self.ids.owner((stat.st_uid, stat.st_gid), found.owner);
            let metadata = metadata(&stat, owner, found.image);
            let names = names(&file)?.into_iter().map(Vec::into_boxed_slice).collect();
            let opened = OpenDirectory { file, inode: stat.st_ino };
            Ok((opened, SeenDirectory { changed: changed(&stat), metadata, names }))
        };
        found().map_err(|error| MountReadError { path: path.clone(), cause: error.into() })
    }

    /// Notes what a directory is.
    pub(super) fn note(&self, inode: u64, seen: Arc<SeenDirectory>) {
        self.state().directories.push((inode, seen));
    }

    fn file(
        &self,
        at: &OwnedFd,
        name: &[u8],
        stat: &Stat,
    ) -> Result<(Metadata, Node), MountReadCause> {
        let file = match self.seen.get(stat) {
            Some(known) => known.clone(),
            None => Arc::new(self.look(at, name)?),
        };
        let SeenFile { size, body, ref metadata, .. } = *file;
        let metadata = metadata.clone();
        let mut state = self.state();
        state.files.push((stat.st_ino, file));
        let next = LinkGroup(state.groups.len() as u64);
        let group = || *state.groups.entry(stat.st_ino).or_insert(next);
        let link = (stat.st_nlink > 1).then(group);
        Ok((metadata, Node::File(File { body, size, link })))
    }

    fn look(&self, at: &OwnedFd, name: &[u8]) -> Result<SeenFile, MountReadCause> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = sys::openat(at, name, flags, Mode::empty())?;
        let (stat, found) = (sys::fstat(&opened)?, attributes::read(&opened)?);
        let owner = self.ids.owner((stat.st_uid, stat.st_gid), found.owner);
        let metadata = metadata(&stat, owner, found.image);
        let mut opened = std::fs::File::from(opened);
        let hint = u64::try_from(stat.st_size).unwrap_or(0);
        let (body, size, list) = name_file(&mut opened, hint)?;
        Ok(SeenFile { changed: changed(&stat), size, metadata, body, list })
    }

    fn symlink(
        &self,
        at: &OwnedFd,
        name: &[u8],
        stat: &Stat,
    ) -> Result<(Metadata, Node), MountReadCause> {
        let target = sys::readlinkat(at, name, Vec::new())?;
        Ok((self.plain((at, name), stat), Node::Symlink(target.into_bytes().into())))
    }

    /// Of what holds no attributes of users.
    fn plain(&self, (at, name): (&OwnedFd, &[u8]), stat: &Stat) -> Metadata {
        let recorded = self.ids.is_single().then(|| recorded_at(at, name)).flatten();
        let owner = self.ids.owner((stat.st_uid, stat.st_gid), recorded);
        metadata(stat, owner, Vec::new())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
