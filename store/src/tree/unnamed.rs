//! Directories that a layer leads through and says nothing of.
//!
//! Such a directory stays as lower layers have it. One that is unpacked alone cannot show that: an
//! overlay takes owner, mode and time from the topmost.

use std::sync::Arc;

use crate::tree::entry::{Claim, Directory, Entry, Metadata, Node, Subdirectory, Tree};
use crate::tree::merge::implied;

/// Whether a layer leads through a directory that it does not name.
pub fn has_unnamed(layer: &Directory) -> bool {
    layer.entries().iter().any(|entry| match &entry.node {
        Node::Directory(below) => below.claim == Claim::Implied || has_unnamed(&below.children),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Symlink(_)
        | Node::Whiteout => false,
    })
}

/// What has to lie over a layer that was unpacked alone, so that the directories it does not name
/// are as `lower` has them: those directories, and nothing in them. `None` where nothing has to.
pub fn corrections(layer: &Tree, lower: &Tree) -> Option<Tree> {
    let children = missing(&layer.children, &lower.children);
    (!children.is_empty()).then(|| Tree { root: None, children: Arc::new(children) })
}

fn missing(layer: &Directory, lower: &Directory) -> Directory {
    let entry = |entry: &Entry| {
        let Node::Directory(below) = &entry.node else { return None };
        let Some(Entry { metadata, node: Node::Directory(covered), .. }) = lower.get(&entry.name)
        else {
            return None;
        };
        let (metadata, stands) = match below.claim {
            Claim::Implied => (metadata, *metadata == implied()),
            Claim::Explicit => (&entry.metadata, true),
            Claim::Opaque => return None,
        };
        let children = missing(&below.children, &covered.children);
        (!stands || !children.is_empty()).then(|| named(entry, metadata, children))
    };
    Directory::from_entries(layer.entries().iter().filter_map(entry).collect())
}

fn named(entry: &Entry, metadata: &Metadata, children: Directory) -> Entry {
    let below = Subdirectory { claim: Claim::Explicit, children: Arc::new(children) };
    Entry { name: entry.name.clone(), metadata: metadata.clone(), node: Node::Directory(below) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge::merge;
    use crate::tree::sketch::sketch;

    #[track_caller]
    fn check(layer: &str, lower: &str, expected: &str) {
        let (layer, lower) = (sketch(layer), sketch(lower));
        let found = corrections(&layer, &lower);
        assert_eq!(found, (!expected.is_empty()).then(|| sketch(expected)));
        // Nothing but what the layers say is the result.
        let merged = merge(&lower, &layer);
        assert_eq!(merge(&merged, &found.unwrap_or_default()), merged);
    }

    #[test]
    fn a_directory_on_the_way_is_named_as_lower_layers_have_it() {
        check("d/f=1", "d@7/", "d@7/");
        check("d/e/f=1", "d/ d/e@7/", "d/ d/e@7/");
        check("d@5/ d/e/f=1", "d/ d/e@7/", "d@5/ d/e@7/");
    }

    #[test]
    fn nothing_is_named_where_nothing_is_lost() {
        check("d/f=1", "", "");
        check("d/f=1", "d/", "");
        check("d/ d/f=1", "d@7/", "");
        check("d! d/e/f=1", "d/ d/e@7/", "");
        check("d/f=1", "d=file", "");
        assert!(has_unnamed(&sketch("d/ d/e/f=1").children));
        assert!(!has_unnamed(&sketch("d/ d/f=1 -x").children));
    }
}
