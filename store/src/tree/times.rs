//! Trees with other modification times.

use std::sync::Arc;

use crate::timestamp::Timestamp;
use crate::tree::entry::{Directory, Entry, Metadata, Node, Subdirectory, Tree};

/// The tree with no time later than `epoch`.
pub fn clamp(tree: &Tree, epoch: i64) -> Tree {
    let epoch = Timestamp::from_seconds(epoch);
    with_times(tree, &|time| time.min(epoch))
}

/// The tree with `epoch` as the time of everything.
pub fn set(tree: &Tree, epoch: i64) -> Tree {
    let epoch = Timestamp::from_seconds(epoch);
    with_times(tree, &|_| epoch)
}

fn with_times(tree: &Tree, time: &dyn Fn(Timestamp) -> Timestamp) -> Tree {
    let root = tree.root.clone().map(|root| metadata(root, time));
    Tree { root, children: Arc::new(directory(&tree.children, time)) }
}

fn directory(of: &Directory, time: &dyn Fn(Timestamp) -> Timestamp) -> Directory {
    let entry = |entry: &Entry| Entry {
        name: entry.name.clone(),
        metadata: metadata(entry.metadata.clone(), time),
        node: node(&entry.node, time),
    };
    Directory::from_entries(of.entries().iter().map(entry).collect())
}

fn metadata(of: Metadata, time: &dyn Fn(Timestamp) -> Timestamp) -> Metadata {
    Metadata { mtime: time(of.mtime), ..of }
}

fn node(of: &Node, time: &dyn Fn(Timestamp) -> Timestamp) -> Node {
    match of {
        Node::Directory(below) => {
            let children = Arc::new(directory(&below.children, time));
            Node::Directory(Subdirectory { claim: below.claim, children })
        }
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Symlink(_)
        | Node::Whiteout => of.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::encode::encode;
    use crate::tree::sketch::sketch;

    fn time(tree: &Tree, name: &str) -> i64 {
        tree.children.get(name.as_bytes()).unwrap().metadata.mtime.seconds
    }

    #[test]
    fn clamping_moves_late_times_only_and_nothing_else() {
        let tree = sketch("a=1@2 b=1@2 d! d/x=2 l>a -w");
        assert_eq!(encode(&clamp(&tree, 1)), encode(&tree));
        assert_eq!((time(&clamp(&tree, -5), "a"), time(&clamp(&tree, -5), "d")), (-5, -5));
    }

    #[test]
    fn setting_moves_every_time() {
        let tree = set(&sketch("a=1 d/ d/x=2"), 9);
        assert_eq!((time(&tree, "a"), time(&tree, "d")), (9, 9));
    }
}
