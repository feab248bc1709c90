//! Tar streams whose headers have the right checksum, and anything else in them.

use arbitrary::Arbitrary;
use wythe_store::layer::canonical::{BLOCK, CanonicalEntry, END, each, padding};
use wythe_store::layer::import::{Keep, read_tree};
use wythe_store::layer::tar_read::TarReader;
use wythe_store::tree::entry::Tree;

/// A tar stream in parts.
#[derive(Arbitrary, Debug)]
pub struct Case {
    members: Vec<Member>,
    ended: bool,
    tail: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Member {
    Entry { name: Vec<Part>, kind: Kind, mode: u16, owner: u32, target: Vec<Part>, body: Vec<u8> },
    Long { kind: bool, name: Vec<Part> },
    Records { global: bool, records: Vec<(Key, Vec<u8>)> },
    Bent { name: Vec<Part>, at: u16, with: Vec<u8> },
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Kind {
    File,
    OldFile,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
    Other(u8),
}

#[derive(Arbitrary, Debug)]
enum Part {
    A,
    B,
    Slash,
    Dot,
    Up,
    Whiteout,
    Opaque,
    Byte(u8),
}

#[derive(Arbitrary, Debug)]
enum Key {
    Path,
    LinkPath,
    Size,
    Mtime,
    Uid,
    Xattr,
    Other(Vec<u8>),
}

impl Case {
    /// What is read as a layer can be written, and read again as the same layer.
    pub fn check(&self) {
        let tar = self.written();
        let Ok(tree) = read(&tar) else { return };
        let (written, headers) = encoded(&tree);
        let again = read(&written).unwrap_or_else(|()| panic!("{tree:?} cannot be read again"));
        assert_eq!(encoded(&again).1, headers);
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for member in &self.members {
            member.write(&mut out);
        }
        if self.ended {
            out.extend(END);
        }
        out.extend(&self.tail);
        out
    }
}

fn read(tar: &[u8]) -> Result<Tree, ()> {
    read_tree(&mut TarReader::new(tar), Keep::Nothing).map_err(drop)
}

/// The canonical stream of a tree, with zeros for the bytes of files, and its headers.
fn encoded(tree: &Tree) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut out, mut headers) = (Vec::new(), Vec::new());
    let done = each(tree, None, &mut |CanonicalEntry { header, body, .. }| {
        out.extend(&header);
        headers.push(header);
        let size = body.map_or(0, |file| file.size);
        out.resize(out.len() + usize::try_from(size).map_err(drop)? + padding(size), 0);
        Ok::<(), ()>(())
    });
    assert_eq!(done, Ok(()));
    out.extend(END);
    (out, headers)
}

impl Member {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry { name, kind, mode, owner, target, body } => {
                let mut block = header(name, kind.letter(), body.len());
                octal(&mut block[100..108], u64::from(*mode));
                octal(&mut block[108..116], u64::from(*owner) & 0o7_777_777);
                put(&mut block[157..257], &text(target));
                seal(block, out);
                padded(body, out);
            }
            Self::Long { kind, name } => {
                let name = [text(name), vec![0]].concat();
                seal(header(&[Part::A], if *kind { b'L' } else { b'K' }, name.len()), out);
                padded(&name, out);
            }
            Self::Records { global, records } => {
                let body: Vec<u8> =
                    records.iter().flat_map(|(key, value)| record(key, value)).collect();
                seal(header(&[Part::B], if *global { b'g' } else { b'x' }, body.len()), out);
                padded(&body, out);
            }
            Self::Bent { name, at, with } => {
                let mut block = header(name, b'0', 0);
                let at = usize::from(*at) % BLOCK;
                put(&mut block[at..], with);
                seal(block, out);
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

fn header(name: &[Part], kind: u8, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block[..100], &text(name));
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    for (start, end, value) in [(100, 108, 0o644), (108, 116, 0), (116, 124, 0), (136, 148, 1)] {
        octal(&mut block[start..end], value);
    }
    octal(&mut block[124..136], size as u64);
    block
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    put(field, format!("{value:0width$o}\0").as_bytes());
}

fn seal(mut block: [u8; BLOCK], out: &mut Vec<u8>) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    out.extend(block);
}

fn padded(body: &[u8], out: &mut Vec<u8>) {
    out.extend(body);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// A record whose length counts itself.
fn record(key: &Key, value: &[u8]) -> Vec<u8> {
    let body = [b" ", key.name(), b"=", value, b"\n"].concat();
    let length = (1..20)
        .map(|digits| body.len() + digits)
        .find(|length| length.to_string().len() == length - body.len());
    [length.unwrap_or_default().to_string().as_bytes(), &body].concat()
}

fn text(parts: &[Part]) -> Vec<u8> {
    let bytes = parts.iter().flat_map(|part| match part {
        Part::A => b"a".to_vec(),
        Part::B => b"b".to_vec(),
        Part::Slash => b"/".to_vec(),
        Part::Dot => b"./".to_vec(),
        Part::Up => b"../".to_vec(),
        Part::Whiteout => b".wh.".to_vec(),
        Part::Opaque => b".wh..wh..opq".to_vec(),
        Part::Byte(byte) => vec![*byte],
    });
    bytes.collect()
}

impl Kind {
    fn letter(&self) -> u8 {
        match self {
            Self::File => b'0',
            Self::OldFile => 0,
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::Character => b'3',
            Self::Block => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
            Self::Other(letter) => *letter,
        }
    }
}

impl Key {
    fn name(&self) -> &[u8] {
        match self {
            Self::Path => b"path",
            Self::LinkPath => b"linkpath",
            Self::Size => b"size",
            Self::Mtime => b"mtime",
            Self::Uid => b"uid",
            Self::Xattr => b"SCHILY.xattr.user.a",
            Self::Other(name) => name,
        }
    }
}
