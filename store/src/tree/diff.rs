//! The changeset that leads from one root file system to another.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::tree::entry::{Claim, Directory, Entry, File, Metadata, Node, Subdirectory, Tree};
use crate::tree::links::{self, Groups};

/// The changeset that makes `upper` out of `lower`; both are root file systems. Laying it over
/// `lower` gives `upper`, and it names nothing that is the same in both, but for a directory that
/// `upper` says is another one (it is opaque there): that is named with all it has.
pub fn diff(lower: &Tree, upper: &Tree) -> Tree {
    let diff =
        Diff { lower: links::groups(&lower.children), upper: links::groups(&upper.children) };
    let children = diff.directory(&lower.children, &upper.children);
    let root = if lower.root == upper.root { None } else { upper.root.clone() };
    Tree { root, children: Arc::new(children) }
}

/// Compares files knowing who is linked to whom on either side.
struct Diff {
    lower: Groups,
    upper: Groups,
}

impl Diff {
    fn directory(&self, lower: &Directory, upper: &Directory) -> Directory {
        let (mut old, mut new) =
            (lower.entries().iter().peekable(), upper.entries().iter().peekable());
        let mut changes = Vec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.name.cmp(&new.name),
            };
            match order {
                Ordering::Less => changes.extend(old.next().map(whiteout)),
                Ordering::Greater => changes.extend(new.next().cloned()),
                Ordering::Equal => {
                    let both = old.next().zip(new.next());
                    changes.extend(both.and_then(|(old, new)| self.entry(old, new)));
                }
            }
        }
        Directory::from_entries(changes)
    }

    fn entry(&self, old: &Entry, new: &Entry) -> Option<Entry> {
        if let (Node::Directory(below), Node::Directory(above)) = (&old.node, &new.node) {
            return self.subdirectory((old, below), (new, above));
        }
        let same = match (&old.node, &new.node) {
            (Node::File(old), Node::File(new)) => self.same_file(old, new),
            (old, new) => old == new,
        };
        (!same || old.metadata != new.metadata).then(|| new.clone())
    }

    fn subdirectory(
        &self,
        (old, below): (&Entry, &Subdirectory),
        (new, above): (&Entry, &Subdirectory),
    ) -> Option<Entry> {
        // Another directory has the name of the old one: all that it has is new.
        if above.claim == Claim::Opaque {
            return Some(new.clone());
        }
        let children = if self.is_shared(&below.children, &above.children) {
            Directory::default()
        } else {
            self.directory(&below.children, &above.children)
        };
        let same = old.metadata == new.metadata;
        if same && children.is_empty() {
            return None;
        }
        // One that only leads to what has changed is named as it is: a layer may be unpacked alone.
        let (claim, children) = (Claim::Explicit, Arc::new(children));
        let node = Node::Directory(Subdirectory { claim, children });
        Some(Entry { name: new.name.clone(), metadata: new.metadata.clone(), node })
    }

    /// Whether nothing can differ. Of two names of a file, one may lie in a directory that both trees
    /// share, and be named all the same because the other left the group.
    fn is_shared(&self, below: &Arc<Directory>, above: &Arc<Directory>) -> bool {
        Arc::ptr_eq(below, above) && (self.lower == self.upper || links::highest(below).is_none())
    }

    /// Group numbers mean nothing across trees; who is in the group does. All members of a group
    /// that changed are named, so that a changeset never links to what it does not hold.
    fn same_file(&self, old: &File, new: &File) -> bool {
        let before = old.link.and_then(|group| self.lower.get(&group));
        let after = new.link.and_then(|group| self.upper.get(&group));
        old.body == new.body && old.size == new.size && before == after
    }
}

fn whiteout(old: &Entry) -> Entry {
    Entry { name: old.name.clone(), metadata: Metadata::default(), node: Node::Whiteout }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge::merge;
    use crate::tree::sketch::sketch;

    fn check(lower: &str, upper: &str, changes: &str) {
        let (lower, upper) = (sketch(lower), sketch(upper));
        let found = diff(&lower, &upper);
        assert_eq!(found, sketch(changes));
        let merged = merge(&lower, &found);
        assert_eq!(crate::tree::encode::encode(&merged), crate::tree::encode::encode(&upper));
    }

    #[test]
    fn equal_trees_have_no_difference() {
        check("a=1 d/ d/b=2", "a=1 d/ d/b=2", "");
    }

    #[test]
    fn additions_changes_and_removals_are_named() {
        check("a=1 b=2 d/ d/x=1", "a=9 c=3 d/", "a=9 -b c=3 d/ d/-x");
    }

    #[test]
    fn a_change_of_kind_replaces() {
        check("a=1 d/ d/x=1", "a/ a/y=2 d=3", "a/ a/y=2 d=3");
    }

    #[test]
    fn a_directory_that_is_another_one_is_named_with_all_it_has() {
        let (lower, upper) = (sketch("d/ d/a=1 d/b=2 e/ e/c=3"), sketch("d! d/a=1 e/ e/c=3"));
        assert_eq!(diff(&lower, &upper), sketch("d! d/a=1"));
    }

    #[test]
    fn a_group_that_changed_is_named_whole() {
        check("a=1 b=1", "a=1@1 b=1@1", "a=1@1 b=1@1");
        check("a=1@1 b=1@1", "a=1@1 b=1@1 c=1@1", "a=1@1 b=1@1 c=1@1");
        check("a=1@1 b=1@1 c=2@2 d=2@2", "c=2@9 d=2@9", "-a -b");
    }

    #[test]
    fn a_group_that_changed_is_named_whole_where_a_directory_is_shared() {
        let lower = sketch("a/ a/x=1@1 b=1@1 c=1@1");
        let upper = merge(&lower, &sketch("c=1"));
        let found = diff(&lower, &upper);
        assert_eq!(found, sketch("a/ a/x=1@1 b=1@1 c=1"));
        let merged = merge(&lower, &found);
        assert_eq!(crate::tree::encode::encode(&merged), crate::tree::encode::encode(&upper));
    }
}
