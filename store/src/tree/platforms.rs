//! The root file systems of several platforms in one output: beside each other, or as one.

use std::sync::Arc;

use crate::path::LayerPath;
use crate::tree::entry::{Claim, Directory, Entry, Metadata, Node, Subdirectory, Tree};

/// The tree as a directory of this name, as old as time itself: it is in no image.
pub fn below(name: &str, tree: &Tree) -> Tree {
    let metadata = Metadata { mode: 0o755, ..tree.root.clone().unwrap_or_default() };
    let metadata = Metadata { mtime: crate::timestamp::Timestamp::default(), ..metadata };
    let (claim, children) = (Claim::Explicit, Arc::clone(&tree.children));
    let node = Node::Directory(Subdirectory { claim, children });
    let entry = Entry { name: name.as_bytes().into(), metadata, node };
    Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) }
}

/// The first path that both trees have, where it is not a directory in both.
pub fn conflict(one: &Tree, other: &Tree) -> Option<LayerPath> {
    clash(&one.children, &other.children, &LayerPath::root())
}

fn clash(one: &Directory, other: &Directory, at: &LayerPath) -> Option<LayerPath> {
    one.entries().iter().find_map(|entry| {
        let path = at.join(&entry.name);
        match (&entry.node, &other.get(&entry.name)?.node) {
            (Node::Directory(one), Node::Directory(other)) => {
                clash(&one.children, &other.children, &path)
            }
            (_, _) => Some(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge::merge_all;
    use crate::tree::sketch::sketch;

    #[track_caller]
    fn check(one: &str, other: &str, expected: Option<&str>) {
        let found = conflict(&sketch(one), &sketch(other));
        assert_eq!(found.map(|path| path.to_string()).as_deref(), expected);
    }

    #[test]
    fn directories_meet_and_files_collide_even_if_they_are_equal() {
        check("d/ d/a=1", "d/ d/b=1", None);
        check("d/ d/a=1", "d/ d/a=1", Some("/d/a"));
        check("d/ d/a=1", "d>a", Some("/d"));
    }

    #[test]
    fn trees_lie_beside_each_other_with_their_links_apart() {
        let trees = ["x=1@0 y=1@0", "x=2@0 y=2@0"].map(sketch);
        let both = merge_all([&below("a", &trees[0]), &below("b", &trees[1])]);
        let groups = crate::tree::links::groups(&both.children);
        let paths: Vec<String> = groups.into_values().flatten().map(|p| p.to_string()).collect();
        assert_eq!(paths, ["/a/x", "/a/y", "/b/x", "/b/y"]);
    }
}
