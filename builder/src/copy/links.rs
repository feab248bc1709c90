//! Hard links of a changeset, numbered by where they stand and not by where they came from.
//!
//! Group numbers of a source are inode numbers or those of some other tree. A changeset whose
//! numbers came from there would have another name on every machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use wythe_store::tree::entry::{Directory, Entry, File, LinkGroup, Node, Tree};

use super::filter::with_children;

/// The tree with groups numbered from 1 in the order of their first names. A file that is alone in
/// its group has none. Directories without links stay shared.
pub(crate) fn renumbered(tree: Tree) -> Tree {
    let mut groups = Groups::default();
    groups.count(&tree.children);
    if groups.sizes.is_empty() {
        return tree;
    }
    let children = groups.directory(&tree.children).unwrap_or(tree.children);
    Tree { children, ..tree }
}

/// The children of one source, whose links are links among them only: each source is copied by
/// itself. `taken` is how many groups the sources before it have.
pub(crate) fn apart(children: &Arc<Directory>, taken: &mut u64) -> Arc<Directory> {
    let mut groups = Groups { taken: *taken, ..Groups::default() };
    groups.count(children);
    let apart = groups.directory(children);
    *taken += groups.numbers.len() as u64;
    apart.unwrap_or_else(|| children.clone())
}

/// A file that is a source of its own.
pub(crate) fn alone(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    if let Node::File(file) = &mut entry.node {
        file.link = None;
    }
    entry
}

#[derive(Default)]
struct Groups {
    taken: u64,
    sizes: BTreeMap<LinkGroup, usize>,
    numbers: BTreeMap<LinkGroup, LinkGroup>,
}

impl Groups {
    fn count(&mut self, directory: &Directory) {
        for entry in directory.entries() {
            if let Node::Directory(below) = &entry.node {
                self.count(&below.children);
            } else if let Node::File(File { link: Some(group), .. }) = &entry.node {
                *self.sizes.entry(*group).or_default() += 1;
            }
        }
    }

    /// The directory with other numbers; `None` where it has no links.
    fn directory(&mut self, directory: &Directory) -> Option<Arc<Directory>> {
        let renumbered: Vec<Option<Entry>> =
            directory.entries().iter().map(|entry| self.entry(entry)).collect();
        if renumbered.iter().all(Option::is_none) {
            return None;
        }
        let old = directory.entries().iter();
        let entries = old.zip(renumbered).map(|(old, new)| new.unwrap_or_else(|| old.clone()));
        Some(Arc::new(Directory::from_entries(entries.collect())))
    }

    fn entry(&mut self, entry: &Entry) -> Option<Entry> {
        if let Node::Directory(below) = &entry.node {
            return Some(with_children(entry, self.directory(&below.children)?));
        }
        let Node::File(mut file) = entry.node else { return None };
        file.link = self.number(file.link?);
        Some(Entry { node: Node::File(file), ..entry.clone() })
    }

    fn number(&mut self, group: LinkGroup) -> Option<LinkGroup> {
        if self.sizes.get(&group).is_none_or(|&size| size < 2) {
            return None;
        }
        let next = LinkGroup(self.taken + self.numbers.len() as u64 + 1);
        Some(*self.numbers.entry(group).or_insert(next))
    }
}
