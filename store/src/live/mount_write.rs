//! The directory of a cache mount, made of a tree: names first, then the bytes of its files in whichever order they
//! come, and at last what making names and writing bytes would change again.

use std::collections::BTreeMap;
use std::fs::File as OpenFile;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self as sys, AtFlags, Mode, OFlags};

use crate::chunk_list::ChunkList;
use crate::id::BodyId;
use crate::layer::files_error::{MaterialiseCause, MaterialiseError};
use crate::live::files::create;
use crate::live::mount_seen::{ByInode, Seen, SeenDirectory, SeenFile, changed};
use crate::live::place::{DIRECTORY, at_first, finish, make_directory, make_special};
use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, File, LinkGroup, Metadata, Node, Tree};

/// Fills a directory. Bodies may be put from several threads.
#[derive(Debug)]
pub(crate) struct MountWriter<'t> {
    root: OwnedFd,
    tree: &'t Tree,
    lists: &'t BTreeMap<BodyId, ChunkList>,
    /// Short files by what they hold; each is made when that comes.
    short: BTreeMap<BodyId, Vec<Place<'t>>>,
    /// Where in which long file a chunk belongs.
    chunks: BTreeMap<BodyId, Vec<(usize, u64)>>,
    /// The long files, which are made first.
    long: Vec<(Place<'t>, OpenFile)>,
    /// Further names, and the files that they are names of.
    links: Vec<(LayerPath, LayerPath)>,
}

/// The files and directories that there are now, by inode.
type Found = (ByInode<SeenFile>, ByInode<SeenDirectory>);

/// A file that is to be made.
#[derive(Clone, Debug)]
struct Place<'t> {
    path: LayerPath,
    metadata: &'t Metadata,
}

impl<'t> MountWriter<'t> {
    /// Makes all that is no short file.
    ///
    /// # Errors
    ///
    /// With the first entry that cannot be made.
    pub(crate) fn begin(
        into: &Path,
        tree: &'t Tree,
        lists: &'t BTreeMap<BodyId, ChunkList>,
    ) -> Result<Self, MaterialiseError> {
        let root = sys::open(into, DIRECTORY, Mode::empty())
            .map_err(|error| MaterialiseError { path: LayerPath::root(), cause: error.into() })?;
        let (short, chunks) = (BTreeMap::new(), BTreeMap::new());
        let (long, links) = (Vec::new(), Vec::new());
        let mut writer = Self { root, tree, lists, short, chunks, long, links };
        let at = writer.root.try_clone();
        let at =
            at.map_err(|error| MaterialiseError { path: LayerPath::root(), cause: error.into() })?;
        writer.directory(&at, &tree.children, (&LayerPath::root(), &mut BTreeMap::new()))?;
        Ok(writer)
    }

    fn directory(
        &mut self,
        at: &OwnedFd,
        directory: &'t Directory,
        (path, groups): (&LayerPath, &mut BTreeMap<LinkGroup, LayerPath>),
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            let failed = |cause| MaterialiseError { path: path.clone(), cause };
            match &entry.node {
                Node::Directory(below) => {
                    let made = make_directory(at, &entry.name, entry.metadata.mode);
                    let made = made.map_err(failed)?;
                    self.directory(&made, &below.children, (&path, groups))?;
                }
                Node::File(file) => {
                    let first = file.link.and_then(|group| groups.get(&group));
                    if let Some(first) = first {
                        self.links.push((path, first.clone()));
                        continue;
                    }
                    if let Some(group) = file.link {
                        groups.insert(group, path.clone());
                    }
                    self.file(entry, file, &path).map_err(failed)?;
                }
                Node::Symlink(_) | Node::Fifo => make_special(at, entry).map_err(failed)?,
                // No document has them.
                Node::BlockDevice(_) | Node::CharDevice(_) | Node::Whiteout => {}
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        entry: &'t Entry,
        file: &'t File,
        path: &LayerPath,
    ) -> Result<(), MaterialiseCause> {
        let place = Place { path: path.clone(), metadata: &entry.metadata };
        if file.size == 0 {
            return self.whole(&place, &[]);
        }
        let Some(list) = self.lists.get(&file.body) else {
            self.short.entry(file.body).or_default().push(place);
            return Ok(());
        };
        let made = self.make(&place)?;
        made.set_len(file.size)?;
        let mut offset = 0;
        for piece in &list.0 {
            if let Some(chunk) = piece.chunk {
                self.chunks.entry(chunk).or_default().push((self.long.len(), offset));
            }
            offset += piece.length;
        }
        self.long.push((place, made));
        Ok(())
    }

    /// The intermediate names are directories that were made here, and nobody else reaches them.
    fn make(&self, place: &Place<'_>) -> Result<OpenFile, MaterialiseCause> {
        Ok(create(&self.root, place.path.as_bytes(), at_first(place.metadata.mode))?)
    }

    fn whole(&self, place: &Place<'_>, bytes: &[u8]) -> Result<(), MaterialiseCause> {
        let made = self.make(place)?;
        if !bytes.is_empty() {
            made.write_all_at(bytes, 0)?;
        }
        finish(&made, place.metadata)
    }

    /// Writes bytes with this id wherever they belong. What has come is held to its id by the caller.
    ///
    /// # Errors
    ///
    /// With the file that cannot be written.
    pub(crate) fn put(&self, id: &BodyId, bytes: &[u8]) -> Result<(), MaterialiseError> {
        for place in self.short.get(id).into_iter().flatten() {
            let path = place.path.clone();
            self.whole(place, bytes).map_err(|cause| MaterialiseError { path, cause })?;
        }
        for (number, offset) in self.chunks.get(id).into_iter().flatten() {
            let (place, made) = &self.long[*number];
            let path = place.path.clone();
            made.write_all_at(bytes, *offset)
                .map_err(|error| MaterialiseError { path, cause: error.into() })?;
        }
        Ok(())
    }

    /// Gives long files and directories their metadata and files their further names, once all bytes were put;
    /// and notes what there is now.
    ///
    /// # Errors
    ///
    /// With the entry that cannot be changed.
    pub(crate) fn finish(self) -> Result<Seen, MaterialiseError> {
        for (Place { path, metadata }, made) in &self.long {
            finish(made, metadata)
                .map_err(|cause| MaterialiseError { path: path.clone(), cause })?;
        }
        for (path, first) in &self.links {
            let (root, path_in) = (&self.root, path.as_bytes());
            sys::linkat(root, first.as_bytes(), root, path_in, AtFlags::empty())
                .map_err(|error| MaterialiseError { path: path.clone(), cause: error.into() })?;
        }
        let mut seen = (Vec::new(), Vec::new());
        self.settle(&self.root, &self.tree.children, (&LayerPath::root(), &mut seen))?;
        if let Some(root) = &self.tree.root {
            let path = LayerPath::root();
            finish(&self.root, root).map_err(|cause| MaterialiseError { path, cause })?;
        }
        Ok(Seen::of(seen.0, seen.1))
    }

    /// Finishes directories, children first, and looks at them and the files in them.
    fn settle(
        &self,
        at: &OwnedFd,
        directory: &Directory,
        (path, seen): (&LayerPath, &mut Found),
    ) -> Result<(), MaterialiseError> {
        for entry in directory.entries() {
            let path = path.join(&entry.name);
            let failed = |cause| MaterialiseError { path: path.clone(), cause };
            if let Node::Directory(below) = &entry.node {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = sys::openat(at, &*entry.name, flags, Mode::empty());
                let opened = opened.map_err(|error| failed(error.into()))?;
                self.settle(&opened, &below.children, (&path, seen))?;
                finish(&opened, &entry.metadata).map_err(failed)?;
                let stat = sys::fstat(&opened).map_err(|error| failed(error.into()))?;
                let names = below.children.entries().iter().map(|entry| entry.name.clone());
                let (metadata, names) = (entry.metadata.clone(), names.collect());
                let directory = SeenDirectory { changed: changed(&stat), metadata, names };
                seen.1.push((stat.st_ino, Arc::new(directory)));
            } else if let Node::File(file) = &entry.node {
                let stat = sys::statat(at, &*entry.name, AtFlags::SYMLINK_NOFOLLOW);
                let stat = stat.map_err(|error| failed(error.into()))?;
                let (metadata, list) = (entry.metadata.clone(), self.lists.get(&file.body));
                let (changed, size, body) = (changed(&stat), file.size, file.body);
                let list = list.cloned();
                let file = SeenFile { changed, size, metadata, body, list };
                seen.0.push((stat.st_ino, Arc::new(file)));
            }
        }
        Ok(())
    }
}
