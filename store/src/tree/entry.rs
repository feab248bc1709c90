//! The entries of a tree: names, metadata and what each name stands for.

use std::sync::Arc;

use crate::id::BodyId;
use crate::timestamp::Timestamp;

/// The name of an entry: bytes without `/` and NUL, neither empty nor `.` nor `..`.
pub type Name = Box<[u8]>;

/// Extended attributes, sorted by name, without duplicates.
pub type Xattrs = Vec<(Box<[u8]>, Box<[u8]>)>;

/// What the file system records about every entry.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Metadata {
    /// The twelve permission bits.
    pub mode: u32,
    /// Owner, as seen inside the image.
    pub uid: u32,
    /// Group, as seen inside the image.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes; most entries have none.
    pub xattrs: Xattrs,
}

/// One name of a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// Its metadata. Without meaning for [`Node::Whiteout`] and for an implied directory.
    pub metadata: Metadata,
    /// What it is.
    pub node: Node,
}

/// What a name stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Node {
    /// A block device.
    BlockDevice(Device),
    /// A character device.
    CharDevice(Device),
    /// A directory.
    Directory(Subdirectory),
    /// A named pipe.
    Fifo,
    /// A regular file.
    File(File),
    /// A symbolic link to this target, as written.
    Symlink(Box<[u8]>),
    /// In a changeset: the lower layers' entry of this name is gone.
    Whiteout,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// A regular file: what it holds, and which other names share it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct File {
    /// The id of its bytes.
    pub body: BodyId,
    /// Length in bytes.
    pub size: u64,
    /// Names with the same group in one tree are hard links of each other.
    pub link: Option<LinkGroup>,
}

/// A group of hard links within one tree.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkGroup(pub u64);

/// A directory below another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subdirectory {
    /// What this entry says about the directory itself.
    pub claim: Claim,
    /// What is in it.
    pub children: Arc<Directory>,
}

/// What a directory entry of a changeset says about the directory itself.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Claim {
    /// The directory has the entry's metadata; lower layers' children stay.
    #[default]
    Explicit,
    /// Nothing: the entry only leads to its children. Where no lower layer has the directory it
    /// becomes 0755 root.
    Implied,
    /// As `Explicit`, and what lower layers put into it is gone.
    Opaque,
}

/// A directory's entries, sorted by name, each name once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directory {
    entries: Vec<Entry>,
}

impl Directory {
    /// A directory of these entries; later duplicates of a name replace earlier ones.
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.reverse();
        entries.dedup_by(|a, b| a.name == b.name);
        entries.reverse();
        Self { entries }
    }

    /// The entries in order of their names' bytes.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a name.
    pub fn get(&self, name: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// Puts an entry in place of any of the same name.
    pub fn insert(&mut self, entry: Entry) {
        match self.entries.binary_search_by(|old| old.name.cmp(&entry.name)) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Takes the entry of a name out.
    pub fn remove(&mut self, name: &[u8]) -> Option<Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        Some(self.entries.remove(at))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A whole tree: the root directory's own metadata, where a layer says something of it, and its
/// entries.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    /// The root's metadata; `None` in a changeset that does not touch it.
    pub root: Option<Metadata>,
    /// The root's entries.
    pub children: Arc<Directory>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo(name: &[u8], mode: u32) -> Entry {
        let metadata = Metadata { mode, ..Metadata::default() };
        Entry { name: name.into(), metadata, node: Node::Fifo }
    }

    #[test]
    fn the_last_of_two_entries_of_one_name_stays() {
        let directory = Directory::from_entries(vec![fifo(b"b", 1), fifo(b"a", 2), fifo(b"b", 3)]);
        let modes: Vec<u32> = directory.entries().iter().map(|entry| entry.metadata.mode).collect();
        assert_eq!(modes, [2, 3]);
    }
}
