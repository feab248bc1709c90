//! What a selection contains, as an id: two selections with one id copy to the same result, but
//! for modification times.
//!
//! In: names, types, modes, owners, sizes, link targets, devices, extended attributes, bodies, and
//! which names are hard links of each other. Out: every time, and what a copied directory's own
//! metadata says, of which nothing is copied. Bodies are never touched: their ids are in the tree.

use std::collections::BTreeMap;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use wythe_store::id::ContentId;
use wythe_store::tree::entry::{Claim, Directory, Entry, File, LinkGroup, Metadata, Node};

use super::select::{Item, Selection};

/// Directories with fewer entries are not worth a second thread.
const PARALLEL_ENTRIES: usize = 8;

impl Selection {
    /// The id of what this selection contains.
    pub fn content_id(&self) -> ContentId {
        let mut hasher = ContentId::hasher();
        let mut links = Links::default();
        for (index, item) in self.items().iter().enumerate() {
            let digest = match item {
                Item::File(entry) => entry_digest(entry),
                Item::Contents { name, children, .. } => contents_digest(name, children),
            };
            hasher.update(&digest.bytes);
            if digest.has_links == HasLinks::Yes {
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

fn contents_digest(name: &[u8], children: &Directory) -> Part {
    let below = directory_digest(children);
    let mut hasher = ContentId::hasher();
    hasher.update(b"contents");
    field(&mut hasher, name);
    hasher.update(&below.bytes);
    Part { bytes: *hasher.finalize().as_bytes(), ..below }
}

fn directory_digest(directory: &Directory) -> Part {
    let entries = directory.entries();
    let parts: Vec<Part> = if entries.len() < PARALLEL_ENTRIES {
        entries.iter().map(entry_digest).collect()
    } else {
        entries.par_iter().map(entry_digest).collect()
    };
    let mut hasher = ContentId::hasher();
    let mut has_links = HasLinks::No;
    for part in &parts {
        hasher.update(&part.bytes);
        if part.has_links == HasLinks::Yes {
            has_links = HasLinks::Yes;
        }
    }
    Part { bytes: *hasher.finalize().as_bytes(), has_links }
}

fn entry_digest(entry: &Entry) -> Part {
    let mut hasher = ContentId::hasher();
    let mut has_links = HasLinks::No;
    field(&mut hasher, &entry.name);
    metadata(&mut hasher, &entry.metadata);
    match &entry.node {
        Node::BlockDevice(device) | Node::CharDevice(device) => {
            hasher.update(if matches!(entry.node, Node::BlockDevice(_)) { b"b" } else { b"c" });
            hasher.update(&device.major.to_le_bytes());
            hasher.update(&device.minor.to_le_bytes());
        }
        Node::Directory(directory) => {
            let below = directory_digest(&directory.children);
            hasher.update(if directory.claim == Claim::Opaque { b"o" } else { b"d" });
            hasher.update(&below.bytes);
            has_links = below.has_links;
        }
        Node::Fifo => drop(hasher.update(b"p")),
        Node::File(file) => {
            hasher.update(b"f");
            hasher.update(file.body.as_bytes());
            hasher.update(&file.size.to_le_bytes());
            has_links = if file.link.is_some() { HasLinks::Yes } else { HasLinks::No };
        }
        Node::Symlink(target) => {
            hasher.update(b"l");
            field(&mut hasher, target);
        }
        Node::Whiteout => drop(hasher.update(b"w")),
    }
    Part { bytes: *hasher.finalize().as_bytes(), has_links }
}

fn metadata(hasher: &mut blake3::Hasher, metadata: &Metadata) {
    for number in [metadata.mode, metadata.uid, metadata.gid] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&(metadata.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &metadata.xattrs {
        field(hasher, name);
        field(hasher, value);
    }
}

fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
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
            Item::Contents { children, .. } => self.directory(children),
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
