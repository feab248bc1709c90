//! The canonical bytes of a tree, by which it is named.
//!
//! Version 1: the byte 1; the root's metadata, optional; the root's entries. A list of entries is
//! its length and the entries in order of their names; an entry is a kind, a name, metadata unless
//! the kind has none, and what the kind adds. Numbers are LEB128, byte strings carry their length.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{BodyId, ContentId, TreeId};
use crate::path::{DEPTH_MAX, NAME_MAX, TARGET_MAX};
use crate::timestamp::Timestamp;
use crate::tree::entry::{
    Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree,
};

pub(super) const VERSION: u8 = 1;

/// Why bytes are no tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early, or go on after the end.
    #[error("tree has the wrong length")]
    Length,
    /// They were written by another version.
    #[error("tree of an unknown version")]
    Version,
    /// A name is empty, too long, out of order, or not a name.
    #[error("tree has an invalid name")]
    Name,
    /// A number or kind is out of its range.
    #[error("tree has an invalid value")]
    Value,
    /// Directories are nested too deeply.
    #[error("tree is too deep")]
    Deep,
}

/// The canonical bytes of a tree: equal for equal trees, however their hard-link groups are
/// numbered.
pub fn encode(tree: &Tree) -> Vec<u8> {
    write(tree, Mtime::Kept)
}

/// The id of a tree.
pub fn tree_id(tree: &Tree) -> TreeId {
    TreeId::of(&encode(tree))
}

/// What a tree contains, modification times left out: two trees with one content id give the same
/// result to whoever reads them.
pub fn content_id(tree: &Tree) -> ContentId {
    ContentId::of(&write(tree, Mtime::LeftOut))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mtime {
    Kept,
    LeftOut,
}

struct Writer {
    out: Vec<u8>,
    mtime: Mtime,
    /// Groups in order of their first appearance, counted from one; zero is no group.
    groups: BTreeMap<LinkGroup, u64>,
}

fn write(tree: &Tree, mtime: Mtime) -> Vec<u8> {
    let mut writer = Writer { out: vec![VERSION], mtime, groups: BTreeMap::new() };
    writer.out.push(u8::from(tree.root.is_some()));
    if let Some(root) = &tree.root {
        writer.metadata(root);
    }
    writer.directory(&tree.children);
    writer.out
}

impl Writer {
    fn number(&mut self, mut value: u64) {
        while 0x7f < value {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push((value & 0x7f) as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn directory(&mut self, directory: &Directory) {
        self.number(directory.entries().len() as u64);
        for entry in directory.entries() {
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.out.push(kind(&entry.node));
        self.bytes(&entry.name);
        match &entry.node {
            Node::Whiteout => return,
            Node::Directory(below) if below.claim == Claim::Implied => {}
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Directory(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_) => self.metadata(&entry.metadata),
        }
        match &entry.node {
            Node::BlockDevice(device) | Node::CharDevice(device) => {
                self.number(device.major.into());
                self.number(device.minor.into());
            }
            Node::Directory(below) => self.directory(&below.children),
            Node::File(file) => self.file(file),
            Node::Symlink(target) => self.bytes(target),
            Node::Fifo | Node::Whiteout => {}
        }
    }

    fn file(&mut self, file: &File) {
        self.out.extend_from_slice(file.body.as_bytes());
        self.number(file.size);
        let next = self.groups.len() as u64 + 1;
        let group = file.link.map_or(0, |group| *self.groups.entry(group).or_insert(next));
        self.number(group);
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.number(metadata.mode.into());
        self.number(metadata.uid.into());
        self.number(metadata.gid.into());
        if self.mtime == Mtime::Kept {
            let seconds = metadata.mtime.seconds;
            self.number((seconds.wrapping_shl(1) ^ (seconds >> 63)).cast_unsigned());
            self.number(metadata.mtime.nanos.into());
        }
        self.number(metadata.xattrs.len() as u64);
        for (name, value) in &metadata.xattrs {
            self.bytes(name);
            self.bytes(value);
        }
    }
}

fn kind(node: &Node) -> u8 {
    match node {
        Node::File(_) => 1,
        Node::Symlink(_) => 2,
        Node::Directory(Subdirectory { claim: Claim::Explicit, .. }) => 3,
        Node::Directory(Subdirectory { claim: Claim::Implied, .. }) => 4,
        Node::Directory(Subdirectory { claim: Claim::Opaque, .. }) => 5,
        Node::BlockDevice(_) => 6,
        Node::CharDevice(_) => 7,
        Node::Fifo => 8,
        Node::Whiteout => 9,
    }
}

/// Reads what [`encode`] wrote.
///
/// # Errors
///
/// If the bytes are not what [`encode`] writes.
pub fn decode(bytes: &[u8]) -> Result<Tree, DecodeError> {
    let mut reader = Reader(bytes);
    let root = reader.root()?;
    let children = Arc::new(reader.directory(0)?);
    if reader.0.is_empty() { Ok(Tree { root, children }) } else { Err(DecodeError::Length) }
}

/// What a tree says of its root, without looking at its entries.
///
/// # Errors
///
/// The bytes do not begin as a tree does.
pub fn decode_root(bytes: &[u8]) -> Result<Option<Metadata>, DecodeError> {
    Reader(bytes).root()
}

struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn root(&mut self) -> Result<Option<Metadata>, DecodeError> {
        if self.byte()? != VERSION {
            return Err(DecodeError::Version);
        }
        match self.byte()? {
            0 => Ok(None),
            1 => self.metadata().map(Some),
            _ => Err(DecodeError::Value),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'bytes [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (byte, rest) = self.0.split_first().ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part || (shift > 0 && byte == 0) {
                return Err(DecodeError::Value);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Value)
    }

    fn small(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Value)
    }

    fn bytes(&mut self) -> Result<&'bytes [u8], DecodeError> {
        let count = usize::try_from(self.number()?).map_err(|_| DecodeError::Length)?;
        self.take(count)
    }

    fn directory(&mut self, depth: usize) -> Result<Directory, DecodeError> {
        if DEPTH_MAX < depth {
            return Err(DecodeError::Deep);
        }
        let count = self.number()?;
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..count {
            let entry = self.entry(depth)?;
            if entries.last().is_some_and(|last| entry.name <= last.name) {
                return Err(DecodeError::Name);
            }
            entries.push(entry);
        }
        Ok(Directory::from_entries(entries))
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, DecodeError> {
        let kind = self.byte()?;
        let name = self.bytes()?;
        let bad = matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0);
        if bad || NAME_MAX < name.len() {
            return Err(DecodeError::Name);
        }
        let metadata = if matches!(kind, 4 | 9) { Metadata::default() } else { self.metadata()? };
        Ok(Entry { name: name.into(), metadata, node: self.node(kind, depth)? })
    }

    fn node(&mut self, kind: u8, depth: usize) -> Result<Node, DecodeError> {
        Ok(match kind {
            1 => Node::File(self.file()?),
            2 => {
                let target = self.bytes()?;
                if TARGET_MAX < target.len() {
                    return Err(DecodeError::Value);
                }
                Node::Symlink(target.into())
            }
            3 => self.subdirectory(Claim::Explicit, depth)?,
            4 => self.subdirectory(Claim::Implied, depth)?,
            5 => self.subdirectory(Claim::Opaque, depth)?,
            6 => Node::BlockDevice(Device { major: self.small()?, minor: self.small()? }),
            7 => Node::CharDevice(Device { major: self.small()?, minor: self.small()? }),
            8 => Node::Fifo,
            9 => Node::Whiteout,
            _ => return Err(DecodeError::Value),
        })
    }

    fn subdirectory(&mut self, claim: Claim, depth: usize) -> Result<Node, DecodeError> {
        let children = Arc::new(self.directory(depth + 1)?);
        Ok(Node::Directory(Subdirectory { claim, children }))
    }

    fn file(&mut self) -> Result<File, DecodeError> {
        let id = <[u8; 32]>::try_from(self.take(32)?).map_err(|_| DecodeError::Length)?;
        let size = self.number()?;
        let group = self.number()?;
        let link = group.checked_sub(1).map(LinkGroup);
        Ok(File { body: BodyId::from_bytes(id), size, link })
    }

    fn metadata(&mut self) -> Result<Metadata, DecodeError> {
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let zigzag = self.number()?;
        let seconds = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let nanos = self.small()?;
        if 0o7777 < mode || 999_999_999 < nanos {
            return Err(DecodeError::Value);
        }
        let mut metadata =
            Metadata { mode, uid, gid, mtime: Timestamp { seconds, nanos }, xattrs: Vec::new() };
        for _ in 0..self.number()? {
            let (name, value) = (self.bytes()?, self.bytes()?);
            if metadata.xattrs.last().is_some_and(|(last, _)| name <= &**last) {
                return Err(DecodeError::Name);
            }
            metadata.xattrs.push((name.into(), value.into()));
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    const FULL: &str = "a=1@4 b=1@4 c=2 d! d/x=3 e/f/g=4 l>a/b -w";

    #[test]
    fn a_tree_reads_back() {
        for words in ["", FULL] {
            let bytes = encode(&sketch(words));
            let again = decode(&bytes).unwrap();
            assert_eq!(encode(&again), bytes, "{words}");
            assert_eq!(decode_root(&bytes), Ok(again.root), "{words}");
        }
    }

    #[test]
    fn group_numbers_do_not_reach_the_id() {
        assert_eq!(tree_id(&sketch("a=1@4 b=1@4")), tree_id(&sketch("a=1@9 b=1@9")));
        assert_ne!(tree_id(&sketch("a=1@4 b=1@4")), tree_id(&sketch("a=1 b=1")));
    }

    #[test]
    fn every_shorter_or_longer_input_is_refused() {
        let bytes = encode(&sketch(FULL));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(DecodeError::Length));
    }

    #[test]
    fn modification_times_change_the_id_but_not_the_content() {
        let tree = sketch("a=1");
        let mut entry = tree.children.get(b"a").unwrap().clone();
        entry.metadata.mtime.seconds += 1;
        let children = Arc::new(Directory::from_entries(vec![entry]));
        let touched = Tree { root: None, children };
        assert_ne!(tree_id(&tree), tree_id(&touched));
        assert_eq!(content_id(&tree), content_id(&touched));
    }
}
