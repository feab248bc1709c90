//! Writing the entries of a layer's tar stream to a directory as they come.
//!
//! Files are written at once; what the whole layer decides is done at the end: the metadata of
//! directories, whiteouts and opaque markers, as the finished tree has them.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::id::BodyId;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::layer::import::{AUFS_LINKS, ImportError, NewFile, Sink};
use crate::layer::tar_read::{TarEntry, TarKind};
use crate::live::device;
use crate::live::place::{
    DIRECTORY, by_name, finish, finish_directory, make_directory, node, whiteout,
};
use crate::path::LayerPath;
use crate::sparse::HoleWriter;
use crate::sys::remove_at;
use crate::tree::build::{InsertCause, InsertError};
use crate::tree::entry::{Directory, Entry, Name, Node, Tree};
use crate::tree::merge::implied;

const PIECE: usize = 256 << 10;

/// A directory that a layer is unpacked into. Nothing else can reach it meanwhile.
#[derive(Debug)]
pub(super) struct Unpacker {
    root: OwnedFd,
    /// The directories from the root to the last entry's.
    open: Vec<(Name, OwnedFd)>,
    piece: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new(into: &Path) -> io::Result<Self> {
        let root = sys::open(into, DIRECTORY, Mode::empty())?;
        Ok(Self { root, open: Vec::new(), piece: vec![0; PIECE] })
    }

    /// The directory an entry is in, made where it is missing.
    fn parent(&mut self, path: &LayerPath) -> Result<&OwnedFd, MaterialiseCause> {
        let parent = path.parent().unwrap_or_default();
        let shared = self.open.iter().zip(parent.components());
        let shared = shared.take_while(|((open, _), name)| **open == **name).count();
        self.open.truncate(shared);
        for name in parent.components().skip(shared) {
            let at = self.open.last().map_or(&self.root, |(_, open)| open);
            let next = enter(at, name)?;
            self.open.push((name.into(), next));
        }
        Ok(self.open.last().map_or(&self.root, |(_, open)| open))
    }

    fn create(&mut self, path: &LayerPath) -> Result<std::fs::File, MaterialiseCause> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let name = path.name().unwrap_or_default();
        let at = self.parent(path)?;
        let made = replacing(at, name, || {
            sys::openat(at, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
        })?;
        Ok(made.into())
    }

    fn place(&mut self, entry: &TarEntry) -> Result<(), MaterialiseCause> {
        let Some(name) = entry.path.name() else { return Ok(()) };
        let node = match &entry.kind {
            TarKind::HardLink(target) => return self.link(&entry.path, target),
            TarKind::Directory => None,
            TarKind::File(_) => return Ok(()),
            TarKind::Symlink(target) => Some(Node::Symlink(target.as_slice().into())),
            TarKind::BlockDevice(device) => Some(Node::BlockDevice(*device)),
            TarKind::CharDevice(device) => Some(Node::CharDevice(*device)),
            TarKind::Fifo => Some(Node::Fifo),
        };
        let at = self.parent(&entry.path)?;
        let Some(node) = node else { return directory(at, name) };
        special(at, &Entry { name: name.into(), metadata: entry.metadata.clone(), node })
    }

    /// The tree has accepted the link, so its target is a file of ours and not a link to one.
    fn link(&mut self, path: &LayerPath, target: &LayerPath) -> Result<(), MaterialiseCause> {
        const ASIDE: &[u8] = b".wh..link";
        let name = path.name().unwrap_or_default();
        match sys::linkat(&self.root, target.as_bytes(), &self.root, ASIDE, AtFlags::empty()) {
            // A device that is in the tree only.
            Err(Errno::NOENT) => return Ok(()),
            linked => linked?,
        }
        self.parent(path)?;
        let at = self.open.last().map_or(&self.root, |(_, open)| open);
        clear(at, name)?;
        Ok(sys::renameat(&self.root, ASIDE, at, name)?)
    }
}

impl Sink for Unpacker {
    fn file(&mut self, file: &NewFile<'_>, bytes: &mut dyn Read) -> Result<BodyId, ImportError> {
        let failed = |cause| blame(file.path, cause);
        let out = self.create(file.path).map_err(failed)?;
        let (mut writer, mut hasher) = (HoleWriter::new(&out), BodyId::hasher());
        loop {
            let count = bytes.read(&mut self.piece)?;
            if count == 0 {
                break;
            }
            hasher.update(&self.piece[..count]);
            writer.write(&self.piece[..count]).map_err(|error| failed(error.into()))?;
        }
        writer.finish().map_err(|error| failed(error.into()))?;
        finish(&OwnedFd::from(out), file.metadata).map_err(failed)?;
        Ok(BodyId::from_hasher(&hasher))
    }

    fn other(&mut self, entry: &TarEntry) -> Result<(), ImportError> {
        self.place(entry).map_err(|cause| blame(&entry.path, cause))
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), ImportError> {
        self.open.clear();
        clear(&self.root, AUFS_LINKS).map_err(|cause| blame(&LayerPath::root(), cause))?;
        settle(&self.root, &tree.children, &LayerPath::root())?;
        let metadata = tree.root.clone().unwrap_or_else(implied);
        let noted = device::note(&self.root, &tree.children).map_err(MaterialiseCause::from);
        noted
            .and_then(|()| finish(&self.root, &metadata))
            .map_err(|cause| blame(&LayerPath::root(), cause))
    }
}

/// Does what only the whole layer decides, children before their directory.
fn settle(at: &OwnedFd, directory: &Directory, path: &LayerPath) -> Result<(), ImportError> {
    for entry in directory.entries() {
        let path = path.join(&entry.name);
        let failed = |cause| blame(&path, cause);
        match &entry.node {
            Node::Whiteout => whiteout(at, &entry.name).map_err(failed)?,
            Node::Directory(below) => {
                let made = enter(at, &entry.name).map_err(failed)?;
                settle(&made, &below.children, &path)?;
                finish_directory(&made, entry, below.claim).map_err(failed)?;
            }
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_) => {}
        }
    }
    Ok(())
}

/// A parent that is no directory is the layer's fault, everything else the file system's.
fn blame(path: &LayerPath, cause: MaterialiseCause) -> ImportError {
    let path = path.clone();
    if let MaterialiseCause::Io(error) = &cause
        && let Some(Errno::NOTDIR | Errno::LOOP) = Errno::from_io_error(error)
    {
        return InsertError { path, cause: InsertCause::Parent }.into();
    }
    MaterialiseError { path, cause }.into()
}

fn enter(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, MaterialiseCause> {
    match sys::openat(at, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => make_directory(at, name),
        opened => Ok(opened?),
    }
}

fn directory(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    match sys::mkdirat(at, name, Mode::RWXU) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let stat = sys::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        sys::unlinkat(at, name, AtFlags::empty())?;
        sys::mkdirat(at, name, Mode::RWXU)?;
    }
    Ok(())
}

fn special(at: &OwnedFd, entry: &Entry) -> Result<(), MaterialiseCause> {
    let name = &*entry.name;
    match &entry.node {
        Node::Symlink(target) => replacing(at, name, || sys::symlinkat(&**target, at, name))?,
        Node::Fifo => {
            replacing(at, name, || sys::mknodat(at, name, FileType::Fifo, Mode::RUSR, 0))?;
        }
        Node::BlockDevice(device) => {
            clear(at, name)?;
            return node(at, entry, FileType::BlockDevice, *device);
        }
        Node::CharDevice(device) => {
            clear(at, name)?;
            return node(at, entry, FileType::CharacterDevice, *device);
        }
        Node::File(_) | Node::Directory(_) | Node::Whiteout => return Ok(()),
    }
    by_name(at, entry)
}

/// Makes an entry, and where the name is taken removes what has it and tries again.
fn replacing<T>(
    at: &OwnedFd,
    name: &[u8],
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, MaterialiseCause> {
    match make() {
        Err(Errno::EXIST) => {
            clear(at, name)?;
            Ok(make()?)
        }
        made => Ok(made?),
    }
}

fn clear(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    match remove_at(at, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
