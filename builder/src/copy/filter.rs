//! What of a directory a source means: includes by `--parents` routes, excludes by `--exclude`.
//! Directories of which nothing is left out are shared, not rebuilt.

use std::sync::Arc;

use wythe_dockerfile::pattern::Level;
use wythe_store::tree::entry::{Directory, Entry, Name, Node, Subdirectory};

use super::route::{Front, Reach, Route, start};
use crate::ignore::Rules;

/// What to take of a directory.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    /// What is left out, by paths from the directory on.
    pub(crate) exclude: &'a Rules,
}

/// A directory on the way, by its path and what the patterns made of it.
struct At<'a> {
    path: &'a [u8],
    level: &'a Level,
}

impl Filter<'_> {
    /// All of it but what is excluded.
    pub(crate) fn all(&self, directory: &Arc<Directory>) -> Arc<Directory> {
        self.whole(directory, &At { path: b"", level: &self.exclude.top() })
    }

    /// What the routes lead to, with the directories on the way.
    pub(crate) fn routed(&self, directory: &Arc<Directory>, routes: &[Route]) -> Arc<Directory> {
        match start(routes) {
            Reach::Nothing => Arc::default(),
            Reach::Whole => self.all(directory),
            Reach::Toward(front) => {
                let at = At { path: b"", level: &self.exclude.top() };
                self.toward(directory, routes, &front, &at)
            }
        }
    }

    fn whole(&self, directory: &Arc<Directory>, at: &At<'_>) -> Arc<Directory> {
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
    fn entry(&self, entry: &Entry, above: &At<'_>) -> Option<Entry> {
        let path = below(above.path, &entry.name);
        let Node::Directory(directory) = &entry.node else {
            return (!self.exclude.excludes_in(above.level, &path)).then(|| entry.clone());
        };
        let level = self.exclude.enter(above.level, &path);
        if !level.may_keep_below() {
            return None;
        }
        let children = self.whole(&directory.children, &At { path: &path, level: &level });
        (!level.is_excluded() || !children.is_empty()).then(|| with_children(entry, children))
    }

    fn toward(
        &self,
        directory: &Directory,
        routes: &[Route],
        front: &Front,
        at: &At<'_>,
    ) -> Arc<Directory> {
        let mut kept = Vec::new();
        for entry in directory.entries() {
            match front.step(routes, &entry.name) {
                Reach::Nothing => {}
                Reach::Whole => kept.extend(self.entry(entry, at)),
                Reach::Toward(front) => {
                    if let Node::Directory(inner) = &entry.node {
                        let path = below(at.path, &entry.name);
                        let level = self.exclude.enter(at.level, &path);
                        let at = At { path: &path, level: &level };
                        let children = self.toward(&inner.children, routes, &front, &at);
                        if !children.is_empty() {
                            kept.push(with_children(entry, children));
                        }
                    }
                }
            }
        }
        Arc::new(Directory::from_entries(kept))
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
