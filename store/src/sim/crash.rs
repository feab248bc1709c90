//! What a power cut may leave behind.
#![expect(clippy::wildcard_enum_match_arm, reason = "each question is about a few operations")]

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::Sim;
use crate::sim::disk::{
    Initial, Inode, Memory, Operation, change_directories, remove_below, rename_below, write,
};

const PAGE: usize = 4096;

/// What becomes of the operations that no sync has made safe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// All of them happened.
    Kept,
    /// None of them happened.
    Lost,
    /// Names changed, bytes did not arrive: files are empty where they were not synced.
    NamesOnly,
    /// Bytes arrived, names did not change.
    BytesOnly,
    /// Each name by a coin, each page of bytes whole, torn or zero, as this seed says.
    Mixed(u64),
}

struct Coin(u64);

struct Replay<'sim> {
    operations: &'sim [Operation],
    fate: Fate,
    coin: Coin,
    names: BTreeMap<String, Inode>,
    directories: BTreeSet<String>,
    running: BTreeMap<String, Inode>,
    contents: Vec<Vec<u8>>,
}

impl Sim {
    /// The disk after a power cut that came when `prefix` operations had been issued.
    #[must_use]
    pub fn crashed(&self, prefix: usize, fate: Fate) -> Self {
        let memory = self.memory().clone();
        let Initial { names, directories, mut contents } = memory.initial().clone();
        contents.resize(memory.n_inodes(), Vec::new());
        let mut replay = Replay {
            operations: &memory.operations()[..prefix],
            fate,
            coin: Coin::new(fate, prefix),
            running: names.clone(),
            names,
            directories,
            contents,
        };
        replay.run();
        let Replay { mut names, mut directories, contents, .. } = replay;
        drop_unreachable(&mut names, &mut directories);
        let left = Memory::starting_from(Initial { names, directories, contents });
        let sim = Self::default();
        *sim.memory() = left;
        sim
    }
}

impl Replay<'_> {
    fn run(&mut self) {
        for (at, operation) in self.operations.iter().enumerate() {
            if self.happened(at, operation) {
                self.name(operation);
            }
            self.write(at, operation);
            change_names(&mut self.running, operation);
        }
    }

    /// Whether a change of names is on disk.
    fn happened(&mut self, at: usize, operation: &Operation) -> bool {
        let parents: Vec<&str> = match operation {
            Operation::Create { path, .. } | Operation::Unlink { path } => vec![parent(path)],
            Operation::Rename { to, .. } => vec![parent(to)],
            // No file system syncs what is in a directory and forgets the directory.
            Operation::MakeDir { path } | Operation::RemoveTree { path } => {
                vec![path, parent(path)]
            }
            _ => return false,
        };
        let safe = self.operations[at..].iter().any(|later| match later {
            Operation::SyncAll => true,
            Operation::SyncDir { path } => parents.contains(&path.as_str()),
            _ => false,
        });
        safe || match self.fate {
            Fate::Kept | Fate::NamesOnly => true,
            Fate::Lost | Fate::BytesOnly => false,
            Fate::Mixed(_) => self.coin.flip(),
        }
    }

    fn name(&mut self, operation: &Operation) {
        // A rename that is on disk names the file even if the old name never got there.
        if let Operation::Rename { from, .. } = operation {
            let below = format!("{from}/");
            for (path, inode) in &self.running {
                if path == from || path.starts_with(&below) {
                    self.names.insert(path.clone(), *inode);
                }
            }
        }
        change_names(&mut self.names, operation);
        change_directories(&mut self.directories, operation);
    }

    fn write(&mut self, at: usize, operation: &Operation) {
        let inode = match operation {
            Operation::Write { inode, .. } | Operation::Truncate { inode, .. } => *inode,
            _ => return,
        };
        let answer = self.operations[at..].iter().find_map(|later| match later {
            Operation::SyncAll => Some(true),
            Operation::SyncFile { inode: synced } => (*synced == inode).then_some(true),
            Operation::FailSync { inode: failed } => {
                failed.is_none_or(|failed| failed == inode).then_some(false)
            }
            _ => None,
        });
        if answer == Some(false) {
            return;
        }
        let kept = answer.is_some() || matches!(self.fate, Fate::Kept | Fate::BytesOnly);
        match operation {
            Operation::Write { offset, bytes, .. } if kept => {
                write(&mut self.contents[inode], *offset, bytes);
            }
            Operation::Write { offset, bytes, .. } if matches!(self.fate, Fate::Mixed(_)) => {
                self.tear(inode, *offset, bytes);
            }
            Operation::Truncate { size, .. } if kept => self.contents[inode].truncate(*size),
            _ => {}
        }
    }

    fn tear(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        for (at, page) in bytes.chunks(PAGE).enumerate() {
            let start = offset + at * PAGE;
            match self.coin.throw() % 4 {
                0 => {}
                1 => write(&mut self.contents[inode], start, &page[..page.len() / 2]),
                2 => {
                    let content = &mut self.contents[inode];
                    let end = start + page.len();
                    content.resize(content.len().max(end), 0);
                }
                _ => write(&mut self.contents[inode], start, page),
            }
        }
    }
}

fn change_names(names: &mut BTreeMap<String, Inode>, operation: &Operation) {
    match operation {
        Operation::Create { path, inode } => {
            names.insert(path.clone(), *inode);
        }
        Operation::RemoveTree { path } => remove_below(names, path),
        Operation::Rename { from, to } => rename_below(names, from, to),
        Operation::Unlink { path } => {
            names.remove(path);
        }
        _ => {}
    }
}

/// What lies below a directory that was lost is lost with it.
fn drop_unreachable(names: &mut BTreeMap<String, Inode>, directories: &mut BTreeSet<String>) {
    let there = directories.clone();
    let reachable = |path: &str| {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.into_iter().all(|directory| there.contains(directory))
    };
    names.retain(|path, _| reachable(path));
    directories.retain(|path| reachable(path));
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

impl Coin {
    fn new(fate: Fate, prefix: usize) -> Self {
        let seed = if let Fate::Mixed(seed) = fate { seed } else { 0 };
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ prefix as u64 | 1)
    }

    /// xorshift64: the tests need variety, not quality.
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn flip(&mut self) -> bool {
        self.throw().is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{Vfs as _, read_from};

    fn content(sim: &Sim, path: &str) -> Option<Vec<u8>> {
        let file = sim.open(path).ok()?;
        Some(read_from(&*file, 0).unwrap())
    }

    fn written() -> Sim {
        let sim = Sim::default();
        sim.make_dir("d").unwrap();
        sim.create("d/a").unwrap().append(b"bytes").unwrap();
        sim
    }

    #[test]
    fn nothing_unsynced_is_promised() {
        let sim = written();
        let n = sim.n_operations();
        assert_eq!(content(&sim.crashed(n, Fate::Lost), "d/a"), None);
        assert_eq!(content(&sim.crashed(n, Fate::NamesOnly), "d/a"), Some(Vec::new()));
        assert_eq!(content(&sim.crashed(n, Fate::Kept), "d/a"), Some(b"bytes".to_vec()));
    }

    #[test]
    fn synced_bytes_need_a_synced_name() {
        let sim = written();
        sim.open("d/a").unwrap().sync().unwrap();
        assert_eq!(content(&sim.crashed(sim.n_operations(), Fate::Lost), "d/a"), None);
        sim.sync_dir("d").unwrap();
        let left = sim.crashed(sim.n_operations(), Fate::Lost);
        assert_eq!(content(&left, "d/a"), Some(b"bytes".to_vec()));
    }

    #[test]
    fn a_synced_rename_keeps_the_file_whose_first_name_was_lost() {
        let sim = written();
        sim.make_dir("e").unwrap();
        sim.open("d/a").unwrap().sync().unwrap();
        sim.publish("d/a", "e/b").unwrap();
        sim.sync_dir("e").unwrap();
        let left = sim.crashed(sim.n_operations(), Fate::Lost);
        assert_eq!(content(&left, "e/b"), Some(b"bytes".to_vec()));
    }
}
