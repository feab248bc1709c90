//! Laying a selection onto a destination: the rules of COPY in one place.

use std::collections::BTreeSet;
use std::sync::Arc;

use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, Metadata, Name, Node, Tree};

use super::canvas::{Canvas, PathCause, Seen};
use super::error::{CopyCause, CopyError};
use super::filter::with_children;
use super::links::{alone, apart, renumbered};
use super::mode::{CREATED_MODE, ModeChange, Of};
use super::select::{Item, Selection, select, shown};
use super::{CopySpec, CopyTarget};
use crate::owner::Owner;

/// The changeset that copies from `source` onto `destination`.
///
/// # Errors
/// As [`select`] and [`place`].
pub fn copy(
    source: &Tree,
    destination: &Arc<Directory>,
    spec: &CopySpec,
) -> Result<Tree, CopyError> {
    place(&select(source, spec)?, destination, spec)
}

/// The changeset that lays what was selected onto `destination`.
///
/// Existing directories on the way and the destination itself keep their metadata and are not
/// claimed by the changeset, so that it says nothing about what it did not copy.
///
/// # Errors
/// A file that would replace a directory or the other way round, or a path through a file.
pub fn place(
    selection: &Selection,
    destination: &Arc<Directory>,
    spec: &CopySpec,
) -> Result<Tree, CopyError> {
    let lower = match spec.base {
        CopyTarget::Destination => destination.clone(),
        CopyTarget::Nothing => Arc::default(),
    };
    let mut placing = Placing { canvas: Canvas::over(lower), spec, made: BTreeSet::new() };
    let mut groups = 0;
    for item in selection.items() {
        let placed = match item {
            Item::File(entry) => placing.file(&alone(entry)),
            Item::Contents { metadata, children, on_the_way, .. } => {
                let mtime = metadata.as_ref().map(|metadata| metadata.mtime);
                let children = &apart(children, &mut groups);
                placing.contents(mtime, &Below { children, on_the_way })
            }
        };
        let fail = |cause| CopyError { subject: spec.destination.clone(), cause };
        placed.map_err(fail)?;
    }
    Ok(renumbered(placing.canvas.finish()))
}

/// Whether files take the place of one another, because the destination is no directory.
pub(crate) fn overwrites(
    selection: &Selection,
    destination: &Arc<Directory>,
    spec: &CopySpec,
) -> bool {
    let written = spec.destination.rsplit('/').next().unwrap_or_default();
    let is_directory = matches!(written, "" | "." | "..");
    if is_directory || !matches!(selection.items(), [Item::File(_), Item::File(_), ..]) {
        return false;
    }
    let lower =
        if spec.base == CopyTarget::Destination { destination.clone() } else { Arc::default() };
    let canvas = Canvas::over(lower);
    let place = canvas.resolve(spec.destination.as_bytes());
    place.is_ok_and(|place| !matches!(canvas.seen(&place), Some(Seen::Directory)))
}

struct Placing<'a> {
    canvas: Canvas,
    spec: &'a CopySpec,
    /// Directories that this copy created.
    made: BTreeSet<Vec<Name>>,
}

/// What goes into the destination, and by paths from there on which directories only lead to it.
struct Below<'a> {
    children: &'a Directory,
    on_the_way: &'a BTreeSet<Vec<u8>>,
}

impl Placing<'_> {
    fn file(&mut self, entry: &Entry) -> Result<(), CopyCause> {
        let mut at = self.destination()?;
        if matches!(self.canvas.seen(&at), Some(Seen::Directory)) {
            at.push(entry.name.clone());
        }
        // A link to nothing leads to a file, whose directories may not be there.
        let above = at.split_last().map_or(&[][..], |(_, above)| above);
        self.make_directories(above)?;
        self.leaf(&at, entry)
    }

    fn contents(&mut self, mtime: Option<Timestamp>, below: &Below<'_>) -> Result<(), CopyCause> {
        let mut at = self.destination()?;
        match self.canvas.seen(&at) {
            Some(Seen::Directory) => {}
            None => self.make_directories(&at)?,
            Some(_) => return Err(CopyCause::DirectoryOntoFile { path: text(&at) }),
        }
        if let Some(mtime) = mtime.filter(|_| self.made.contains(&at)) {
            self.canvas.make_directory(&at, Metadata { mtime, ..self.created() });
        }
        let depth = at.len();
        let on_the_way = |at: &[Name]| below.on_the_way.contains(&at[depth..].join(&b'/'));
        self.merge(&mut at, below.children, &on_the_way)
    }

    /// Where the destination is, links followed, the directories it needs made.
    fn destination(&mut self) -> Result<Vec<Name>, CopyCause> {
        let written = &self.spec.destination;
        let (parent, last) = written.rsplit_once('/').unwrap_or(("", written));
        let is_directory = matches!(last, "" | "." | "..");
        let above =
            self.canvas.resolve((if is_directory { written } else { parent }).as_bytes())?;
        self.make_directories(&above)?;
        Ok(self.canvas.resolve(written.as_bytes())?)
    }

    fn make_directories(&mut self, path: &[Name]) -> Result<(), CopyCause> {
        for end in 1..=path.len() {
            let part = &path[..end];
            match self.canvas.seen(part) {
                Some(Seen::Directory) => {}
                None => {
                    self.canvas.make_directory(part, self.created());
                    self.made.insert(part.to_vec());
                }
                Some(_) => return Err(PathCause::NotADirectory.into()),
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        at: &mut Vec<Name>,
        children: &Directory,
        on_the_way: &dyn Fn(&[Name]) -> bool,
    ) -> Result<(), CopyCause> {
        for entry in children.entries() {
            at.push(entry.name.clone());
            self.nested(at, entry, on_the_way)?;
            at.pop();
        }
        Ok(())
    }

    fn nested(
        &mut self,
        at: &mut Vec<Name>,
        entry: &Entry,
        on_the_way: &dyn Fn(&[Name]) -> bool,
    ) -> Result<(), CopyCause> {
        let Node::Directory(directory) = &entry.node else { return self.leaf(at, entry) };
        match self.canvas.seen(at) {
            None => self.canvas.put(at, self.styled(entry)),
            Some(Seen::Directory) => {
                let metadata = if on_the_way(at) {
                    self.passed(at, entry.metadata.mode)
                } else {
                    self.style(&entry.metadata, &entry.node)
                };
                self.canvas.make_directory(at, metadata);
                return self.merge(at, &directory.children, on_the_way);
            }
            Some(_) => return Err(CopyCause::DirectoryOntoFile { path: text(at) }),
        }
        Ok(())
    }

    fn leaf(&mut self, at: &[Name], entry: &Entry) -> Result<(), CopyCause> {
        if matches!(self.canvas.seen(at), Some(Seen::Directory)) {
            return Err(CopyCause::FileOntoDirectory { path: text(at) });
        }
        self.canvas.put(at, self.styled(entry));
        Ok(())
    }

    /// Metadata of a directory that is there and only led through: it gets the mode that the one in the
    /// source has, and nothing else.
    fn passed(&self, at: &[Name], mode: u32) -> Metadata {
        Metadata { mode, ..self.canvas.metadata(at).cloned().unwrap_or_default() }
    }

    /// Metadata of a directory that has no source.
    fn created(&self) -> Metadata {
        let mtime = self.spec.created;
        let mode = self.spec.mode.as_ref().map_or(CREATED_MODE, ModeChange::of_created);
        let Owner { uid, gid } = self.spec.owner.unwrap_or_default();
        Metadata { mode, mtime, uid, gid, ..Metadata::default() }
    }

    /// The entry and all below it with the owner and mode asked for.
    fn styled(&self, entry: &Entry) -> Entry {
        if self.spec.owner.is_none() && self.spec.mode.is_none() {
            return entry.clone();
        }
        let mut styled = entry.clone();
        if let Node::Directory(directory) = &entry.node {
            let below = directory.children.entries().iter().map(|entry| self.styled(entry));
            styled = with_children(entry, Arc::new(Directory::from_entries(below.collect())));
        }
        styled.metadata = self.style(&entry.metadata, &entry.node);
        styled
    }

    fn style(&self, metadata: &Metadata, node: &Node) -> Metadata {
        let mode = metadata.mode;
        let of = if matches!(node, Node::Directory(_)) { Of::Directory } else { Of::File };
        let styled = self.restyle(metadata.clone(), of);
        // A link has no mode of its own.
        if matches!(node, Node::Symlink(_)) { Metadata { mode, ..styled } } else { styled }
    }

    fn restyle(&self, mut metadata: Metadata, of: Of) -> Metadata {
        if let Some(owner) = self.spec.owner {
            (metadata.uid, metadata.gid) = (owner.uid, owner.gid);
        }
        // `--link` gives way to `--chmod` in the instruction, not here.
        if let Some(change) = &self.spec.mode {
            metadata.mode = change.apply(metadata.mode, of);
        }
        metadata
    }
}

fn text(path: &[Name]) -> String {
    path.split_last().map_or_else(|| "/".to_owned(), |(name, parent)| shown(parent, name))
}
