//! Building a tree entry by entry, in any order, as archives list them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::path::{LayerPath, PathError};
use crate::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Name, Node, Subdirectory, Tree,
};
use crate::tree::links;
use crate::tree::merge::implied;

mod place;

/// A changeset in the making. What is inserted later replaces what was there, but for a directory
/// over a directory, which keeps its children.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    root: Draft,
    groups: u64,
}

/// An entry cannot be where it is to be inserted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot insert {path}")]
pub struct InsertError {
    /// Where.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: InsertCause,
}

/// Why an entry cannot be where it is to be inserted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InsertCause {
    /// Something on the way to it is no directory.
    #[error("a parent is not a directory")]
    Parent,
    /// The root can only be a directory.
    #[error("the root is a directory")]
    Root,
    /// The target of a hard link is missing or a directory.
    #[error("hard link to what is no earlier file")]
    Dangling,
    /// A symbolic link on the way leads out of the layer.
    #[error("a symbolic link on the way leads out of the layer")]
    Outside,
    /// Symbolic links on the way lead in a circle.
    #[error("too many symbolic links on the way")]
    Loop,
    /// Where links lead is past a limit.
    #[error(transparent)]
    Path(#[from] PathError),
}

#[derive(Debug, Default)]
struct Draft {
    removes: Removes,
    kind: Kind,
}

/// Whether the lower layers' entry is taken away first.
#[derive(Debug, Default, Eq, PartialEq)]
enum Removes {
    #[default]
    Nothing,
    Lower,
}

#[derive(Debug)]
enum Kind {
    /// Only the removal of what lower layers have.
    Nothing,
    Leaf(Metadata, Node),
    Directory(Option<Metadata>, BTreeMap<Name, Draft>),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Directory(None, BTreeMap::new())
    }
}

impl TreeBuilder {
    /// A builder of an empty changeset.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts what is no directory; missing parents become implied directories.
    ///
    /// # Errors
    ///
    /// If a parent is no directory, or the path is the root.
    pub fn insert(
        &mut self,
        path: &LayerPath,
        metadata: Metadata,
        node: Node,
    ) -> Result<(), InsertError> {
        if let Node::Directory(below) = &node {
            return self.graft(path, metadata, below);
        }
        if path.is_root() {
            return Err(failed(path, InsertCause::Root));
        }
        if let Node::File(File { link: Some(group), .. }) = &node {
            self.groups = self.groups.max(group.0.saturating_add(1));
        }
        self.draft(path)?.kind = Kind::Leaf(metadata, node);
        Ok(())
    }

    /// Inserts a directory, or gives the one that is there this metadata.
    ///
    /// # Errors
    ///
    /// If a parent is no directory.
    pub fn directory(&mut self, path: &LayerPath, metadata: Metadata) -> Result<(), InsertError> {
        let draft = self.draft(path)?;
        match &mut draft.kind {
            Kind::Directory(own, _) => *own = Some(metadata),
            Kind::Nothing | Kind::Leaf(..) => {
                draft.kind = Kind::Directory(Some(metadata), BTreeMap::new());
            }
        }
        Ok(())
    }

    /// Says that what lower layers have in a directory is gone.
    ///
    /// # Errors
    ///
    /// If the path is not that of a directory.
    pub fn opaque(&mut self, path: &LayerPath) -> Result<(), InsertError> {
        let draft = self.draft(path)?;
        draft.removes = Removes::Lower;
        match draft.kind {
            Kind::Directory(..) => Ok(()),
            Kind::Nothing => {
                draft.kind = Kind::default();
                Ok(())
            }
            Kind::Leaf(..) => Err(failed(path, InsertCause::Parent)),
        }
    }

    /// Says that lower layers' entry of this path is gone; what this layer has there stays.
    ///
    /// # Errors
    ///
    /// If a parent is no directory, or the path is the root.
    pub fn whiteout(&mut self, path: &LayerPath) -> Result<(), InsertError> {
        let parent = path.parent().ok_or_else(|| failed(path, InsertCause::Root))?;
        let children = self.children(&parent, path)?;
        let name = path.name().ok_or_else(|| failed(path, InsertCause::Root))?;
        let absent = || Draft { kind: Kind::Nothing, removes: Removes::Lower };
        children.entry(name.into()).or_insert_with(absent).removes = Removes::Lower;
        Ok(())
    }

    /// Makes `path` another name of the file `target`, which must have been inserted before.
    ///
    /// # Errors
    ///
    /// If `target` is no file that was inserted before, or `path` cannot be inserted.
    pub fn link(&mut self, path: &LayerPath, target: &LayerPath) -> Result<(), InsertError> {
        let dangling = || failed(path, InsertCause::Dangling);
        let next = LinkGroup(self.groups);
        let Some(Kind::Leaf(metadata, node)) = self.find(target).map(|draft| &mut draft.kind)
        else {
            return Err(dangling());
        };
        if let Node::File(file) = node {
            file.link.get_or_insert(next);
        } else if *node == Node::Whiteout {
            return Err(dangling());
        }
        let (metadata, node) = (metadata.clone(), node.clone());
        self.groups += 1;
        self.insert(path, metadata, node)
    }

    /// Takes back what has been inserted at the top under this name.
    pub fn discard(&mut self, name: &[u8]) {
        if let Kind::Directory(_, children) = &mut self.root.kind {
            children.remove(name);
        }
    }

    /// The tree.
    pub fn finish(self) -> Tree {
        let Kind::Directory(root, children) = self.root.kind else { return Tree::default() };
        let children = Arc::new(finish_directory(children));
        Tree { root, children: links::without_singles(&children) }
    }

    /// Inserts a directory with all that is in it.
    fn graft(
        &mut self,
        path: &LayerPath,
        metadata: Metadata,
        below: &Subdirectory,
    ) -> Result<(), InsertError> {
        match below.claim {
            Claim::Implied => drop(self.children(path, path)?),
            Claim::Explicit => self.directory(path, metadata)?,
            Claim::Opaque => {
                self.directory(path, metadata)?;
                self.opaque(path)?;
            }
        }
        for entry in below.children.entries() {
            let path = path.join(&entry.name);
            match &entry.node {
                Node::Whiteout => self.whiteout(&path)?,
                node @ (Node::BlockDevice(_)
                | Node::CharDevice(_)
                | Node::Directory(_)
                | Node::Fifo
                | Node::File(_)
                | Node::Symlink(_)) => self.insert(&path, entry.metadata.clone(), node.clone())?,
            }
        }
        Ok(())
    }

    /// The draft at a path, made (as a directory) where it is missing.
    fn draft(&mut self, path: &LayerPath) -> Result<&mut Draft, InsertError> {
        let mut draft = &mut self.root;
        for name in path.components() {
            let children = children_of(draft).ok_or_else(|| failed(path, InsertCause::Parent))?;
            draft = children.entry(name.into()).or_default();
        }
        Ok(draft)
    }

    fn children(
        &mut self,
        directory: &LayerPath,
        inserting: &LayerPath,
    ) -> Result<&mut BTreeMap<Name, Draft>, InsertError> {
        let draft = self.draft(directory)?;
        children_of(draft).ok_or_else(|| failed(inserting, InsertCause::Parent))
    }

    fn find(&mut self, path: &LayerPath) -> Option<&mut Draft> {
        let mut draft = &mut self.root;
        for name in path.components() {
            match &mut draft.kind {
                Kind::Directory(_, children) => draft = children.get_mut(name)?,
                Kind::Nothing | Kind::Leaf(..) => return None,
            }
        }
        Some(draft)
    }
}

/// The children of a draft that is a directory, or was only a removal and becomes one.
fn children_of(draft: &mut Draft) -> Option<&mut BTreeMap<Name, Draft>> {
    if matches!(draft.kind, Kind::Nothing) {
        draft.kind = Kind::default();
    }
    match &mut draft.kind {
        Kind::Directory(_, children) => Some(children),
        Kind::Nothing | Kind::Leaf(..) => None,
    }
}

fn finish_directory(children: BTreeMap<Name, Draft>) -> Directory {
    let entries = children.into_iter().map(|(name, draft)| {
        let (metadata, node) = finish_draft(draft);
        Entry { name, metadata, node }
    });
    Directory::from_entries(entries.collect())
}

fn finish_draft(draft: Draft) -> (Metadata, Node) {
    let (own, children) = match draft.kind {
        Kind::Nothing => return (Metadata::default(), Node::Whiteout),
        Kind::Leaf(metadata, node) => return (metadata, node),
        Kind::Directory(own, children) => (own, children),
    };
    let (claim, metadata) = match (draft.removes, own) {
        (Removes::Nothing, Some(own)) => (Claim::Explicit, own),
        (Removes::Nothing, None) => (Claim::Implied, Metadata::default()),
        // There is no lower directory left whose metadata it could have.
        (Removes::Lower, own) => (Claim::Opaque, own.unwrap_or_else(implied)),
    };
    let children = Arc::new(finish_directory(children));
    (metadata, Node::Directory(Subdirectory { claim, children }))
}

fn failed(path: &LayerPath, cause: InsertCause) -> InsertError {
    InsertError { path: path.clone(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn parents_nobody_mentions_are_implied() {
        let tree = sketch("a/b=1");
        let Node::Directory(below) = &tree.children.get(b"a").unwrap().node else {
            panic!("a is a directory")
        };
        assert_eq!(below.claim, Claim::Implied);
    }

    #[test]
    fn a_file_is_no_parent() {
        let mut builder = TreeBuilder::new();
        builder.insert(&path("a"), Metadata::default(), Node::Fifo).unwrap();
        let error = builder.directory(&path("a/b"), Metadata::default()).unwrap_err();
        assert_eq!(error.cause, InsertCause::Parent);
    }

    #[test]
    fn order_of_a_whiteout_and_its_sibling_does_not_matter() {
        assert_eq!(sketch("-a a=1"), sketch("a=1 -a"));
        assert_eq!(sketch("-a a/ a/b=1"), sketch("a! a/b=1"));
    }

    #[test]
    fn a_link_needs_an_earlier_file() {
        let mut builder = TreeBuilder::new();
        let error = builder.link(&path("l"), &path("f")).unwrap_err();
        assert_eq!(error.cause, InsertCause::Dangling);
    }

    #[test]
    fn a_group_of_one_is_no_group() {
        assert_eq!(sketch("a=1@7"), sketch("a=1"));
    }
}
