//! What a selection contains, as an id: two selections with one id copy to the same result, but
//! for modification times.
//!
//! In: names, types, modes, owners, sizes, link targets, devices, extended attributes, bodies, and
//! which names are hard links of each other. Out: every time, and what a copied directory's own
//! metadata says, of which nothing is copied. Bodies are never touched: their ids are in the tree.

use std::collections::{BTreeMap, BTreeSet};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use wythe_store::id::ContentId;
use wythe_store::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory,
};

use super::Tops;
use super::canvas::children;
use super::select::{Item, Selection};

/// Room for an ordinary entry, so that a buffer seldom grows.
const ENTRY_ROOM: usize = 128;

impl Selection {
    /// The id of what this selection contains, for whoever sees `tops`.
    pub fn seen_id(&self, tops: Tops) -> ContentId {
        let content = self.content_id();
        if tops == Tops::Unseen {
            return content;
        }
        let mut out = content.as_bytes().to_vec();
        for item in self.items() {
            if let Item::Contents { metadata: Some(own), .. } = item {
                metadata(&mut out, own);
            }
        }
        ContentId::of(&out)
    }

    /// The id of what this selection contains.
    pub fn content_id(&self) -> ContentId {
        let mut hasher = ContentId::hasher();
        let mut links = Links::default();
        for (index, item) in self.items().iter().enumerate() {
            let part = match item {
                Item::File(entry) => list(&[entry], &[]),
                Item::Contents { name, children, on_the_way, .. } => {
                    contents(name, children, on_the_way)
                }
            };
            hasher.update(&part.bytes);
            if part.has_links == HasLinks::Yes {
                links.item(index, item);
            }
        }
        links.write(&mut hasher);
        ContentId::from_hasher(&hasher)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum HasLinks {
    Yes,
    No,
}

struct Part {
    bytes: [u8; 32],
    has_links: HasLinks,
}

fn contents(name: &[u8], children: &Directory, on_the_way: &BTreeSet<Vec<u8>>) -> Part {
    let below = directory(children);
    let mut out = b"contents".to_vec();
    field(&mut out, name);
    out.extend_from_slice(&below.bytes);
    for path in on_the_way {
        field(&mut out, path);
    }
    Part { bytes: *ContentId::of(&out).as_bytes(), ..below }
}

fn directory(directory: &Directory) -> Part {
    let entries: Vec<&Entry> = directory.entries().iter().collect();
    let below: Vec<&Directory> = entries.iter().filter_map(|entry| children(entry)).collect();
    let below: Vec<Part> = match below[..] {
        [] => Vec::new(),
        [one] => vec![self::directory(one)],
        _ if rayon::current_thread_index().is_none() => {
            below.into_iter().map(self::directory).collect()
        }
        _ => below.into_par_iter().map(self::directory).collect(),
    };
    list(&entries, &below)
}

/// One hash over some entries, given those of the directories among them.
fn list(entries: &[&Entry], below: &[Part]) -> Part {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_ROOM);
    let mut has_links = HasLinks::No;
    let mut below = below.iter();
    for entry in entries {
        out.push(kind(&entry.node));
        field(&mut out, &entry.name);
        metadata(&mut out, &entry.metadata);
        let part = if children(entry).is_some() { below.next() } else { None };
        let linked = matches!(entry.node, Node::File(File { link: Some(_), .. }));
        if linked || part.is_some_and(|part| part.has_links == HasLinks::Yes) {
            has_links = HasLinks::Yes;
        }
        match part {
            Some(part) => out.extend_from_slice(&part.bytes),
            None => node(&mut out, &entry.node),
        }
    }
    Part { bytes: *ContentId::of(&out).as_bytes(), has_links }
}

fn kind(node: &Node) -> u8 {
    match node {
        Node::BlockDevice(_) => b'b',
        Node::CharDevice(_) => b'c',
        Node::Directory(Subdirectory { claim: Claim::Opaque, .. }) => b'o',
        Node::Directory(_) => b'd',
        Node::Fifo => b'p',
        Node::File(_) => b'f',
        Node::Symlink(_) => b'l',
        Node::Whiteout => b'w',
    }
}

fn node(out: &mut Vec<u8>, node: &Node) {
    match node {
        Node::BlockDevice(device) | Node::CharDevice(device) => {
            out.extend_from_slice(&device.major.to_le_bytes());
            out.extend_from_slice(&device.minor.to_le_bytes());
        }
        Node::File(file) => {
            out.extend_from_slice(file.body.as_bytes());
            out.extend_from_slice(&file.size.to_le_bytes());
        }
        Node::Symlink(target) => field(out, target),
        Node::Directory(_) | Node::Fifo | Node::Whiteout => {}
    }
}

fn metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    for number in [metadata.mode, metadata.uid, metadata.gid] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(metadata.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &metadata.xattrs {
        field(out, name);
        field(out, value);
    }
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Which names share a file, as numbers that do not depend on how groups are numbered.
#[derive(Default)]
struct Links {
    names: BTreeMap<LinkGroup, Vec<u64>>,
    seen: u64,
}

impl Links {
    fn item(&mut self, index: usize, item: &Item) {
        // Counting files suffices as a name: the order of files is already part of the id.
        self.seen = (index as u64) << 40;
        match item {
            Item::File(entry) => self.entry(entry),
            Item::Contents { children: all, .. } => self.directory(all),
        }
    }

    fn directory(&mut self, directory: &Directory) {
        for entry in directory.entries() {
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.seen += 1;
        if let Node::Directory(directory) = &entry.node {
            self.directory(&directory.children);
        } else if let Node::File(File { link: Some(group), .. }) = &entry.node {
            self.names.entry(*group).or_default().push(self.seen);
        }
    }

    fn write(self, hasher: &mut blake3::Hasher) {
        let mut groups: Vec<Vec<u64>> =
            self.names.into_values().filter(|names| names.len() > 1).collect();
        groups.sort_unstable();
        for group in groups {
            hasher.update(&(group.len() as u64).to_le_bytes());
            for name in group {
                hasher.update(&name.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::select;
    use super::super::tests::sketch::tree;
    use super::super::{CopySpec, Layout};
    use super::*;

    fn id(source: &str, words: &str, layout: Layout) -> ContentId {
        let sources = words.split(' ').map(str::to_owned).collect();
        let spec = CopySpec { sources, layout, ..CopySpec::default() };
        select(&tree(source), &spec).unwrap().content_id()
    }

    #[track_caller]
    fn hit(words: &str, before: &str, after: &str) {
        let [old, new] = [before, after].map(|source| id(source, words, Layout::Flat));
        assert_eq!(old, new, "{before} and {after}");
    }

    #[track_caller]
    fn miss(words: &str, before: &str, after: &str) {
        let [old, new] = [before, after].map(|source| id(source, words, Layout::Flat));
        assert_ne!(old, new, "{before} and {after}");
    }

    #[test]
    fn times_neighbours_and_the_mode_of_the_root_do_not_count() {
        hit("d", "d/f=F~1", "d/f=F~2");
        hit("d", "d/f=F", "d/f=F e=E");
        hit("d", "d/!700 d/f=F", "d/f=F");
        hit("d", "d/f=F", "x/d/f=F d->x/d");
        assert_eq!(id("f=F", "./f", Layout::Flat), id("f=F", "f", Layout::Flat));
    }

    #[test]
    fn content_mode_owner_type_and_name_count() {
        miss("d", "d/f=F", "d/f=G");
        miss("d", "d/f=F", "d/f=F!755");
        miss("d", "d/f=F", "d/f=F@1:0");
        miss("d", "d/l->a", "d/l->b");
        miss("d", "d/f=F", "d/g=F");
        miss("d", "d/f=F", "d/f=F d/e/");
        miss("d", "d/p|", "d/p/");
        assert_ne!(id("f=F g=F", "f", Layout::Flat), id("f=F g=F", "g", Layout::Flat));
        assert_ne!(id("f=F g=G", "f g", Layout::Flat), id("f=F g=G", "g f", Layout::Flat));
    }

    #[test]
    fn whoever_mounts_a_directory_sees_its_own_mode_and_owner() {
        let seen = |source: &str, path: &str| {
            let spec = CopySpec { sources: vec![path.to_owned()], ..CopySpec::default() };
            select(&tree(source), &spec).unwrap().seen_id(Tops::Seen)
        };
        assert_ne!(seen("d/!700 d/f=F", "d"), seen("d/!755 d/f=F", "d"));
        assert_ne!(seen("d/@1:0 d/f=F", "d"), seen("d/@2:0 d/f=F", "d"));
        assert_eq!(
            seen("d/!700 d/f=F e=E", "d"),
            seen("d/!700 d/f=F", "d"),
            "neighbours are not seen"
        );
        assert_eq!(
            seen("d/!700 d/e/f=F", "d/e"),
            seen("d/!755 d/e/f=F", "d/e"),
            "nor what is above"
        );
    }

    #[test]
    fn the_mode_of_a_nested_directory_counts() {
        miss("d", "d/s/!755 d/s/f=F", "d/s/!711 d/s/f=F");
        let [old, new] = ["a/!755 a/b=B", "a/!711 a/b=B"].map(|s| id(s, "a/b", Layout::Parents));
        assert_ne!(old, new);
    }

    #[test]
    fn hard_links_and_equal_files_differ_however_groups_are_numbered() {
        miss("d", "d/x=X d/y=X", "d/x=X#1 d/y=X#1");
        miss("d", "d/x=X#1 d/y=X#1 d/z=X", "d/x=X#1 d/y=X d/z=X#1");
        hit("d", "d/x=X#1 d/y=X#1", "d/x=X#9 d/y=X#9");
        hit("d", "d/x=X#1 y=X#1", "d/x=X");
    }

    #[test]
    fn names_cannot_move_into_their_neighbours() {
        miss("d", "d/a/b=X", "d/a/ d/b=X");
        miss("d", "d/ab->c", "d/a->bc");
    }
}
