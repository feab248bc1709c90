//! What of a directory a source means: includes by `--parents` routes, excludes by `--exclude`.
//! Directories of which nothing is left out are shared, not rebuilt.

use std::collections::BTreeSet;
use std::sync::Arc;

use wythe_dockerfile::pattern::Level;
use wythe_store::tree::entry::{Directory, Entry, Name, Node, Subdirectory};

use super::route::{Front, Reach, Route, start};
use crate::ignore::Rules;

/// What is taken of a directory.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) children: Arc<Directory>,
    /// Paths of directories that are there only for what they lead to.
    pub(crate) on_the_way: BTreeSet<Vec<u8>>,
}

/// A directory on the way down, by its path and what the patterns made of it.
struct At<'a> {
    path: &'a [u8],
    level: &'a Level,
}

/// All of a directory but what is excluded, by paths from there on.
pub(crate) fn all(directory: &Arc<Directory>, exclude: &Rules) -> Taken {
    taken(directory, &[], Reach::Whole, exclude)
}

/// What the routes lead to and is not excluded, with the directories on the way.
pub(crate) fn routed(directory: &Arc<Directory>, routes: &[Route], exclude: &Rules) -> Taken {
    taken(directory, routes, start(routes), exclude)
}

fn taken(directory: &Arc<Directory>, routes: &[Route], reach: Reach, exclude: &Rules) -> Taken {
    let at = At { path: b"", level: &exclude.top() };
    let mut filter = Filter { exclude, routes, on_the_way: BTreeSet::new() };
    let children = match reach {
        Reach::Nothing => Arc::default(),
        Reach::Whole => filter.whole(directory, &at),
        Reach::Toward(front) => filter.toward(directory, &front, &at),
    };
    Taken { children, on_the_way: filter.on_the_way }
}

struct Filter<'a> {
    exclude: &'a Rules,
    routes: &'a [Route],
    on_the_way: BTreeSet<Vec<u8>>,
}

impl Filter<'_> {
    fn whole(&mut self, directory: &Arc<Directory>, at: &At<'_>) -> Arc<Directory> {
        if self.exclude.is_empty() {
            return directory.clone();
        }
        let mut kept = Vec::new();
        let mut changed = false;
        for entry in directory.entries() {
            let left = self.entry(entry, at);
            changed |= !left.as_ref().is_some_and(|left| is_same(left, entry));
            kept.extend(left);
        }
        if changed { Arc::new(Directory::from_entries(kept)) } else { directory.clone() }
    }

    /// The entry without what is excluded, if any of it is left.
    fn entry(&mut self, entry: &Entry, above: &At<'_>) -> Option<Entry> {
        let path = below(above.path, &entry.name);
        let Node::Directory(directory) = &entry.node else {
            return (!self.exclude.excludes_in(above.level, &path)).then(|| entry.clone());
        };
        let level = self.exclude.enter(above.level, &path);
        if !level.may_keep_below() {
            return None;
        }
        let children = self.whole(&directory.children, &At { path: &path, level: &level });
        if !level.is_excluded() {
            return Some(with_children(entry, children));
        }
        self.leading(entry, path, children)
    }

    fn toward(&mut self, directory: &Directory, front: &Front, at: &At<'_>) -> Arc<Directory> {
        let mut kept = Vec::new();
        for entry in directory.entries() {
            match front.step(self.routes, &entry.name) {
                Reach::Nothing => {}
                Reach::Whole => kept.extend(self.entry(entry, at)),
                Reach::Toward(front) => {
                    if let Node::Directory(inner) = &entry.node {
                        let path = below(at.path, &entry.name);
                        let level = self.exclude.enter(at.level, &path);
                        let inside = At { path: &path, level: &level };
                        let children = self.toward(&inner.children, &front, &inside);
                        kept.extend(self.leading(entry, path, children));
                    }
                }
            }
        }
        Arc::new(Directory::from_entries(kept))
    }

    /// A directory that is there for what it leads to, if that is anything.
    fn leading(&mut self, entry: &Entry, path: Vec<u8>, children: Arc<Directory>) -> Option<Entry> {
        if children.is_empty() {
            return None;
        }
        self.on_the_way.insert(path);
        Some(with_children(entry, children))
    }
}

/// Whether a plain path exists below a directory; links are not followed.
pub(crate) fn exists(directory: &Directory, path: &[Name]) -> bool {
    let mut at = Some(directory);
    for name in path {
        let Some(entry) = at.and_then(|directory| directory.get(name)) else { return false };
        at = super::canvas::children(entry);
    }
    true
}

/// The entry with other children.
pub(crate) fn with_children(entry: &Entry, children: Arc<Directory>) -> Entry {
    let mut entry = entry.clone();
    if let Node::Directory(Subdirectory { children: old, .. }) = &mut entry.node {
        *old = children;
    }
    entry
}

fn is_same(left: &Entry, right: &Entry) -> bool {
    match (&left.node, &right.node) {
        (Node::Directory(left), Node::Directory(right)) => {
            Arc::ptr_eq(&left.children, &right.children)
        }
        _ => true,
    }
}

fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
