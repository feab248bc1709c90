//! Files in the order in which a container opens them, so that what it starts with is at the beginning of a layer.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::layer::canonical::{self, CanonicalEntry};
use crate::layer::tar_read::{TarKind, entry_of};
use crate::path::{LayerPath, PathError};
use crate::tree::entry::Tree;

/// The name of the marker that hides what a directory had below.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The paths that a container opens when it starts, the first of them first. None: layers keep their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StartOrder(Vec<LayerPath>);

/// A line of a trace is no path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct StartOrderError {
    /// Which line, from 1.
    pub line: usize,
    /// Why.
    pub cause: PathError,
}

/// The entries of a layer that come before the others.
#[derive(Debug, Default)]
pub(super) struct First {
    pub(super) entries: Vec<CanonicalEntry>,
    /// What they are.
    pub(super) paths: BTreeSet<LayerPath>,
}

impl StartOrder {
    /// Reads a trace: a path on each line, absolute or not. Empty lines, and those that begin with `#`, say nothing.
    ///
    /// # Errors
    ///
    /// If a line cannot be a path.
    pub fn parse(text: &[u8]) -> Result<Self, StartOrderError> {
        let mut paths = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let path = LayerPath::parse(line);
            paths.push(path.map_err(|cause| StartOrderError { line: number + 1, cause })?);
        }
        Ok(Self(paths))
    }

    /// Whether there is nothing to put in front.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries that come first: the paths that the layer has, with the directories that they are in and the files
    /// that they are other names of before them.
    pub(super) fn first(&self, tree: &Tree) -> First {
        let mut first = First::default();
        if self.is_empty() {
            return first;
        }
        let ranks = self.ranks(tree);
        let mut entries = Vec::new();
        each(tree, &mut |entry| {
            let marked = entry.path.parent().filter(|_| entry.path.name() == Some(OPAQUE));
            // A marker is behind its directory, and before what is in it.
            let (named, place) = marked.map_or((entry.path.clone(), 0), |parent| (parent, 1));
            if let Some(rank) = ranks.get(&named) {
                entries.push(((*rank, place), entry));
            }
        });
        entries.sort_by_key(|(rank, _)| *rank);
        first.entries = entries.into_iter().map(|(_, entry)| entry).collect();
        first.paths = first.entries.iter().map(|entry| entry.path.clone()).collect();
        first
    }

    /// In which order paths come, and what has to be before them.
    fn ranks(&self, tree: &Tree) -> BTreeMap<LayerPath, usize> {
        let wanted: BTreeSet<&LayerPath> = self.0.iter().collect();
        // Of a path that the layer has, the file that it is another name of.
        let mut found = BTreeMap::new();
        each(tree, &mut |entry| {
            if wanted.contains(&entry.path) {
                let read = entry_of(&entry.header).ok();
                let target = read.and_then(|read| match read.kind {
                    TarKind::HardLink(target) => Some(target),
                    TarKind::BlockDevice(_)
                    | TarKind::CharDevice(_)
                    | TarKind::Directory
                    | TarKind::Fifo
                    | TarKind::File(_)
                    | TarKind::Symlink(_) => None,
                });
                found.insert(entry.path, target);
            }
        });
        let mut ranks = BTreeMap::new();
        let mut add = |path: &LayerPath| {
            let above = std::iter::successors(path.parent(), LayerPath::parent);
            let above: Vec<LayerPath> = above.collect();
            for one in above.into_iter().rev().chain([path.clone()]) {
                let next = ranks.len();
                ranks.entry(one).or_insert(next);
            }
        };
        for path in &self.0 {
            let Some(target) = found.get(path) else { continue };
            target.iter().for_each(&mut add);
            add(path);
        }
        ranks
    }
}

fn each(tree: &Tree, sink: &mut dyn FnMut(CanonicalEntry)) {
    let Ok(()) = canonical::each(tree, None, &mut |entry| {
        sink(entry);
        Ok::<(), Infallible>(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    fn first(trace: &str, tree: &Tree) -> Vec<String> {
        let order = StartOrder::parse(trace.as_bytes()).unwrap();
        let first = order.first(tree);
        assert_eq!(first.entries.len(), first.paths.len());
        let name =
            |entry: &CanonicalEntry| String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        first.entries.iter().map(name).collect()
    }

    #[test]
    fn paths_come_in_the_order_of_the_trace_behind_their_directories() {
        let tree = sketch("a/ a/x=1 a/y=2 b/ b/c/ b/c/z=3 d=4");
        assert_eq!(
            first("/b/c/z\n\n# none\nd\na/y\r\n/absent/1\n/b/c/z\n", &tree),
            ["b", "b/c", "b/c/z", "d", "a", "a/y"]
        );
        assert_eq!(first("", &tree), [""; 0]);
        assert_eq!(first("/absent/a\n/a/absent", &tree), [""; 0]);
    }

    #[test]
    fn a_line_that_leads_out_is_named() {
        let error = StartOrder::parse(b"/a\n../../b\n").unwrap_err();
        assert_eq!((error.line, error.cause), (2, PathError::DotDot));
    }
}
