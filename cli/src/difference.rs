//! In what two root file systems differ.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};
use wythe_store::tree::entry::{Directory, Entry, Metadata, Node, Tree};

/// One thing in which two images differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Difference {
    /// The second has a file that the first has not.
    Added(String),
    /// Both have a file, and not the same.
    Changed(String, Vec<Change>),
    /// A field of the configuration.
    Field(Change),
    /// The first has a file that the second has not.
    Removed(String),
}

/// What is different of something; what has no form to be shown in is null twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) what: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
}

/// Whether files differ that were changed at other times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Times {
    Ignored,
    Told,
}

/// What the second tree has differently, in the order of paths.
pub(crate) fn between(one: &Tree, other: &Tree, times: Times) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut walk = Walk { times, found: &mut found };
    walk.directories(&one.children, &other.children, "");
    found
}

struct Walk<'a> {
    times: Times,
    found: &'a mut Vec<Difference>,
}

impl Walk<'_> {
    fn directories(&mut self, one: &Directory, other: &Directory, path: &str) {
        let (mut ones, mut others) =
            (one.entries().iter().peekable(), other.entries().iter().peekable());
        loop {
            let (first, second) = (ones.peek(), others.peek());
            match first.zip(second).map(|(first, second)| first.name.cmp(&second.name)) {
                Some(Ordering::Equal) => {
                    let pair = ones.next().zip(others.next());
                    if let Some((first, second)) = pair {
                        self.both(first, second, path);
                    }
                }
                Some(Ordering::Less) => self.alone(ones.next(), path, Difference::Removed),
                Some(Ordering::Greater) => self.alone(others.next(), path, Difference::Added),
                None => break,
            }
        }
        ones.for_each(|entry| self.alone(Some(entry), path, Difference::Removed));
        others.for_each(|entry| self.alone(Some(entry), path, Difference::Added));
    }

    /// An entry that only one has, and all that is below it.
    fn alone(&mut self, entry: Option<&Entry>, path: &str, make: fn(String) -> Difference) {
        let Some(entry) = entry else { return };
        let path = below(path, entry);
        self.found.push(make(path.clone()));
        if let Node::Directory(directory) = &entry.node {
            for entry in directory.children.entries() {
                self.alone(Some(entry), &path, make);
            }
        }
    }

    fn both(&mut self, one: &Entry, other: &Entry, path: &str) {
        let path = below(path, one);
        let mut changes = content(&one.node, &other.node);
        changes.extend(metadata(&one.metadata, &other.metadata, self.times));
        if !changes.is_empty() {
            self.found.push(Difference::Changed(path.clone(), changes));
        }
        self.directories(&children(&one.node), &children(&other.node), &path);
    }
}

/// What is below an entry.
fn children(node: &Node) -> Arc<Directory> {
    if let Node::Directory(directory) = node {
        return Arc::clone(&directory.children);
    }
    Arc::default()
}

fn below(path: &str, entry: &Entry) -> String {
    format!("{path}/{}", String::from_utf8_lossy(&entry.name))
}

/// In what two entries differ but for their metadata.
fn content(one: &Node, other: &Node) -> Vec<Change> {
    let change = |what: &str, before: Value, after: Value| {
        vec![Change { what: what.to_owned(), before, after }]
    };
    match (one, other) {
        (Node::File(one), Node::File(other)) if one.body == other.body => Vec::new(),
        (Node::File(one), Node::File(other)) if one.size == other.size => {
            change("content", Value::Null, Value::Null)
        }
        (Node::File(one), Node::File(other)) => change("size", json!(one.size), json!(other.size)),
        (Node::Symlink(one), Node::Symlink(other)) if one != other => {
            let text = |target: &[u8]| String::from_utf8_lossy(target).into_owned();
            change("target", json!(text(one)), json!(text(other)))
        }
        (Node::BlockDevice(one), Node::BlockDevice(other))
        | (Node::CharDevice(one), Node::CharDevice(other))
            if one != other =>
        {
            change("device", Value::Null, Value::Null)
        }
        (one, other) if kind(one) != kind(other) => {
            change("kind", json!(kind(one)), json!(kind(other)))
        }
        _ => Vec::new(),
    }
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::BlockDevice(_) => "block device",
        Node::CharDevice(_) => "character device",
        Node::Directory(_) => "directory",
        Node::Fifo => "pipe",
        Node::File(_) => "file",
        Node::Symlink(_) => "link",
        Node::Whiteout => "whiteout",
    }
}

fn metadata(one: &Metadata, other: &Metadata, times: Times) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |what: &str, before: Value, after: Value| {
        if before != after {
            changes.push(Change { what: what.to_owned(), before, after });
        }
    };
    let mode = |about: &Metadata| json!(format!("{:04o}", about.mode));
    let owner = |about: &Metadata| json!(format!("{}:{}", about.uid, about.gid));
    compare("mode", mode(one), mode(other));
    compare("owner", owner(one), owner(other));
    if times == Times::Told {
        compare("time", json!(one.mtime.seconds), json!(other.mtime.seconds));
    }
    if one.xattrs != other.xattrs {
        let what = "attributes".to_owned();
        changes.push(Change { what, before: Value::Null, after: Value::Null });
    }
    changes
}

#[cfg(test)]
mod tests {
    use wythe_store::id::BodyId;
    use wythe_store::tree::entry::{Claim, File, Subdirectory};

    use super::*;

    fn file(name: &str, text: &str, mode: u32) -> Entry {
        let body = BodyId::of(text.as_bytes());
        let node = Node::File(File { body, size: text.len() as u64, link: None });
        let metadata = Metadata { mode, ..Metadata::default() };
        Entry { name: name.as_bytes().into(), metadata, node }
    }

    fn tree(entries: Vec<Entry>) -> Tree {
        Tree { root: None, children: Arc::new(Directory::from_entries(entries)) }
    }

    fn directory(name: &str, entries: Vec<Entry>) -> Entry {
        let children = tree(entries).children;
        let node = Node::Directory(Subdirectory { claim: Claim::Explicit, children });
        Entry { name: name.as_bytes().into(), metadata: Metadata::default(), node }
    }

    fn told(one: Vec<Entry>, other: Vec<Entry>) -> Vec<String> {
        let found = between(&tree(one), &tree(other), Times::Ignored);
        let words = |changes: &[Change]| {
            changes.iter().map(|change| change.what.clone()).collect::<Vec<_>>().join("+")
        };
        let text = |found: &Difference| match found {
            Difference::Added(path) => format!("A {path}"),
            Difference::Changed(path, changes) => format!("C {path} {}", words(changes)),
            Difference::Field(field) => field.what.clone(),
            Difference::Removed(path) => format!("D {path}"),
        };
        found.iter().map(text).collect()
    }

    #[test]
    fn what_came_went_and_changed_is_told_in_the_order_of_paths() {
        let one = vec![
            file("a", "1", 0o644),
            file("b", "1", 0o644),
            directory("d", vec![file("x", "", 0)]),
        ];
        let other = vec![
            file("b", "22", 0o755),
            directory("d", vec![]),
            directory("e", vec![file("y", "", 0)]),
        ];
        assert_eq!(told(one, other), ["D /a", "C /b size+mode", "D /d/x", "A /e", "A /e/y"]);
    }

    #[test]
    fn the_same_has_no_differences_and_another_kind_has_what_was_below() {
        let one = || vec![directory("d", vec![file("x", "1", 0)])];
        assert!(told(one(), one()).is_empty());
        assert_eq!(told(one(), vec![file("d", "", 0)]), ["C /d kind", "D /d/x"]);
        assert_eq!(told(vec![file("a", "1", 0)], vec![file("a", "2", 0)]), ["C /a content"]);
    }
}
