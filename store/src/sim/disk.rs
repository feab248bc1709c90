//! The simulated disk's state, and the operations that lead to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A file, whatever it is called.
pub(crate) type Inode = usize;

/// One effect on the disk.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Create { path: String, inode: Inode },
    // A sync of a file, or of all, failed: what it was about never gets there.
    FailSync { inode: Option<Inode> },
    MakeDir { path: String },
    RemoveTree { path: String },
    Rename { from: String, to: String },
    SyncAll,
    SyncDir { path: String },
    SyncFile { inode: Inode },
    Truncate { inode: Inode, size: usize },
    Unlink { path: String },
    Write { inode: Inode, offset: usize, bytes: Vec<u8> },
}

/// Names and bytes as a running system sees them, and how they came to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    names: BTreeMap<String, Inode>,
    directories: BTreeSet<String>,
    contents: Vec<Vec<u8>>,
    operations: Vec<Operation>,
    initial: Initial,
}

/// What was on disk before the first operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Initial {
    pub(crate) names: BTreeMap<String, Inode>,
    pub(crate) directories: BTreeSet<String>,
    pub(crate) contents: Vec<Vec<u8>>,
}

impl Memory {
    /// A disk that starts with these names and contents.
    pub(crate) fn starting_from(initial: Initial) -> Self {
        let Initial { names, directories, contents } = initial.clone();
        Self { names, directories, contents, operations: Vec::new(), initial }
    }

    pub(crate) fn initial(&self) -> &Initial {
        &self.initial
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    pub(crate) fn bytes(&self, inode: Inode) -> &[u8] {
        &self.contents[inode]
    }

    pub(crate) fn inode(&self, path: &str) -> io::Result<Inode> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.names.contains_key(path) || self.directories.contains(path)
    }

    pub(crate) fn files(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// Damages a file. What was on disk from the beginning is damaged there too.
    pub(crate) fn edit(&mut self, path: &str, edit: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        let inode = self.inode(path)?;
        edit(&mut self.contents[inode]);
        if let Some(content) = self.initial.contents.get_mut(inode) {
            edit(content);
        }
        Ok(())
    }

    pub(crate) fn create(&mut self, path: &str) -> io::Result<Inode> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.contents.len();
        self.run(Operation::Create { path: path.to_owned(), inode });
        Ok(inode)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if !self.exists(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.run(Operation::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    pub(crate) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{path}/");
        let below = |name: &String| name.strip_prefix(&prefix).map(str::to_owned);
        let names = self.names.keys().chain(&self.directories).filter_map(below);
        let found: BTreeSet<String> = names.filter(|name| !name.contains('/')).collect();
        if !self.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found.into_iter().collect())
    }

    /// Does an operation and remembers it.
    pub(crate) fn run(&mut self, operation: Operation) {
        match &operation {
            Operation::Create { path, inode } => {
                self.contents.resize(self.contents.len().max(inode + 1), Vec::new());
                self.names.insert(path.clone(), *inode);
            }
            Operation::RemoveTree { path } => remove_below(&mut self.names, path),
            Operation::Rename { from, to } => rename_below(&mut self.names, from, to),
            Operation::Truncate { inode, size } => self.contents[*inode].truncate(*size),
            Operation::Unlink { path } => {
                self.names.remove(path);
            }
            Operation::Write { inode, offset, bytes } => {
                write(&mut self.contents[*inode], *offset, bytes);
            }
            Operation::FailSync { .. }
            | Operation::MakeDir { .. }
            | Operation::SyncAll
            | Operation::SyncDir { .. }
            | Operation::SyncFile { .. } => {}
        }
        change_directories(&mut self.directories, &operation);
        self.operations.push(operation);
    }

    /// A sync of a file, or of all, fails.
    pub(crate) fn lose_unsynced(&mut self, inode: Option<Inode>) {
        self.run(Operation::FailSync { inode });
    }

    pub(crate) fn n_inodes(&self) -> usize {
        self.contents.len()
    }
}

/// What an operation does to the set of directories.
pub(crate) fn change_directories(directories: &mut BTreeSet<String>, operation: &Operation) {
    let moved = |from: &str, to: &str, path: &String| match path.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => path.clone(),
    };
    match operation {
        Operation::MakeDir { path } => {
            directories.insert(path.clone());
        }
        Operation::Rename { from, to } => {
            *directories = directories.iter().map(|path| moved(from, to, path)).collect();
        }
        Operation::RemoveTree { path } => {
            let below = format!("{path}/");
            directories.retain(|found| found != path && !found.starts_with(&below));
        }
        Operation::Create { .. }
        | Operation::FailSync { .. }
        | Operation::SyncAll
        | Operation::SyncDir { .. }
        | Operation::SyncFile { .. }
        | Operation::Truncate { .. }
        | Operation::Unlink { .. }
        | Operation::Write { .. } => {}
    }
}

pub(crate) fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    content.resize(content.len().max(end), 0);
    content[offset..end].copy_from_slice(bytes);
}

pub(crate) fn remove_below(names: &mut BTreeMap<String, Inode>, path: &str) {
    let below = format!("{path}/");
    names.retain(|name, _| name != path && !name.starts_with(&below));
}

pub(crate) fn rename_below(names: &mut BTreeMap<String, Inode>, from: &str, to: &str) {
    let below = format!("{from}/");
    let moved: Vec<(String, Inode)> = names
        .iter()
        .filter(|(name, _)| *name == from || name.starts_with(&below))
        .map(|(name, inode)| (name.clone(), *inode))
        .collect();
    for (name, inode) in moved {
        names.remove(&name);
        names.insert(format!("{to}{}", &name[from.len()..]), inode);
    }
}
