//! A real directory, with modes and owners beside it: whoever runs the tests may not give files
//! away, nor look into a directory of mode 0640.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use wythe_store::id::BodyId;
use wythe_store::tree::entry::{Claim, Directory, Node};

use crate::copy::tests::sketch;

/// Why the reference gives up; which reason does not matter.
#[derive(Debug)]
pub(super) struct Refused;

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Mode and owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
}

/// A directory with files in it.
pub(super) struct Disk {
    root: tempfile::TempDir,
    /// By inode.
    meta: BTreeMap<u64, Meta>,
}

impl Disk {
    /// The files of a sketch in which every parent is a directory that comes first.
    pub(super) fn of(sketch: &str) -> Self {
        let mut disk = Self { root: tempfile::tempdir().unwrap(), meta: BTreeMap::new() };
        for word in sketch.split_whitespace() {
            let (path, metadata, _) = sketch::parse(word);
            let at = disk.root().join(path.trim_end_matches('/'));
            match (word.split_once("->"), word.split_once('=')) {
                (Some((_, target)), _) => symlink(target, &at).unwrap(),
                (None, Some((_, text))) => fs::write(&at, &text[..1]).unwrap(),
                (None, None) => fs::create_dir(&at).unwrap(),
            }
            let owner = (metadata.uid, metadata.gid);
            disk.set(&at, Meta { mode: metadata.mode, owner });
        }
        disk
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn meta(&self, path: &Path) -> Meta {
        self.meta[&fs::symlink_metadata(path).unwrap().ino()]
    }

    pub(super) fn set(&mut self, path: &Path, meta: Meta) {
        self.meta.insert(fs::symlink_metadata(path).unwrap().ino(), meta);
    }

    /// Where a path leads, the last link followed too. Links and `..` stay below the root; what does
    /// not exist is taken as it is written.
    pub(super) fn follow(&self, path: &Path) -> Result<PathBuf, Refused> {
        let mut at = self.root().to_owned();
        let mut rest: Vec<PathBuf> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part.as_os_str() == ".." {
                if at != self.root() {
                    at.pop();
                }
                continue;
            }
            let above = at.clone();
            at.push(part);
            if let Ok(target) = fs::read_link(&at) {
                links += 1;
                if links > 40 {
                    return Err(Refused);
                }
                at = if target.is_absolute() { self.root().to_owned() } else { above };
                rest.extend(parts(&target));
            } else if at.is_file() && !rest.is_empty() {
                return Err(Refused);
            }
        }
        Ok(at)
    }

    /// Names in a directory, in order.
    pub(super) fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What is at each path.
    pub(super) fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        self.gather(self.root(), "", &mut facts);
        facts
    }

    fn gather(&self, directory: &Path, path: &str, facts: &mut Facts) {
        for name in Self::names(directory) {
            let (here, at) = (directory.join(&name), format!("{path}/{name}"));
            let Meta { mode, owner: (uid, gid) } = self.meta(&here);
            let what = if let Ok(target) = fs::read_link(&here) {
                format!("link {}", target.display())
            } else if here.is_dir() {
                self.gather(&here, &at, facts);
                format!("directory {mode:o}")
            } else {
                format!("file {mode:o} {}", BodyId::of(&fs::read(&here).unwrap()))
            };
            facts.insert(at, format!("{what} {uid}:{gid}"));
        }
    }
}

/// The parts of a path from the last to the first, without those that lead nowhere.
fn parts(path: &Path) -> Vec<PathBuf> {
    let kept = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    kept.map(|part| PathBuf::from(part.as_os_str())).rev().collect()
}

/// What is at each path: a word for its type, mode, owner and content.
pub(super) type Facts = BTreeMap<String, String>;

/// Lays a changeset onto facts, as whoever unpacks it does.
pub(super) fn apply(directory: &Directory, path: &str, facts: &mut Facts) {
    for entry in directory.entries() {
        let at = format!("{path}/{}", String::from_utf8_lossy(&entry.name));
        let below = format!("{at}/");
        let (mode, uid, gid) = (entry.metadata.mode, entry.metadata.uid, entry.metadata.gid);
        let fact = match &entry.node {
            Node::Directory(directory) => {
                if directory.claim != Claim::Implied {
                    facts.insert(at.clone(), format!("directory {mode:o} {uid}:{gid}"));
                }
                if directory.claim == Claim::Opaque {
                    facts.retain(|path, _| !path.starts_with(&below));
                }
                apply(&directory.children, &at, facts);
                continue;
            }
            Node::Symlink(target) => format!("link {}", String::from_utf8_lossy(target)),
            Node::File(file) => format!("file {mode:o} {}", file.body),
            other @ (Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Whiteout) => {
                panic!("not generated: {other:?}")
            }
        };
        facts.retain(|path, _| !path.starts_with(&below));
        facts.insert(at, format!("{fact} {uid}:{gid}"));
    }
}
