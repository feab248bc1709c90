//! A root file system as files for the person who asked: theirs, whoever owns them in the image.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_store::live::materialise::unpack;
use wythe_store::store::Store;
use wythe_store::tree::entry::{Directory, Entry, Metadata, Node, Tree};

use crate::failure::{Class, Failure};

/// Writes the files of a tree into a directory. What is there already stays, unless the tree has
/// something of the same name.
pub(crate) fn write(tree: &Tree, store: &Store, directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let text = format!("cannot write to {}", directory.display());
        Failure::new(Class::Environment, text).because(&error)
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let aside = aside(directory);
    fs::create_dir(&aside).map_err(failed)?;
    let written = unpack(&owned(tree), store, &aside).map_err(Failure::from);
    let moved = written.and_then(|()| merge(&aside, directory).map_err(failed));
    // Only what could not be moved is left; its failure is the one that counts.
    let _ = fs::remove_dir_all(&aside);
    moved
}

/// A directory inside the destination, so that everything can be moved by renaming.
fn aside(directory: &Path) -> PathBuf {
    directory.join(format!(".wythe-{}", std::process::id()))
}

/// Moves what is in `from` into `to`, directories into directories.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let existing = fs::symlink_metadata(&target).map(|found| found.is_dir());
        match (entry.file_type()?.is_dir(), existing) {
            (true, Ok(true)) => merge(&entry.path(), &target)?,
            (_, Ok(true)) => {
                return Err(io::Error::new(ErrorKind::IsADirectory, target_text(&target)));
            }
            (true, Ok(false)) => {
                fs::remove_file(&target)?;
                fs::rename(entry.path(), &target)?;
            }
            _ => fs::rename(entry.path(), &target)?,
        }
    }
    Ok(())
}

fn target_text(target: &Path) -> String {
    format!("{} is a directory", target.display())
}

/// The tree with every entry owned by root, who outside is the person who asked.
fn owned(tree: &Tree) -> Tree {
    let children = Arc::new(owned_directory(&tree.children));
    Tree { root: tree.root.clone().map(owned_metadata), children }
}

fn owned_directory(directory: &Directory) -> Directory {
    let entry = |entry: &Entry| Entry {
        name: entry.name.clone(),
        metadata: owned_metadata(entry.metadata.clone()),
        node: owned_node(&entry.node),
    };
    Directory::from_entries(directory.entries().iter().map(entry).collect())
}

fn owned_metadata(metadata: Metadata) -> Metadata {
    Metadata { uid: 0, gid: 0, ..metadata }
}

fn owned_node(node: &Node) -> Node {
    let mut node = node.clone();
    if let Node::Directory(below) = &mut node {
        below.children = Arc::new(owned_directory(&below.children));
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_unless_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (path, text) in
            [("from/a/new", "1"), ("from/a/both", "2"), ("to/a/both", "3"), ("to/a/old", "4")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        merge(&from, &to).unwrap();
        let read = |name: &str| fs::read_to_string(to.join("a").join(name)).unwrap();
        assert_eq!([read("new"), read("both"), read("old")], ["1", "2", "4"]);
    }

    #[test]
    fn a_file_does_not_replace_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(to.join("a")).unwrap();
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a"), "").unwrap();
        assert!(merge(&from, &to).is_err());
    }
}
