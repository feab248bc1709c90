//! A root file system out of layers: one tree laid over another.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::tree::entry::{Claim, Directory, Entry, LinkGroup, Metadata, Node, Subdirectory, Tree};
use crate::tree::links::{highest, relink};

/// What a directory is that no layer describes.
pub const IMPLIED_MODE: u32 = 0o755;

/// Lays a changeset over a root file system. The result has no whiteouts, and every directory in
/// it is explicit; what the changeset does not touch is shared.
///
/// # Cost
///
/// The directories on the way to what the changeset names. Where it contains hard links, the lower
/// tree is walked once to keep their groups apart.
pub fn merge(lower: &Tree, upper: &Tree) -> Tree {
    let mut changes = Arc::clone(&upper.children);
    if highest(&changes).is_some() {
        let first = highest(&lower.children).map_or(0, |group| group.saturating_add(1));
        changes = relink(&changes, &|group| Some(LinkGroup(group.0.saturating_add(first))));
    }
    Tree {
        root: upper.root.clone().or_else(|| lower.root.clone()),
        children: lay(&lower.children, &changes),
    }
}

/// Lays layers over each other, the lowest first.
pub fn merge_all<'tree>(layers: impl IntoIterator<Item = &'tree Tree>) -> Tree {
    layers.into_iter().fold(Tree::default(), |lower, upper| merge(&lower, upper))
}

fn lay(lower: &Arc<Directory>, upper: &Arc<Directory>) -> Arc<Directory> {
    if upper.is_empty() {
        return Arc::clone(lower);
    }
    if lower.is_empty() && is_plain(upper) {
        return Arc::clone(upper);
    }
    let mut entries = Vec::with_capacity(lower.entries().len() + upper.entries().len());
    let mut below = lower.entries().iter().peekable();
    for change in upper.entries() {
        let mut covered = None;
        while let Some(entry) = below.peek() {
            match entry.name.cmp(&change.name) {
                Ordering::Less => entries.extend(below.next().cloned()),
                Ordering::Equal => covered = below.next(),
                Ordering::Greater => break,
            }
        }
        entries.extend(over(covered, change));
    }
    entries.extend(below.cloned());
    Arc::new(Directory::from_entries(entries))
}

/// What one change makes of the entry it covers.
fn over(lower: Option<&Entry>, change: &Entry) -> Option<Entry> {
    let below = match &change.node {
        Node::Whiteout => return None,
        Node::Directory(below) => below,
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Symlink(_) => return Some(change.clone()),
    };
    let nothing = Arc::default();
    let (metadata, children) = match lower {
        Some(Entry { metadata, node: Node::Directory(below), .. }) => {
            (Some(metadata), &below.children)
        }
        _ => (None, &nothing),
    };
    let children = match below.claim {
        Claim::Opaque => &nothing,
        Claim::Explicit | Claim::Implied => children,
    };
    let metadata = match below.claim {
        Claim::Implied => metadata.cloned().unwrap_or_else(implied),
        Claim::Explicit | Claim::Opaque => change.metadata.clone(),
    };
    let children = lay(children, &below.children);
    let node = Node::Directory(Subdirectory { claim: Claim::Explicit, children });
    Some(Entry { name: change.name.clone(), metadata, node })
}

/// What a directory is that no layer describes.
pub(crate) fn implied() -> Metadata {
    Metadata { mode: IMPLIED_MODE, ..Metadata::default() }
}

/// Whether a directory is already as in a root file system.
fn is_plain(directory: &Directory) -> bool {
    directory.entries().iter().all(|entry| match &entry.node {
        Node::Whiteout => false,
        Node::Directory(below) => below.claim == Claim::Explicit && is_plain(&below.children),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Symlink(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    fn check(lower: &str, upper: &str, expected: &str) {
        let (lower, upper, expected) = (sketch(lower), sketch(upper), sketch(expected));
        assert_eq!(merge(&lower, &upper), expected);
    }

    #[test]
    fn files_replace_and_whiteouts_remove() {
        check("a=1 b=2 d/ d/c=3", "a=9 -b d/e=4", "a=9 d/ d/c=3 d/e=4");
    }

    #[test]
    fn an_opaque_directory_hides_what_was_in_it() {
        check("d/ d/a=1", "d! d/b=2", "d/ d/b=2");
    }

    #[test]
    fn a_file_gives_way_to_a_directory_and_back() {
        check("a=1 d/ d/x=1", "a/ a/b=2 d=3", "a/ a/b=2 d=3");
    }

    #[test]
    fn a_whiteout_of_nothing_leaves_nothing() {
        check("a=1", "-b d/-c", "a=1 d/");
    }

    #[test]
    fn groups_of_two_layers_stay_apart() {
        let merged = merge(&sketch("a=1@1 b=1@1"), &sketch("c=2@1 d=2@1"));
        assert_eq!(crate::tree::links::groups(&merged.children).len(), 2);
    }

    #[test]
    fn what_is_not_touched_is_shared() {
        let lower = sketch("d/ d/a=1 e/ e/b=2");
        let merged = merge(&lower, &sketch("d/x=3"));
        let below = |tree: &Tree| {
            let Node::Directory(below) = &tree.children.get(b"e").unwrap().node else {
                unreachable!("e is a directory")
            };
            Arc::clone(&below.children)
        };
        assert!(Arc::ptr_eq(&below(&lower), &below(&merged)));
    }
}
