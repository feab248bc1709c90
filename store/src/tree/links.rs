//! Hard links across trees: keeping the groups of two trees apart, and telling who is in one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::path::LayerPath;
use crate::tree::entry::{Directory, Entry, File, LinkGroup, Node, Subdirectory};
use crate::tree::files::files;

/// Whether an entry of a changeset is what the lower root has under its name, so that it may be left
/// out. A group of links means something only as a whole: none of its names is.
pub fn repeats(entry: &Entry, lower: Option<&Entry>) -> bool {
    let linked = matches!(entry.node, Node::File(File { link: Some(_), .. }));
    !linked && lower == Some(entry)
}

/// The groups of a tree, each with the paths in it, in order.
pub type Groups = BTreeMap<LinkGroup, Vec<LayerPath>>;

/// Finds the groups of a directory.
pub fn groups(root: &Directory) -> Groups {
    let mut groups = Groups::new();
    for (path, _, file) in files(root) {
        if let Some(group) = file.link {
            groups.entry(group).or_default().push(path);
        }
    }
    groups
}

/// The highest group number in use.
pub(crate) fn highest(directory: &Directory) -> Option<u64> {
    let of = |entry: &Entry| match &entry.node {
        Node::Directory(below) => highest(&below.children),
        Node::File(file) => file.link.map(|group| group.0),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::Symlink(_)
        | Node::Whiteout => None,
    };
    directory.entries().iter().filter_map(of).max()
}

/// The same directory with other groups; shared where none is in it.
pub(crate) fn relink(
    directory: &Arc<Directory>,
    to: &dyn Fn(LinkGroup) -> Option<LinkGroup>,
) -> Arc<Directory> {
    if highest(directory).is_none() {
        return Arc::clone(directory);
    }
    let entries = directory.entries().iter().map(|entry| {
        let node = match &entry.node {
            Node::Directory(below) => {
                let children = relink(&below.children, to);
                Node::Directory(Subdirectory { claim: below.claim, children })
            }
            Node::File(file) => Node::File(File { link: file.link.and_then(to), ..*file }),
            other @ (Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::Symlink(_)
            | Node::Whiteout) => other.clone(),
        };
        Entry { name: entry.name.clone(), metadata: entry.metadata.clone(), node }
    });
    Arc::new(Directory::from_entries(entries.collect()))
}

/// The same directory, where a group of one is no group.
pub(crate) fn without_singles(directory: &Arc<Directory>) -> Arc<Directory> {
    let groups = groups(directory);
    relink(directory, &|group| (groups.get(&group)?.len() > 1).then_some(group))
}
