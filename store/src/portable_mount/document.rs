//! What a saved cache mount consists of: its tree, and which piece of which pack is which part of it.
//!
//! Version 1: the byte 1; the canonical bytes of the tree; the lists of chunks of its long files; the pieces of
//! each pack. Numbers have eight bytes, little-endian, and lengths precede what varies. The whole is one zstd frame.
//! A part is the body of a short file, or a chunk of a long one; each is named by its number in the order
//! in which the tree names them first, so that no id is said twice.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};

use crate::cache_mount::state::PackedPiece;
use crate::chunk_list::ChunkList;
use crate::id::BodyId;
use crate::tree::encode::{decode as decode_tree, encode as encode_tree};
use crate::tree::entry::{Claim, Directory, File, Node, Tree};
use crate::tree::files::each_file;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;
/// The longest document that is read once it is unpacked: that of some two million files.
const MAX_DOCUMENT: u64 = 256 << 20;
/// The longest part: longer files are lists of chunks, which are shorter.
pub const MAX_PART: u64 = 8 << 20;
/// How many bytes a piece has.
const PIECE: usize = 16;
/// What stands for a part that nothing needs any more.
const UNUSED: u64 = u64::MAX;

/// What a cache mount consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its files, and all else.
    pub tree: Tree,
    /// What its long files consist of.
    pub(crate) lists: BTreeMap<BodyId, ChunkList>,
    /// What each pack holds, in the order of the record.
    pub packs: Vec<Vec<Piece>>,
}

/// A piece of a pack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// How many bytes it has.
    pub length: u64,
    /// Which part it is, by number; `None` if nothing needs it any more.
    pub part: Option<usize>,
}

/// Bytes that a mount needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// What they are.
    pub id: BodyId,
    /// How many.
    pub length: u64,
}

/// The parts of a tree, each once, in the order in which it names them first.
pub(crate) fn parts(tree: &Tree, lists: &BTreeMap<BodyId, ChunkList>) -> Vec<Part> {
    let (mut parts, mut known) = (Vec::new(), HashSet::new());
    let mut add = |id: BodyId, length: u64| {
        if length > 0 && known.insert(id) {
            parts.push(Part { id, length });
        }
    };
    each_file(&tree.children, &mut |file| match lists.get(&file.body) {
        None => add(file.body, file.size),
        Some(list) => {
            let chunks = list.0.iter().filter_map(|piece| Some((piece.chunk?, piece.length)));
            chunks.for_each(|(id, length)| add(id, length));
        }
    });
    parts
}

impl Document {
    /// The parts of its tree.
    pub fn parts(&self) -> Vec<Part> {
        parts(&self.tree, &self.lists)
    }

    /// What the pieces of each pack are, by the parts of its tree.
    pub(crate) fn held(&self, parts: &[Part]) -> Vec<Vec<PackedPiece>> {
        let piece = |piece: &Piece| (piece.part.map(|part| parts[part].id), piece.length);
        self.packs.iter().map(|pieces| pieces.iter().map(piece).collect()).collect()
    }

    /// Its bytes.
    ///
    /// # Errors
    ///
    /// If zstd fails, which it does only without memory.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        self.encode_with(&encode_tree(&self.tree))
    }

    /// Its bytes, by those of its tree.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub(crate) fn encode_with(&self, tree: &[u8]) -> io::Result<Vec<u8>> {
        zstd::bulk::compress(&self.plain(tree), ZSTD_LEVEL)
    }

    fn plain(&self, tree: &[u8]) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        let pieces: usize = self.packs.iter().map(Vec::len).sum();
        out.reserve(tree.len() + PIECE * pieces);
        out.bytes(tree).number(self.lists.len() as u64);
        for (id, list) in &self.lists {
            out.raw(id.as_bytes()).bytes(&list.encode());
        }
        out.number(self.packs.len() as u64);
        for pieces in &self.packs {
            out.number(pieces.len() as u64);
            for piece in pieces {
                out.number(piece.length).number(piece.part.map_or(UNUSED, |part| part as u64));
            }
        }
        out.finish()
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` if the bytes are no document, or one that contradicts
    /// itself or holds what no cache mount does.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut plain = Vec::new();
        let read = zstd::Decoder::new(bytes).ok()?.take(MAX_DOCUMENT).read_to_end(&mut plain);
        read.ok()?;
        let mut from = Decoder::new(&plain, VERSION)?;
        let tree = decode_tree(from.bytes()?).ok()?;
        let lists = from.list(|from| {
            Some((BodyId::from_bytes(from.array()?), ChunkList::decode(from.bytes()?)?))
        })?;
        let packs = from.list(|from| from.list(piece))?;
        let document = from.end(Self { tree, lists: lists.into_iter().collect(), packs })?;
        document.is_sound().then_some(document)
    }

    /// Whether each part is in one pack, as long as it is to be, and each file as long as its chunks.
    fn is_sound(&self) -> bool {
        let parts = self.parts();
        // Which parts were not met yet, and how many that are.
        let (mut is_open, mut open) = (vec![true; parts.len()], parts.len());
        let mut take = |part: usize| {
            let was_open = is_open.get_mut(part).is_some_and(std::mem::take);
            open -= usize::from(was_open);
            was_open
        };
        let is_right = |piece: &Piece| match piece.part {
            None => true,
            Some(part) => {
                take(part) && parts.get(part).is_some_and(|one| one.length == piece.length)
            }
        };
        let mut have_their_length = true;
        each_file(&self.tree.children, &mut |file| have_their_length &= self.has_its_length(file));
        have_their_length
            && self.tree.root.is_some()
            && is_plain(&self.tree.children)
            && parts.iter().all(|part| part.length <= MAX_PART)
            && self.packs.iter().flatten().all(is_right)
            && open == 0
    }

    fn has_its_length(&self, file: &File) -> bool {
        self.lists.get(&file.body).is_none_or(|list| list.length() == file.size)
    }
}

fn piece(from: &mut Decoder<'_>) -> Option<Piece> {
    let (length, part) = (from.number()?, from.number()?);
    let part = if part == UNUSED { None } else { Some(usize::try_from(part).ok()?) };
    Some(Piece { length, part })
}

/// Whether there is only what reading a mount finds.
fn is_plain(directory: &Directory) -> bool {
    directory.entries().iter().all(|entry| match &entry.node {
        Node::Directory(below) => below.claim == Claim::Explicit && is_plain(&below.children),
        Node::File(_) | Node::Symlink(_) | Node::Fifo => true,
        Node::BlockDevice(_) | Node::CharDevice(_) | Node::Whiteout => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk_list::Piece as Chunk;
    use crate::id::hex;
    use crate::tree::entry::Metadata;
    use crate::tree::sketch::sketch;

    fn document() -> Document {
        let mut tree = sketch("a=1@0 b=1@0 c=long d/ d/e=2 d/f=1 l>a");
        tree.root = Some(Metadata { mode: 0o755, ..Metadata::default() });
        let chunk = |text: &str, length| Chunk { length, chunk: Some(BodyId::of(text.as_bytes())) };
        let zeros = Chunk { length: 2, chunk: None };
        let list = ChunkList(vec![chunk("x", 1), zeros, chunk("2", 1)]);
        let lists = BTreeMap::from([(BodyId::of(b"long"), list)]);
        let piece = |length, part| Piece { length, part };
        let packs = vec![
            vec![piece(1, Some(0)), piece(5, None)],
            vec![piece(1, Some(2)), piece(1, Some(1))],
        ];
        Document { tree, lists, packs }
    }

    #[test]
    fn a_document_has_these_bytes() {
        let expected = expect_test::expect![[r"
            01fd000000000000000101ed03000000000005010161a40300000200004e9bfc
            2e7ea846f1de129c196ae35f0907437ee83164d4a571d842af484705a6010101
            0162a40300000200004e9bfc2e7ea846f1de129c196ae35f0907437ee83164d4
            a571d842af484705a60101010163a40300000200009afec207983f5a84e9300f
            17c7da592e2add67501c09c38e602480d77727f3f70400030164ed0300000000
            0002010165a40300000200009528133a0decc5da033b91f578b569f7e80d1811
            bdd8ed219a561dbab6c846210100010166a40300000200004e9bfc2e7ea846f1
            de129c196ae35f0907437ee83164d4a571d842af484705a6010002016cff0300
            00020000016101000000000000009afec207983f5a84e9300f17c7da592e2add
            67501c09c38e602480d77727f3f7810000000000000001030000000000000001
            000000000000007fa3414aafd25ac67b72535435c7cf5c36d69dc92432e9e4c3
            698f8d11dd1a4902000000000000000000000000000000000000000000000000
            00000000000000000000000000000001000000000000009528133a0decc5da03
            3b91f578b569f7e80d1811bdd8ed219a561dbab6c84621020000000000000002
            00000000000000010000000000000000000000000000000500000000000000ff
            ffffffffffffff02000000000000000100000000000000020000000000000001
            000000000000000100000000000000"]];
        let plain = document().plain(&encode_tree(&document().tree));
        let lines: Vec<String> = plain.chunks(32).map(hex).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_document_reads_back_and_what_is_shorter_is_none() {
        let plain = document().plain(&encode_tree(&document().tree));
        assert_eq!(Document::decode(&document().encode().unwrap()), Some(document()));
        for end in 0..plain.len() {
            let bytes = zstd::bulk::compress(&plain[..end], 1).unwrap();
            assert_eq!(Document::decode(&bytes), None, "{end}");
        }
        assert_eq!(Document::decode(&plain), None);
    }

    #[test]
    fn parts_are_named_once_in_the_order_of_the_tree() {
        let ids: Vec<BodyId> = document().parts().iter().map(|part| part.id).collect();
        assert_eq!(ids, [&b"1"[..], b"x", b"2"].map(BodyId::of));
    }

    #[test]
    fn what_contradicts_itself_is_no_document() {
        let broken = |change: &dyn Fn(&mut Document)| {
            let mut document = document();
            change(&mut document);
            Document::decode(&document.encode().unwrap())
        };
        assert!(broken(&|_| {}).is_some());
        // A part that is nowhere, one that is twice, one that is longer, one that is none.
        assert_eq!(broken(&|one| drop(one.packs.pop())), None);
        assert_eq!(broken(&|one| one.packs.push(one.packs[0].clone())), None);
        assert_eq!(broken(&|one| one.packs[0][0].length = 2), None);
        assert_eq!(broken(&|one| one.packs[0][1].part = Some(3)), None);
        // A file that is longer than its chunks, a directory of nobody, what is no mount's.
        let shorten = |one: &mut Document| {
            one.lists.values_mut().for_each(|list| list.0.truncate(2));
        };
        assert_eq!(broken(&shorten), None);
        assert_eq!(broken(&|one| one.tree.root = None), None);
        for words in ["-w", "d!", "d/e=1"] {
            let root = Some(Metadata::default());
            let tree = Tree { root, ..sketch(words) };
            assert_eq!(broken(&|one| one.tree = tree.clone()), None, "{words}");
        }
    }
}
