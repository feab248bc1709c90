//! The regular files of a tree, wherever in it they are.

use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, File, Node};

/// Every regular file beneath, with its path, in the order of the tree.
pub fn files(directory: &Directory) -> Files<'_> {
    Files { open: vec![directory.entries().iter()], path: LayerPath::root() }
}

/// Shows every regular file beneath, in the order of [`files`], which would make a path for each.
pub fn each_file(directory: &Directory, visit: &mut impl FnMut(&File)) {
    for entry in directory.entries() {
        if let Node::Directory(below) = &entry.node {
            each_file(&below.children, visit);
        } else if let Node::File(file) = &entry.node {
            visit(file);
        }
    }
}

/// See [`files`].
#[derive(Clone, Debug)]
pub struct Files<'t> {
    /// What is left of each directory on the way, the root's first.
    open: Vec<std::slice::Iter<'t, Entry>>,
    /// The last of these directories.
    path: LayerPath,
}

impl<'t> Iterator for Files<'t> {
    type Item = (LayerPath, &'t Entry, &'t File);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(entry) = self.open.last_mut()?.next() else {
                self.open.pop();
                self.path.pop();
                continue;
            };
            if let Node::Directory(below) = &entry.node {
                self.open.push(below.children.entries().iter());
                self.path.push(&entry.name);
            } else if let Node::File(file) = &entry.node {
                return Some((self.path.join(&entry.name), entry, file));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    #[test]
    fn files_of_all_directories_are_found_under_their_paths() {
        let tree = sketch("a=1 b/ b/c/ b/c/d=2 b/e=3 b/l>a f/ g=4");
        let paths: Vec<String> = files(&tree.children).map(|(path, ..)| path.to_string()).collect();
        assert_eq!(paths, ["/a", "/b/c/d", "/b/e", "/g"]);
        let mut seen = Vec::new();
        each_file(&tree.children, &mut |file| seen.push(*file));
        assert_eq!(seen, files(&tree.children).map(|(.., file)| *file).collect::<Vec<_>>());
        assert_eq!(files(&Directory::default()).count(), 0);
    }
}
