//! Looking up a path in a root file system, symbolic links included.

use crate::path::{LayerPath, PathError};
use crate::tree::entry::{Directory, Entry, Node};

/// As many symbolic links as the kernel follows before it calls a path a loop.
pub const LINKS_MAX: usize = 40;

/// Whether the last name of a path is followed when it is a symbolic link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Follow {
    /// It is, as `stat` does.
    Last,
    /// It is not, as `lstat` does.
    NotLast,
}

/// Where a path leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved<'tree> {
    /// The path without symbolic links (but for a last one that was not to be followed). Names
    /// that do not exist are kept as they are.
    pub path: LayerPath,
    /// What is there: `None` where something is missing, and for the root, which is no entry.
    pub entry: Option<&'tree Entry>,
}

/// A path leads nowhere.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot resolve /{}", at.as_bytes().escape_ascii())]
pub struct ResolveError {
    /// How far it was followed.
    pub at: LayerPath,
    /// What was wrong there.
    #[source]
    pub cause: ResolveCause,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveCause {
    /// More than [`LINKS_MAX`] symbolic links.
    #[error("too many symbolic links")]
    Loop,
    /// Something is looked for below what is no directory.
    #[error("not a directory")]
    NotADirectory,
    /// The path cannot exist.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Follows a path in a root file system. Links, also absolute ones and those with `..`, never lead
/// out of it: the parent of the root is the root.
///
/// # Errors
///
/// If links lead in a circle, the path passes through what is no directory, or is too long.
pub fn resolve<'tree>(
    root: &'tree Directory,
    path: &[u8],
    follow: Follow,
) -> Result<Resolved<'tree>, ResolveError> {
    let mut walk = Walk { root, at: Vec::new(), path: LayerPath::root(), links: 0 };
    let mut todo = names(path);
    while let Some(name) = todo.pop() {
        let follow = if todo.is_empty() { follow } else { Follow::Last };
        if let Some(target) = walk.step(&name, follow)? {
            if target.starts_with(b"/") {
                walk.at.clear();
                walk.path = LayerPath::root();
            }
            todo.extend(names(target));
        }
    }
    let entry = walk.at.last().copied().flatten();
    let found = LayerPath::parse(walk.path.as_bytes());
    let path = found.map_err(|cause| walk.error(cause.into()))?;
    Ok(Resolved { path, entry })
}

/// The names of a path, last first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let mut names: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    names.reverse();
    names
}

struct Walk<'tree> {
    root: &'tree Directory,
    /// The entries on the way; `None` from the first missing one on.
    at: Vec<Option<&'tree Entry>>,
    path: LayerPath,
    links: usize,
}

impl<'tree> Walk<'tree> {
    /// Goes to a name; gives the target to follow from here where it is a symbolic link.
    fn step(&mut self, name: &[u8], follow: Follow) -> Result<Option<&'tree [u8]>, ResolveError> {
        if name == b".." {
            self.at.pop();
            self.path.pop();
            return Ok(None);
        }
        let entry = self.child(name)?;
        if let Some(Entry { node: Node::Symlink(target), .. }) = entry
            && follow == Follow::Last
        {
            self.links += 1;
            let looped = LINKS_MAX < self.links;
            return if looped { Err(self.error(ResolveCause::Loop)) } else { Ok(Some(target)) };
        }
        self.at.push(entry);
        self.path.push(name);
        Ok(None)
    }

    fn child(&self, name: &[u8]) -> Result<Option<&'tree Entry>, ResolveError> {
        match self.at.last() {
            None => Ok(self.root.get(name)),
            Some(None) => Ok(None),
            Some(Some(Entry { node: Node::Directory(below), .. })) => Ok(below.children.get(name)),
            Some(Some(_)) => Err(self.error(ResolveCause::NotADirectory)),
        }
    }

    fn error(&self, cause: ResolveCause) -> ResolveError {
        ResolveError { at: self.path.clone(), cause }
    }
}

/// The entry at a path, no symbolic link followed; `None` for the root too.
pub fn find<'tree>(root: &'tree Directory, path: &LayerPath) -> Option<&'tree Entry> {
    let mut directory = Some(root);
    let mut found = None;
    for name in path.components() {
        found = Some(directory?.get(name)?);
        directory = match found {
            Some(Entry { node: Node::Directory(below), .. }) => Some(&below.children),
            _ => None,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    fn path_of(tree: &str, path: &str) -> Result<String, ResolveCause> {
        let tree = sketch(tree);
        let resolved = resolve(&tree.children, path.as_bytes(), Follow::Last);
        resolved.map(|found| found.path.to_string()).map_err(|error| error.cause)
    }

    #[test]
    fn links_stay_inside_the_root() {
        let tree = "d/ d/f=1 abs>/d rel>d/../d up>../../../d x/ x/y>../d";
        for path in ["d/f", "abs/f", "rel/f", "up/f", "x/y/f", "../d/f", "/x/../abs/f"] {
            assert_eq!(path_of(tree, path).as_deref(), Ok("/d/f"), "{path}");
        }
    }

    #[test]
    fn a_missing_tail_is_kept() {
        assert_eq!(path_of("d/ l>d/n", "l/m").as_deref(), Ok("/d/n/m"));
    }

    #[test]
    fn a_loop_and_a_file_in_the_way_are_errors() {
        assert_eq!(path_of("a>b b>a", "a"), Err(ResolveCause::Loop));
        assert_eq!(path_of("a=1", "a/b"), Err(ResolveCause::NotADirectory));
    }

    #[test]
    fn a_last_link_is_followed_only_when_asked() {
        let tree = sketch("d/ l>d");
        let found = resolve(&tree.children, b"l", Follow::NotLast).unwrap();
        assert!(matches!(found.entry.unwrap().node, Node::Symlink(_)));
        assert_eq!(find(&tree.children, &LayerPath::parse(b"l").unwrap()), found.entry);
    }
}
