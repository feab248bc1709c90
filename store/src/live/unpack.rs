//! Writing the entries of a layer's tar stream to a directory as they come.
//!
//! Files are written at once; what the whole layer decides is done at the end: the metadata of
//! directories, whiteouts and opaque markers, as the finished tree has them.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self as sys, AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::id::BodyId;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::layer::import::{AUFS_LINKS, ImportError, NewFile, Sink};
use crate::layer::tar_read::{TarEntry, TarKind};
use crate::live::files::create;
use crate::live::filler::{Content, Filler, HELD, Unfilled};
use crate::live::place::{
    DIRECTORY, at_first, finish, finish_directory, finish_root, make_directory, make_special,
};
use crate::path::LayerPath;
use crate::sparse::HoleWriter;
use crate::sys::remove_at;
use crate::tree::build::{InsertCause, InsertError};
use crate::tree::entry::{Directory, Entry, Metadata, Name, Node, Tree};
use crate::tree::merge::IMPLIED_MODE;

/// A directory that a layer is unpacked into. Nothing else can reach it meanwhile.
pub(super) struct Unpacker<'a, 'scope, 'env> {
    root: OwnedFd,
    filler: &'a mut Filler<'scope, 'env>,
    /// The directories from the root to the last entry's.
    open: Vec<(Name, OwnedFd)>,
    piece: Vec<u8>,
}

impl<'a, 'scope, 'env> Unpacker<'a, 'scope, 'env> {
    pub(super) fn new(into: &Path, filler: &'a mut Filler<'scope, 'env>) -> io::Result<Self> {
        let root = sys::open(into, DIRECTORY, Mode::empty())?;
        Ok(Self { root, filler, open: Vec::new(), piece: Vec::new() })
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

    fn create(
        &mut self,
        path: &LayerPath,
        metadata: &Metadata,
    ) -> Result<std::fs::File, MaterialiseCause> {
        let name = path.name().unwrap_or_default();
        let at = self.parent(path)?;
        replacing(at, name, || Ok(create(at, name, at_first(metadata.mode))?))
    }

    /// Takes the bytes of a file that is too long to wait in memory.
    fn long(
        &mut self,
        out: &std::fs::File,
        metadata: &Metadata,
        bytes: &mut dyn Read,
    ) -> Result<Result<BodyId, MaterialiseCause>, io::Error> {
        self.piece.resize(HELD, 0);
        let (mut writer, mut hasher) = (HoleWriter::new(out), BodyId::hasher());
        loop {
            let count = bytes.read(&mut self.piece)?;
            if count == 0 {
                break;
            }
            hasher.update(&self.piece[..count]);
            if let Err(error) = writer.write(&self.piece[..count]) {
                return Ok(Err(error.into()));
            }
        }
        let finished = writer.finish().map_err(MaterialiseCause::from);
        let finished = finished.and_then(|()| finish(out, metadata));
        Ok(finished.map(|()| BodyId::from_hasher(&hasher)))
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
        let Some(node) = node else { return directory(at, name, entry.metadata.mode) };
        let entry = Entry { name: name.into(), metadata: entry.metadata.clone(), node };
        replacing(at, name, || make_special(at, &entry))
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

impl Sink for Unpacker<'_, '_, '_> {
    fn file(&mut self, file: &NewFile<'_>, bytes: &mut dyn Read) -> Result<BodyId, ImportError> {
        let NewFile { path, metadata, size } = *file;
        let made = self.create(path, metadata).map_err(|cause| blame(path, cause))?;
        if HELD as u64 <= size {
            return self.long(&made, metadata, bytes)?.map_err(|cause| blame(path, cause));
        }
        let mut held = Vec::with_capacity(usize::try_from(size).unwrap_or(HELD));
        bytes.read_to_end(&mut held)?;
        let body = BodyId::of(&held);
        let (metadata, content) = (Cow::Owned(metadata.clone()), Content::Held(held));
        self.filler.fill(Unfilled { made, path: path.clone(), metadata, content })?;
        Ok(body)
    }

    fn other(&mut self, entry: &TarEntry) -> Result<(), ImportError> {
        self.place(entry).map_err(|cause| blame(&entry.path, cause))
    }

    fn finish(&mut self, tree: &Tree) -> Result<(), ImportError> {
        self.open.clear();
        clear(&self.root, AUFS_LINKS).map_err(|cause| blame(&LayerPath::root(), cause))?;
        settle(&self.root, &tree.children, &LayerPath::root())?;
        finish_root(&self.root, tree).map_err(|cause| blame(&LayerPath::root(), cause))
    }
}

/// Does what only the whole layer decides, children before their directory.
fn settle(at: &OwnedFd, directory: &Directory, path: &LayerPath) -> Result<(), ImportError> {
    for entry in directory.entries() {
        let path = path.join(&entry.name);
        let failed = |cause| blame(&path, cause);
        match &entry.node {
            Node::Whiteout => make_special(at, entry).map_err(failed)?,
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
        Err(Errno::NOENT) => make_directory(at, name, IMPLIED_MODE),
        opened => Ok(opened?),
    }
}

fn directory(at: &OwnedFd, name: &[u8], mode: u32) -> Result<(), MaterialiseCause> {
    let mode = at_first(mode) | Mode::RWXU;
    match sys::mkdirat(at, name, mode) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let stat = sys::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        sys::unlinkat(at, name, AtFlags::empty())?;
        sys::mkdirat(at, name, mode)?;
    }
    Ok(())
}

/// Makes an entry, and where the name is taken removes what has it and tries again.
fn replacing<T>(
    at: &OwnedFd,
    name: &[u8],
    make: impl Fn() -> Result<T, MaterialiseCause>,
) -> Result<T, MaterialiseCause> {
    match make() {
        Err(MaterialiseCause::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
            clear(at, name)?;
            make()
        }
        made => made,
    }
}

fn clear(at: &OwnedFd, name: &[u8]) -> Result<(), MaterialiseCause> {
    match remove_at(at, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
