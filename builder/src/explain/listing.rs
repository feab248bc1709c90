//! Listings: the files that a step reads, small enough to be kept with its result.
//!
//! # Form
//!
//! Version 1 (1), then entries until the end. An entry: a byte with what it is (bits 0-3), whether mode and
//! owner are those of the entry before (bit 4) and whether it has extended attributes (bit 5); its name,
//! with its length before it; mode, user and group, where they are others; 6 bytes of a hash of what it
//! holds, unless it is a directory, pipe or whiteout; 4 bytes of a hash of the attributes, where it has
//! some. What is in a directory follows it, up to a byte 255. Numbers are LEB128. The names of the first
//! level are paths.

use std::collections::{BTreeMap, BTreeSet};

use wythe_store::id::ContentId;
use wythe_store::tree::entry::{Directory, Entry, Metadata, Node, Xattrs};

use crate::copy::select::{Item, Selection};
use crate::copy::{CopySpec, Layout};
use crate::reason::{FileChange, FileDifference};

const VERSION: u8 = 1;
const DIRECTORY: u8 = 1;
const SAME_METADATA: u8 = 0x10;
const HAS_ATTRIBUTES: u8 = 0x20;
const KIND: u8 = 0x0f;
const END: u8 = 0xff;

/// The longest listing that is kept, in bytes: some 200,000 files. A step that reads more is explained
/// without their names.
const MAX_SIZE: usize = 4 << 20;

/// How many files a change names.
const SHOWN: usize = 5;

/// The listing of a selection; `None` of one that is too large.
pub(crate) fn encode(selection: &Selection, spec: &CopySpec) -> Option<Vec<u8>> {
    let mut writer = Writer { out: vec![VERSION], last: None };
    let items = selection.items();
    let named = spec.layout == Layout::Flat && items.len() == spec.sources.len();
    for (at, item) in items.iter().enumerate() {
        let word = if named { spec.sources.get(at) } else { None };
        writer.item(item, word.map(String::as_str))?;
    }
    Some(writer.out)
}

/// What differs between two listings: the first files, and how many more; `None` if one cannot be read.
pub(crate) fn compare(old: &[u8], new: &[u8]) -> Option<(Vec<FileChange>, usize)> {
    let (old, new) = (decode(old)?, decode(new)?);
    let mut changes = Vec::new();
    let paths: BTreeSet<&[u8]> = old.keys().chain(new.keys()).map(Vec::as_slice).collect();
    let mut spoken: BTreeMap<&[u8], FileDifference> = BTreeMap::new();
    for path in paths {
        let kind = match (old.get(path), new.get(path)) {
            (Some(old), Some(new)) => difference(old, new),
            (None, Some(_)) => Some(FileDifference::Added),
            (Some(_), None) => Some(FileDifference::Removed),
            (None, None) => None,
        };
        let Some(kind) = kind else { continue };
        // A directory that came or went speaks for all that is in it.
        let is_told = above(path).and_then(|above| spoken.get(above)) == Some(&kind);
        if matches!(kind, FileDifference::Added | FileDifference::Removed) {
            spoken.insert(path, kind.clone());
        }
        if !is_told {
            changes.push(FileChange { path: String::from_utf8_lossy(path).into_owned(), kind });
        }
    }
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    Some((changes, more))
}

fn above(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').map(|end| &path[..end])
}

struct Writer {
    out: Vec<u8>,
    /// Mode, user and group of the entry before.
    last: Option<[u32; 3]>,
}

impl Writer {
    fn item(&mut self, item: &Item, word: Option<&str>) -> Option<()> {
        match item {
            Item::File(entry) => self.entry(entry, &path(&entry.name, word)),
            Item::Contents { name, metadata, children, .. } => {
                let unseen = Metadata::default();
                self.head(DIRECTORY, &path(name, word), metadata.as_ref().unwrap_or(&unseen));
                self.directory(children)
            }
        }
    }

    fn directory(&mut self, directory: &Directory) -> Option<()> {
        directory.entries().iter().try_for_each(|entry| self.entry(entry, &entry.name))?;
        self.out.push(END);
        (self.out.len() <= MAX_SIZE).then_some(())
    }

    fn entry(&mut self, entry: &Entry, name: &[u8]) -> Option<()> {
        let (kind, content) = match &entry.node {
            Node::File(file) => (2, file.body.as_bytes().first_chunk::<6>().copied()),
            Node::Symlink(target) => (3, Some(hash(target))),
            Node::BlockDevice(device) => (4, Some(hash(format!("{device:?}").as_bytes()))),
            Node::CharDevice(device) => (5, Some(hash(format!("{device:?}").as_bytes()))),
            Node::Directory(_) => (DIRECTORY, None),
            Node::Fifo => (6, None),
            Node::Whiteout => (7, None),
        };
        self.head(kind, name, &entry.metadata);
        self.out.extend(content.into_iter().flatten());
        if !entry.metadata.xattrs.is_empty() {
            self.out.extend_from_slice(&attributes(&entry.metadata.xattrs));
        }
        match &entry.node {
            Node::Directory(below) => self.directory(&below.children),
            Node::BlockDevice(_)
            | Node::CharDevice(_)
            | Node::Fifo
            | Node::File(_)
            | Node::Symlink(_)
            | Node::Whiteout => Some(()),
        }
    }

    fn head(&mut self, kind: u8, name: &[u8], metadata: &Metadata) {
        let own = [metadata.mode, metadata.uid, metadata.gid];
        let same = if self.last == Some(own) { SAME_METADATA } else { 0 };
        let has = if metadata.xattrs.is_empty() { 0 } else { HAS_ATTRIBUTES };
        self.out.push(kind | same | has);
        self.number(name.len() as u64);
        self.out.extend_from_slice(name);
        if same == 0 {
            for number in own {
                self.number(number.into());
            }
            self.last = Some(own);
        }
    }

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.out.push(number.to_le_bytes()[0]);
    }
}

/// The path of an item: as it was asked for, where that has its name.
fn path(name: &[u8], word: Option<&str>) -> Vec<u8> {
    let word = word.map(|word| word.trim_start_matches("./").trim_matches('/'));
    match word {
        Some(word) if word.rsplit('/').next().map(str::as_bytes) == Some(name) => word.into(),
        _ => name.to_vec(),
    }
}

fn hash(bytes: &[u8]) -> [u8; 6] {
    let id = ContentId::of(bytes);
    *id.as_bytes().first_chunk().expect("an id has 32 bytes")
}

fn attributes(xattrs: &Xattrs) -> [u8; 4] {
    let mut all = Vec::new();
    for (name, value) in xattrs {
        for part in [name, value] {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
    }
    let [first, second, third, fourth, ..] = hash(&all);
    [first, second, third, fourth]
}

/// What a listing says of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct ListedFile {
    kind: u8,
    mode: u32,
    owner: (u32, u32),
    content: [u8; 6],
    attributes: [u8; 4],
}

fn difference(old: &ListedFile, new: &ListedFile) -> Option<FileDifference> {
    if old.kind != new.kind {
        Some(FileDifference::Type)
    } else if old.content != new.content {
        Some(FileDifference::Content)
    } else if old.mode != new.mode {
        Some(FileDifference::Mode { old: old.mode, new: new.mode })
    } else if old.owner != new.owner {
        Some(FileDifference::Owner { old: old.owner, new: new.owner })
    } else {
        (old.attributes != new.attributes).then_some(FileDifference::Attributes)
    }
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, ListedFile>> {
    let (version, mut rest) = bytes.split_first()?;
    let (mut found, mut above, mut last) = (BTreeMap::new(), Vec::new(), ListedFile::default());
    if *version != VERSION {
        return None;
    }
    while let Some(flags) = take::<1>(&mut rest).map(|[flags]| flags) {
        if flags == END {
            above.pop()?;
            continue;
        }
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        if flags & SAME_METADATA == 0 {
            last.mode = u32::try_from(number(&mut rest)?).ok()?;
            let mut id = || u32::try_from(number(&mut rest)?).ok();
            last.owner = (id()?, id()?);
        }
        let kind = flags & KIND;
        let content = if (2..=5).contains(&kind) { take(&mut rest)? } else { [0; 6] };
        let attributes = if flags & HAS_ATTRIBUTES == 0 { [0; 4] } else { take(&mut rest)? };
        let path = joined(above.last().map(Vec::as_slice), name);
        if !path.is_empty() {
            found.insert(path.clone(), ListedFile { kind, content, attributes, ..last });
        }
        if kind == DIRECTORY {
            above.push(path);
        }
    }
    above.is_empty().then_some(found)
}

fn joined(above: Option<&[u8]>, name: &[u8]) -> Vec<u8> {
    match above {
        Some(above) if !above.is_empty() => [above, b"/", name].concat(),
        _ => name.to_vec(),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::select::select;
    use crate::copy::tests::sketch::tree;

    fn listing(words: &str, source: &str) -> Vec<u8> {
        let sources = words.split(' ').map(str::to_owned).collect();
        let spec = CopySpec { sources, ..CopySpec::default() };
        encode(&select(&tree(source), &spec).unwrap(), &spec).unwrap()
    }

    fn changes(words: &str, old: &str, new: &str) -> String {
        let (files, more) = compare(&listing(words, old), &listing(words, new)).unwrap();
        let words: Vec<String> = files.iter().map(ToString::to_string).collect();
        format!("{} +{more}", words.join(", "))
    }

    #[test]
    fn every_kind_of_difference_has_its_word() {
        assert_eq!(changes("d", "d/f=F", "d/f=G"), "d/f (content) +0");
        assert_eq!(changes("d", "d/f=F", "d/f=F d/g=G"), "d/g (added) +0");
        assert_eq!(changes("d", "d/f=F d/g=G", "d/f=F"), "d/g (removed) +0");
        assert_eq!(changes("d", "d/f=F!644", "d/f=F!755"), "d/f (mode 0644 to 0755) +0");
        assert_eq!(changes("d", "d/f=F@1:2", "d/f=F@1:3"), "d/f (owner 1:2 to 1:3) +0");
        assert_eq!(changes("d", "d/f->a", "d/f->b"), "d/f (content) +0");
        assert_eq!(changes("d", "d/f->a", "d/f=a"), "d/f (type) +0");
        assert_eq!(changes("d", "d/f=F", "d/f=F"), " +0");
    }

    #[test]
    fn paths_are_those_of_the_source() {
        assert_eq!(
            changes("a/b/f c", "a/b/f=F c/x=X", "a/b/f=G c/x=Y"),
            "a/b/f (content), c/x (content) +0"
        );
        assert_eq!(changes(".", "a/f=F", "a/f=G"), "a/f (content) +0");
    }

    #[test]
    fn a_new_directory_stands_for_what_is_in_it_and_few_are_named() {
        assert_eq!(changes("d", "d/f=F", "d/f=F d/n/a=A d/n/m/b=B"), "d/n (added) +0");
        let many =
            |text: &str| (0..9).map(|n| format!("d/{n}={text}")).collect::<Vec<_>>().join(" ");
        assert!(changes("d", &many("A"), &many("B")).ends_with("d/4 (content) +4"));
    }

    #[test]
    fn what_makes_no_sense_is_no_listing() {
        let whole = listing("d", "d/f=F d/e/g=G");
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_none_or(|found| found.len() < 4));
        }
        assert_eq!(decode(&[2]), None);
        assert_eq!(decode(&[1, 255]), None);
        assert_eq!(decode(&[1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]), None);
    }
}
