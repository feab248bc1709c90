//! Where a layer's tar stream is cut into parts that are compressed apart.
//!
//! A part depends on few files, so a change to one file leaves the compressed form of most parts
//! as it was; and parts do not depend on each other, so threads can share them out.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use self::plain::in_memory;
use self::wanted::WantedFile;
use crate::body::fill;
use crate::bytes::FileBytes;
use crate::error::ReadError;
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{self, CanonicalEntry, END, padding};
use crate::layer::tar_write::WriteTarError;
use crate::object::{Kind, ObjectName};
use crate::spare;
use crate::tree::entry::{File, Tree};

pub(super) use self::plain::{Nature, Plain, zeros_name};

mod plain;
mod wanted;

/// Bodies this long are parts of their own.
pub(super) const OWN_PART: u64 = 16 << 10;
/// Headers and small bodies longer than this are cut before the next entry.
pub(super) const RUN_MAX: usize = 256 << 10;
/// Longer bodies are several parts: threads share them, and a part fits in memory.
pub(super) const PART_MAX: u64 = 8 << 20;
/// A stream of which only the bytes are known is cut here: smaller would cost size.
const BLOCK_MAX: u64 = 1 << 20;
/// The domain of the keys that compressed parts are stored under.
const KEY_DOMAIN: &str = "wythe 2026 compressed part with its checksum";

/// A piece of a layer's tar stream. It is named by what it is made of, so that one whose
/// compressed form is known need not be read.
#[derive(Debug)]
pub(crate) struct Part(Content);

#[derive(Debug)]
enum Content {
    /// Headers and small bodies.
    Run(Run),
    /// A range of one file.
    Range { file: Arc<WantedFile>, range: Range<u64> },
}

/// Headers and padding, and the bodies between them.
#[derive(Debug, Default)]
pub(super) struct Run {
    frame: Vec<u8>,
    /// Where in the frame each body belongs.
    bodies: Vec<(usize, WantedFile)>,
    length: u64,
}

impl Part {
    /// Bytes of which nothing more is known.
    pub(super) fn run(frame: Vec<u8>) -> Self {
        let length = frame.len() as u64;
        Self(Content::Run(Run { frame, bodies: Vec::new(), length }))
    }

    /// A range of the bytes of a file that an entry has.
    pub(super) fn of_file(
        (entry, file): (&CanonicalEntry, &File),
        bytes: FileBytes,
        range: Range<u64>,
    ) -> Self {
        let file = Arc::new(WantedFile::loaded(&entry.path, file, bytes));
        Self(Content::Range { file, range })
    }

    /// How many plain bytes there are.
    pub(crate) fn length(&self) -> u64 {
        match &self.0 {
            Content::Run(run) => run.length,
            Content::Range { range, .. } => range.end - range.start,
        }
    }

    /// The plain bytes.
    pub(super) fn read(&self, bodies: &dyn Bodies) -> Result<Plain<'_>, WriteTarError> {
        match &self.0 {
            Content::Run(run) => Ok(Plain { bytes: run.read(bodies)?, nature: Nature::Any }),
            Content::Range { file, range } => {
                let bytes = file.open(bodies)?;
                if self.length() <= PART_MAX && bytes.is_hole(range) {
                    return Ok(Plain::zeros(self.length()));
                }
                Ok(Plain { bytes: bytes.piece(range.clone())?, nature: Nature::Any })
            }
        }
    }

    /// The plain bytes, which are moved where the part has them.
    pub(super) fn into_bytes(self, bodies: &dyn Bodies) -> Result<Vec<u8>, WriteTarError> {
        match self.0 {
            Content::Run(run) if run.bodies.is_empty() => Ok(run.frame),
            Content::Run(_) | Content::Range { .. } => Ok(self.read(bodies)?.bytes.into_owned()),
        }
    }

    /// The name of what the codec of this id makes of it.
    pub(super) fn name(&self, codec: &str) -> ObjectName {
        let mut key = blake3::Hasher::new_derive_key(KEY_DOMAIN);
        let kind = match &self.0 {
            Content::Run(run) => {
                run.hash(&mut key);
                Kind::Run
            }
            Content::Range { file, range } => {
                key.update(file.id().as_bytes()).update(&range.start.to_le_bytes());
                Kind::Fragment
            }
        };
        key.update(codec.as_bytes());
        ObjectName::new(kind, key.finalize().as_bytes())
    }
}

impl Run {
    fn add(&mut self, bytes: &[u8]) {
        self.frame.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
    }

    fn pad(&mut self, count: usize) {
        self.frame.resize(self.frame.len() + count, 0);
        self.length += count as u64;
    }

    fn body(&mut self, file: WantedFile) {
        self.length += file.size();
        self.bodies.push((self.frame.len(), file));
    }

    fn read(&self, bodies: &dyn Bodies) -> Result<Cow<'_, [u8]>, WriteTarError> {
        if self.bodies.is_empty() {
            return Ok(Cow::Borrowed(&self.frame));
        }
        let (mut out, mut from) = (Vec::with_capacity(in_memory(self.length)), 0);
        for (at, file) in &self.bodies {
            out.extend_from_slice(&self.frame[from..*at]);
            let bytes = file.load(bodies)?;
            bytes.each::<ReadError>(&mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })?;
            from = *at;
        }
        out.extend_from_slice(&self.frame[from..]);
        Ok(Cow::Owned(out))
    }

    /// What there is and where decides what the bytes are: the ids of bodies stand for theirs.
    fn hash(&self, key: &mut blake3::Hasher) {
        key.update(&(self.frame.len() as u64).to_le_bytes()).update(&self.frame);
        for (at, file) in &self.bodies {
            key.update(&(*at as u64).to_le_bytes()).update(file.id().as_bytes());
        }
    }
}

/// Cuts the canonical tar stream of a tree. No body is read.
pub(crate) fn cut_tree<E>(
    tree: &Tree,
    sink: &mut dyn FnMut(Part) -> Result<(), E>,
) -> Result<(), E> {
    let mut cutter = Cutter { run: Run::default(), sink };
    canonical::each(tree, None, &mut |entry| cutter.entry(&entry))?;
    cutter.run.add(&END);
    cutter.end_run()
}

/// Cuts a tar stream that somebody else wrote.
pub(crate) fn cut_stream<E: From<io::Error>>(
    stream: &mut dyn Read,
    sink: &mut dyn FnMut(Part) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let mut block = spare::take(in_memory(BLOCK_MAX));
        let length = fill(stream, &mut block, in_memory(BLOCK_MAX))?;
        if length == 0 {
            return Ok(());
        }
        block.truncate(length);
        sink(Part::run(block))?;
    }
}

struct Cutter<'a, E> {
    run: Run,
    sink: &'a mut dyn FnMut(Part) -> Result<(), E>,
}

impl<E> Cutter<'_, E> {
    fn entry(&mut self, entry: &CanonicalEntry) -> Result<(), E> {
        if is_boundary(entry) || RUN_MAX as u64 <= self.run.length {
            self.end_run()?;
        }
        self.run.add(&entry.header);
        let Some(file) = &entry.body else { return Ok(()) };
        let wanted = WantedFile::new(&entry.path, file);
        if OWN_PART <= file.size {
            self.end_run()?;
            self.body(wanted)?;
        } else {
            self.run.body(wanted);
        }
        self.run.pad(padding(file.size));
        Ok(())
    }

    fn body(&mut self, file: WantedFile) -> Result<(), E> {
        let (size, file) = (file.size(), Arc::new(file));
        for start in starts(size, PART_MAX) {
            let range = start..size.min(start + PART_MAX);
            (self.sink)(Part(Content::Range { file: Arc::clone(&file), range }))?;
        }
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), E> {
        let run = std::mem::take(&mut self.run);
        if run.length == 0 { Ok(()) } else { (self.sink)(Part(Content::Run(run))) }
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
