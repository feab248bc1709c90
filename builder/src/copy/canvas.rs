//! A root file system that is being changed: what is below, and the changes so far.
//!
//! Looking sees both at once; changing touches only the changes, which become the changeset.
//! Directories put in whole are shared, not walked, until something is put into them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wythe_store::tree::entry::{Claim, Directory, Entry, Metadata, Name, Node, Subdirectory, Tree};
use wythe_store::tree::links::repeats;

/// How many links one path may lead through, as on Linux.
pub(crate) const MAX_LINKS: usize = 40;

/// Why a path cannot be followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathCause {
    /// A component before the last is neither a directory nor a link to one.
    #[error("a part of the path is not a directory")]
    NotADirectory,
    /// More than 40 links.
    #[error("too many symbolic links")]
    Loop,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink(&'a [u8]),
    /// A file, pipe or device.
    Other,
}

/// A lower root and changes on top.
#[derive(Debug)]
pub(crate) struct Canvas {
    lower: Arc<Directory>,
    changes: Folder,
}

#[derive(Debug, Default)]
struct Folder {
    metadata: Option<Metadata>,
    lower: Lower,
    children: BTreeMap<Name, Change>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Lower {
    #[default]
    Visible,
    Hidden,
}

#[derive(Debug)]
enum Change {
    Folder(Folder),
    Whole(Entry),
}

/// What stands at a place, as it is kept.
enum Found<'a> {
    Entry(&'a Entry),
    /// A directory that was changed.
    Folder(&'a Folder),
}

#[derive(Clone, Copy)]
struct At<'a> {
    changes: Option<&'a Folder>,
    lower: Option<&'a Directory>,
}

impl Canvas {
    /// Nothing changed yet.
    pub(crate) fn over(lower: Arc<Directory>) -> Self {
        Self { lower, changes: Folder::default() }
    }

    /// What stands at a physical path; the root is a directory.
    pub(crate) fn seen(&self, path: &[Name]) -> Option<Seen<'_>> {
        let mut at = At { changes: Some(&self.changes), lower: Some(&self.lower) };
        let mut seen = Seen::Directory;
        for name in path {
            (seen, at) = at.child(name)?;
        }
        Some(seen)
    }

    /// The entry the lower root has at a physical path.
    pub(crate) fn entry(&self, path: &[Name]) -> Option<&Entry> {
        let (last, parents) = path.split_last()?;
        let mut directory = &*self.lower;
        for name in parents {
            directory = children(directory.get(name)?)?;
        }
        directory.get(last)
    }

    /// The physical place of a path: links are followed, the last one too, and `..` stops at the
    /// root. What does not exist is taken as it is written.
    pub(crate) fn resolve(&self, path: &[u8]) -> Result<Vec<Name>, PathCause> {
        self.resolve_beneath(&[], path)
    }

    /// As [`Self::resolve`], with the directory at `root` for the root.
    pub(crate) fn resolve_beneath(
        &self,
        root: &[Name],
        path: &[u8],
    ) -> Result<Vec<Name>, PathCause> {
        let mut place: Vec<Name> = root.to_vec();
        let mut rest: Vec<Name> = components(path).rev().map(Name::from).collect();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if &*name == b".." {
                place.truncate((place.len().saturating_sub(1)).max(root.len()));
                continue;
            }
            place.push(name);
            match self.seen(&place) {
                Some(Seen::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(PathCause::Loop);
                    }
                    let kept = if target.starts_with(b"/") { 0 } else { place.len() - 1 };
                    place.truncate(kept.max(root.len()));
                    rest.extend(components(target).rev().map(Name::from));
                }
                Some(Seen::Other) if !rest.is_empty() => return Err(PathCause::NotADirectory),
                Some(Seen::Directory | Seen::Other) | None => {}
            }
        }
        Ok(place)
    }

    /// The entry at a physical path, unless it is a directory that was changed.
    pub(crate) fn current(&self, path: &[Name]) -> Option<&Entry> {
        match self.found(path)? {
            Found::Entry(entry) => Some(entry),
            Found::Folder(_) => None,
        }
    }

    /// The metadata of what stands at a physical path.
    pub(crate) fn metadata(&self, path: &[Name]) -> Option<&Metadata> {
        match self.found(path)? {
            Found::Entry(entry) => Some(&entry.metadata),
            Found::Folder(folder) => {
                let lower = self.entry(path).filter(|_| folder.lower == Lower::Visible);
                folder.metadata.as_ref().or(lower.map(|entry| &entry.metadata))
            }
        }
    }

    fn found(&self, path: &[Name]) -> Option<Found<'_>> {
        let mut folder = &self.changes;
        let mut hidden = false;
        for (depth, name) in path.iter().enumerate() {
            hidden |= folder.lower == Lower::Hidden;
            match folder.children.get(name) {
                Some(Change::Folder(below)) => folder = below,
                Some(Change::Whole(entry)) => {
                    return within(entry, &path[depth + 1..]).map(Found::Entry);
                }
                None if hidden => return None,
                None => return self.entry(path).map(Found::Entry),
            }
        }
        Some(Found::Folder(folder))
    }

    /// Puts an entry, with all that is in it, in place of whatever is there.
    pub(crate) fn put(&mut self, path: &[Name], entry: Entry) {
        if let Some((name, parent)) = path.split_last() {
            self.folder(parent).children.insert(name.clone(), Change::Whole(entry));
        }
    }

    /// Makes a directory, or gives an existing one other metadata.
    pub(crate) fn make_directory(&mut self, path: &[Name], metadata: Metadata) {
        let is_directory = matches!(self.seen(path), Some(Seen::Directory) | None);
        let Some((name, parent)) = path.split_last() else { return };
        let siblings = &mut self.folder(parent).children;
        if is_directory {
            open(siblings, name).metadata = Some(metadata);
            return;
        }
        // What was changed to a file is gone for good, also where the lower root has a directory.
        let made = Folder { metadata: Some(metadata), lower: Lower::Hidden, ..Folder::default() };
        siblings.insert(name.clone(), Change::Folder(made));
    }

    /// The changes as a changeset.
    pub(crate) fn finish(self) -> Tree {
        let children = close(self.changes.children, Some(&self.lower));
        Tree { root: None, children: Arc::new(children) }
    }

    fn folder(&mut self, path: &[Name]) -> &mut Folder {
        let mut folder = &mut self.changes;
        for name in path {
            folder = open(&mut folder.children, name);
        }
        folder
    }
}

impl<'a> At<'a> {
    fn child(self, name: &[u8]) -> Option<(Seen<'a>, Self)> {
        let below = self.lower.and_then(|lower| lower.get(name));
        match self.changes.and_then(|folder| folder.children.get(name)) {
            None => below.map(look),
            Some(Change::Whole(entry)) => Some(look(entry)),
            Some(Change::Folder(folder)) => {
                let below = below.filter(|_| folder.lower == Lower::Visible);
                let at = Self { changes: Some(folder), lower: below.and_then(children) };
                Some((Seen::Directory, at))
            }
        }
    }
}

fn look(entry: &Entry) -> (Seen<'_>, At<'_>) {
    let seen = match &entry.node {
        Node::Directory(_) => Seen::Directory,
        Node::Symlink(target) => Seen::Symlink(target),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Whiteout => Seen::Other,
    };
    (seen, At { changes: None, lower: children(entry) })
}

fn within<'a>(entry: &'a Entry, path: &[Name]) -> Option<&'a Entry> {
    path.iter().try_fold(entry, |entry, name| children(entry)?.get(name))
}

/// The directory's entries, if the entry is one.
pub(crate) fn children(entry: &Entry) -> Option<&Directory> {
    if let Node::Directory(directory) = &entry.node { Some(&directory.children) } else { None }
}

/// The components of a path without empty ones and `.`.
pub(crate) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

fn open<'a>(siblings: &'a mut BTreeMap<Name, Change>, name: &Name) -> &'a mut Folder {
    let change = siblings.entry(name.clone()).or_insert_with(|| Change::Folder(Folder::default()));
    if let Change::Whole(entry) = change {
        *change = Change::Folder(unfold(entry));
    }
    match change {
        Change::Folder(folder) => folder,
        Change::Whole(_) => unreachable!("unfolded above"),
    }
}

/// A directory that was put in whole, as something that can be put into.
fn unfold(entry: &Entry) -> Folder {
    let entries = children(entry).map(Directory::entries).unwrap_or_default();
    let whole = |entry: &Entry| (entry.name.clone(), Change::Whole(entry.clone()));
    Folder {
        metadata: Some(entry.metadata.clone()),
        lower: Lower::Hidden,
        children: entries.iter().map(whole).collect(),
    }
}

/// What changes, and the directories on the way as they are: whoever unpacks a layer alone gets them
/// right. What would be put in the place of its equal is left out.
fn close(changes: BTreeMap<Name, Change>, lower: Option<&Directory>) -> Directory {
    let entry = |(name, change): (Name, Change)| {
        let below = lower.and_then(|lower| lower.get(&name));
        match change {
            Change::Whole(entry) => {
                let entry = Entry { name, ..entry };
                (!repeats(&entry, below)).then_some(entry)
            }
            Change::Folder(folder) => close_folder(name, folder, below),
        }
    };
    Directory::from_entries(changes.into_iter().filter_map(entry).collect())
}

fn close_folder(name: Name, folder: Folder, below: Option<&Entry>) -> Option<Entry> {
    let covered = below.and_then(children);
    let hides = folder.lower == Lower::Hidden && covered.is_some();
    let known = below.filter(|_| covered.is_some()).map(|below| &below.metadata);
    let same = !hides && folder.metadata.as_ref().is_none_or(|metadata| known == Some(metadata));
    let (metadata, claim) = match (folder.metadata.as_ref().or(known), hides) {
        (Some(metadata), true) => (metadata.clone(), Claim::Opaque),
        (Some(metadata), false) => (metadata.clone(), Claim::Explicit),
        (None, _) => (Metadata::default(), Claim::Implied),
    };
    let children = Arc::new(close(folder.children, covered.filter(|_| !hides)));
    if same && children.is_empty() {
        return None;
    }
    Some(Entry { name, metadata, node: Node::Directory(Subdirectory { claim, children }) })
}
