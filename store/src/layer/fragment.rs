//! Where a layer's tar stream is cut into parts that are compressed apart.
//!
//! A part depends on few files, so a change to one file leaves the compressed form of most parts
//! as it was; and parts do not depend on each other, so threads can share them out.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::LazyLock;

use crate::bytes::{Bytes, FileBytes};
use crate::error::ReadError;
use crate::id::{BodyId, RunId};
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{CanonicalEntry, END, padding};
use crate::layer::codec::Codec;
use crate::layer::loaded::{self, Loaded};
use crate::layer::tar_write::WriteTarError;
use crate::object::{Kind, ObjectName};
use crate::tree::entry::{File, Tree};

/// Bodies this long are parts of their own.
pub(super) const OWN_PART: u64 = 16 << 10;
/// Headers and small bodies longer than this are cut before the next entry.
pub(super) const RUN_MAX: usize = 256 << 10;
/// Longer bodies are several parts: threads share them, and a part fits in memory.
const PART_MAX: u64 = 8 << 20;
/// A stream of which only the bytes are known is cut here: smaller would cost size.
const BLOCK_MAX: u64 = 1 << 20;
/// The domain of the keys that compressed parts are stored under.
const KEY_DOMAIN: &str = "wythe 2026 compressed part";

/// A piece of a layer's tar stream.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: FileBytes,
    range: Range<u64>,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// Headers and small bodies.
    Run,
    /// Part of one file.
    Body(BodyId),
    /// Part of any file, where it has a hole.
    Zeros,
}

/// What parts that are zeros show: one of them is like any other, and compressed once.
static ZEROS: LazyLock<Bytes> = LazyLock::new(|| vec![0; 8 << 20].into());

impl Part {
    /// Headers and small bodies.
    pub(super) fn run(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len() as u64, bytes: bytes.into(), origin: Origin::Run }
    }

    /// A range of a file's bytes.
    pub(super) fn of_file(id: BodyId, bytes: FileBytes, range: Range<u64>) -> Self {
        let length = range.end - range.start;
        if length <= PART_MAX && bytes.is_hole(&range) {
            let bytes = ZEROS.clone().into();
            return Self { bytes, range: 0..length, origin: Origin::Zeros };
        }
        Self { bytes, range, origin: Origin::Body(id) }
    }

    /// How many plain bytes there are.
    pub(crate) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The plain bytes.
    pub(crate) fn bytes(&self) -> Result<Cow<'_, [u8]>, ReadError> {
        self.bytes.piece(self.range.clone())
    }

    /// What the codec makes of it, whose plain bytes these are.
    pub(crate) fn compressed(&self, plain: &[u8], codec: Codec) -> io::Result<Vec<u8>> {
        match self.origin {
            Origin::Body(_) => codec.compress_body(plain),
            Origin::Run | Origin::Zeros => codec.compress(plain),
        }
    }

    /// The name of what the codec of this id makes of it, whose plain bytes these are.
    pub(crate) fn name(&self, plain: &[u8], codec: &str) -> ObjectName {
        let (kind, id) = match self.origin {
            Origin::Run => (Kind::Run, *RunId::of(plain).as_bytes()),
            Origin::Body(body) => (Kind::Fragment, *body.as_bytes()),
            Origin::Zeros => (Kind::Fragment, of_zeros(self.length())),
        };
        let mut key = blake3::Hasher::new_derive_key(KEY_DOMAIN);
        key.update(&id).update(&self.range.start.to_le_bytes()).update(codec.as_bytes());
        ObjectName::new(kind, key.finalize().as_bytes())
    }
}

/// What stands for so many zeros in a key, in place of the id of a file.
fn of_zeros(length: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&length.to_le_bytes());
    id
}

/// Cuts the canonical tar stream of a tree.
pub(crate) fn cut_tree<E: From<WriteTarError> + Send>(
    tree: &Tree,
    bodies: &dyn Bodies,
    sink: &mut (dyn FnMut(Part) -> Result<(), E> + Send),
) -> Result<(), E> {
    let mut cutter = Cutter { run: Vec::new(), sink };
    loaded::each(tree, bodies, &mut |loaded| cutter.entry(&loaded))?;
    cutter.run.extend_from_slice(&END);
    cutter.end_run()
}

/// Cuts a tar stream that somebody else wrote.
pub(crate) fn cut_stream<E: From<std::io::Error>>(
    stream: &mut dyn Read,
    sink: &mut dyn FnMut(Part) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let mut block = Vec::new();
        (&mut *stream).take(BLOCK_MAX).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        sink(Part::run(block))?;
    }
}

struct Cutter<'a, E> {
    run: Vec<u8>,
    sink: &'a mut (dyn FnMut(Part) -> Result<(), E> + Send),
}

impl<E: From<WriteTarError>> Cutter<'_, E> {
    fn entry(&mut self, Loaded { entry, body }: &Loaded) -> Result<(), E> {
        if is_boundary(entry) || RUN_MAX <= self.run.len() {
            self.end_run()?;
        }
        self.run.extend_from_slice(&entry.header);
        let Some((file, body)) = entry.body.as_ref().zip(body.as_ref()) else { return Ok(()) };
        if OWN_PART <= file.size {
            self.end_run()?;
            self.body(file, body)?;
        } else {
            self.run.extend_from_slice(&body.load().map_err(WriteTarError::from)?);
        }
        self.run.resize(self.run.len() + padding(file.size), 0);
        Ok(())
    }

    fn body(&mut self, file: &File, body: &FileBytes) -> Result<(), E> {
        for start in starts(body.len(), PART_MAX) {
            let range = start..body.len().min(start + PART_MAX);
            (self.sink)(Part::of_file(file.body, body.clone(), range))?;
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), E> {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() { Ok(()) } else { (self.sink)(Part::run(run)) }
    }
}

/// Where the pieces of a file begin that are this long.
pub(super) fn starts(whole: u64, piece: u64) -> impl Iterator<Item = u64> {
    (0..whole.div_ceil(piece)).map(move |n| n * piece)
}

/// Where a run ends depends on names alone, so that a change to one file moves no other cut.
fn is_boundary(entry: &CanonicalEntry) -> bool {
    blake3::hash(entry.path.as_bytes()).as_bytes()[0].is_multiple_of(16)
}
