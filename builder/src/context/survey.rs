//! How much a context holds, from the numbers of its entries alone: no file is opened.

use std::fs::File;
use std::path::Path;

use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::stat_cache::FileStat;
use wythe_store::tree::entry::{Entry, Node};

use super::body::Bodies;
use super::error::ContextError;
use super::{Context, ignore_rules};
use crate::copy::route::Route;

/// What a context holds that is not ignored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// The path and size in bytes of every file, the largest first.
    pub files: Vec<(String, u64)>,
}

impl Survey {
    /// Looks at every entry of a context, on the current rayon pool.
    ///
    /// `dockerfile` is the path the Dockerfile was read from: an ignore file may lie beside it.
    ///
    /// # Errors
    /// A directory or an ignore file that cannot be read.
    pub fn of(context: &Path, dockerfile: Option<&Path>) -> Result<Self, ContextError> {
        let opened = Context::open(context, ignore_rules(context, dockerfile)?)?;
        let everything: Vec<Route> = Route::flat("").into_iter().collect();
        let scan = opened.scan(&everything, &Unread)?;
        let mut files = Vec::new();
        collect(scan.tree.children.entries(), "", &mut files);
        files.sort_by(|(path, size), (other, larger)| larger.cmp(size).then(path.cmp(other)));
        Ok(Self { files })
    }

    /// How many bytes the files have.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }
}

fn collect(entries: &[Entry], above: &str, files: &mut Vec<(String, u64)>) {
    for entry in entries {
        let path = format!("{above}{}", String::from_utf8_lossy(&entry.name));
        match &entry.node {
            Node::File(file) => files.push((path, file.size)),
            Node::Directory(directory) => {
                collect(directory.children.entries(), &format!("{path}/"), files);
            }
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::Symlink(_)
            | Node::Whiteout => {}
        }
    }
}

/// Bodies that nobody asks for: every file counts as known.
struct Unread;

impl Bodies for Unread {
    fn recall(&self, _: &[u8], _: &FileStat) -> Option<BodyId> {
        Some(BodyId::of(b""))
    }

    fn store(&self, _: Option<&mut File>, _: u64) -> Result<(BodyId, u64), WriteError> {
        Ok((BodyId::of(b""), 0))
    }

    fn remember(&self, _: &[u8], _: &FileStat, _: BodyId) {}
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_counted_unopened_the_largest_first_and_ignored_ones_not() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("d")).unwrap();
        for (name, size) in [("a", 3), ("d/b", 5), ("c.log", 9), ("d/z", 3)] {
            fs::write(path(name), vec![0; size]).unwrap();
        }
        fs::write(path(".dockerignore"), "*.log\n").unwrap();
        fs::set_permissions(path("a"), fs::Permissions::from_mode(0o0)).unwrap();
        let survey = Survey::of(root.path(), None).unwrap();
        let expected = [(".dockerignore", 6), ("d/b", 5), ("a", 3), ("d/z", 3)];
        assert_eq!(survey.files, expected.map(|(name, size)| (name.to_owned(), size)));
        assert_eq!(survey.bytes(), 17);
    }
}
