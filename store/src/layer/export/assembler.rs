//! Putting a blob together from parts that are compressed apart.

use std::io::{self, Read};

use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::growing::{Begun, Growth};
use super::in_order::{Push, Stopped, Workers, in_order};
use super::made::{Made, Making, Reads};
use super::window::{Window, WindowLimits, cut_in_windows};
use super::{ExportError, Measured, Measuring};
use crate::digest::{DiffId, Hasher};
use crate::format::Feature;
use crate::layer::codec::Codec;
use crate::layer::fragment::{Part, cut_stream};
use crate::layer::recipe::{Piece, Recipe};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::tree::entry::Tree;

/// How many plain bytes each thread of the pool may have on their way into a blob: the longest part, and what makes
/// up for another thread's longest.
const ON_THE_WAY: u64 = 12 << 20;
/// For so many threads at most, which is what memory is worth.
const THREADS_MAX: usize = 8;

/// Puts a blob together, of the parts of a tree or a stream, or of those that are pushed. The latter come one window
/// after the other: while one is compressed, the one before it is hashed.
pub(in crate::layer) struct Assembler<'a> {
    making: Making<'a>,
    tar: TarStream<'a>,
    crc: crc32fast::Hasher,
    blob: Counter,
    pieces: Vec<Piece>,
    /// Where in the blob each part starts.
    starts: Vec<u64>,
    waiting: Window,
    made: Vec<Made>,
    /// Whoever reads the blob while it grows.
    growth: Option<Growth>,
}

/// The tar stream that is compressed.
enum TarStream<'a> {
    /// What it is was computed from the same files, or is. So much of it has come.
    Measured(Measuring<'a>, u64),
    /// It is read as a whole, to learn what it is.
    Counted(Counter),
}

impl<'a> Assembler<'a> {
    /// An assembler for a stream that others measure in the tree that makes it, or that is measured here.
    pub(in crate::layer) fn new(
        lease: &'a Lease,
        (codec, id): (Codec, &'a str),
        measuring: Option<Measuring<'a>>,
    ) -> Self {
        let reads = if measuring.is_some() { Reads::Unknown } else { Reads::All };
        let tar = measuring.map_or_else(
            || TarStream::Counted(Counter::default()),
            |measuring| TarStream::Measured(measuring, 0),
        );
        let mut assembler = Self {
            making: Making::new(lease, (codec, id), reads),
            tar,
            crc: crc32fast::Hasher::new(),
            blob: Counter::default(),
            pieces: Vec::new(),
            starts: Vec::new(),
            waiting: Window::new(WindowLimits::ALL_THREADS),
            made: Vec::new(),
            growth: None,
        };
        assembler.literal(codec.head().to_vec());
        assembler
    }

    pub(in crate::layer) fn push(&mut self, part: Part) -> Result<(), ExportError> {
        self.waiting.push(part).map_or(Ok(()), |full| self.advance(full))
    }

    /// Tells of the blob now, so that it is read while it grows. To be called before anything is added.
    pub(super) fn tell(&mut self, begun: Begun<'_>) {
        let growth = Growth::begin(self.making.lease.store(), begun);
        growth.literal(self.making.codec.head());
        self.growth = Some(growth);
    }

    /// Adds all parts of a layer. They are cut on a thread of their own, so that those who make parts need not wait.
    pub(super) fn tree(
        &mut self,
        tree: &Tree,
        pool: Option<&ThreadPool>,
    ) -> Result<(), ExportError> {
        let cut = |push: Push<'_, Vec<Part>>| {
            // Where nobody takes any more, there is an error that says why.
            cut_in_windows(tree, push).unwrap_or(());
            Ok(())
        };
        self.parts(pool, cut)
    }

    /// Adds a tar stream that somebody else wrote.
    pub(super) fn stream(
        &mut self,
        plain: &mut (dyn Read + Send),
        pool: Option<&ThreadPool>,
    ) -> Result<(), ExportError> {
        self.making.reads = Reads::All;
        let cut = |push: Push<'_, Vec<Part>>| {
            let mut one = |part: Part| {
                let bytes = part.length();
                Ok(push(vec![part], bytes)?)
            };
            match cut_stream(plain, &mut one) {
                Err(CutError::Source(error)) => Err(error.into()),
                Ok(()) | Err(CutError::Stopped) => Ok(()),
            }
        };
        self.parts(pool, cut)
    }

    /// Adds parts.
    fn parts(
        &mut self,
        pool: Option<&ThreadPool>,
        cut: impl FnOnce(Push<'_, Vec<Part>>) -> Result<(), ExportError> + Send,
    ) -> Result<(), ExportError> {
        let threads = pool.map_or_else(rayon::current_num_threads, ThreadPool::current_num_threads);
        let room = ON_THE_WAY * threads.clamp(2, THREADS_MAX) as u64;
        let making = self.making.clone();
        let make = |parts: Vec<Part>| {
            parts.into_iter().map(|part| making.make(part)).collect::<Result<Vec<Made>, _>>()
        };
        in_order(Workers { pool, room }, cut, make, |made| {
            for part in &made {
                self.add(part);
            }
            Ok(())
        })
    }

    /// Where in the blob each part starts that was pushed so far.
    pub(in crate::layer) fn starts(&mut self) -> Result<&[u64], ExportError> {
        self.drain()?;
        Ok(&self.starts)
    }

    /// How long the blob is so far.
    pub(in crate::layer) fn length(&mut self) -> Result<u64, ExportError> {
        self.drain()?;
        Ok(self.blob.size)
    }

    /// Adds the window that is made, and makes the next one meanwhile.
    fn advance(&mut self, next: Vec<Part>) -> Result<(), ExportError> {
        let (made, making) = (std::mem::take(&mut self.made), self.making.clone());
        let ((), next) = rayon::join(
            || made.iter().for_each(|made| self.add(made)),
            || next.into_par_iter().map(|part| making.make(part)).collect::<Result<_, _>>(),
        );
        self.made = next?;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ExportError> {
        let last = self.waiting.take();
        if last.is_empty() && self.made.is_empty() {
            return Ok(());
        }
        self.advance(last)?;
        self.advance(Vec::new())
    }

    fn add(&mut self, made: &Made) {
        let checksum = made.checksum;
        match (&mut self.tar, &made.plain) {
            (TarStream::Measured(_, size), _) => *size += checksum.size,
            (TarStream::Counted(tar), plain) => tar.add(plain.as_deref().unwrap_or_default()),
        }
        self.crc.combine(&crc32fast::Hasher::new_with_initial_len(checksum.crc, checksum.size));
        self.starts.push(self.blob.size);
        self.blob.add(made.compressed());
        let piece = Piece::Checked(made.name);
        if let Some(growth) = &self.growth {
            growth.checked(&piece, made.object());
        }
        self.pieces.push(piece);
    }

    pub(in crate::layer) fn literal(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.blob.add(&bytes);
            if let Some(growth) = &self.growth {
                growth.literal(&bytes);
            }
            self.pieces.push(Piece::Literal(bytes));
        }
    }

    /// Stores the recipe, unless the stream is not the `expected` one.
    pub(in crate::layer) fn finish(
        mut self,
        expected: Option<DiffId>,
    ) -> Result<(Measured, Descriptor), ExportError> {
        self.drain()?;
        let measured = self.tar.measured(expected)?;
        let Making { lease, codec, id, .. } = self.making;
        self.literal(codec.tail(self.crc.clone().finalize(), measured.size));
        let (size, digest) = (self.blob.size, self.blob.hasher.finish());
        let (diff_id, media_type) = (measured.diff_id, codec.media_type());
        if codec != Codec::None {
            let (codec, pieces) = (id.to_owned(), self.pieces);
            let recipe = Recipe { diff_id, media_type: media_type.clone(), codec, size, pieces };
            lease.store().require(Feature::CheckedParts)?;
            lease.put_recipe(&digest, &recipe)?;
        }
        let descriptor = Descriptor::new(media_type, digest, size);
        if let Some(growth) = self.growth {
            growth.complete(&descriptor);
        }
        Ok((measured, descriptor))
    }
}

/// Why a stream was not cut to its end.
enum CutError {
    /// It cannot be read.
    Source(io::Error),
    /// Nobody takes any more.
    Stopped,
}

impl From<io::Error> for CutError {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

impl From<Stopped> for CutError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl TarStream<'_> {
    fn measured(&self, expected: Option<DiffId>) -> Result<Measured, ExportError> {
        let measured = match self {
            Self::Counted(counter) => counter.measured(),
            Self::Measured(measuring, found) => {
                let known = measuring.wait()?;
                if known.size != *found {
                    return Err(ExportError::Size { expected: known.size, found: *found });
                }
                known
            }
        };
        match expected {
            Some(expected) if expected != measured.diff_id => {
                Err(ExportError::DiffId { expected, found: measured.diff_id })
            }
            _ => Ok(measured),
        }
    }
}

/// Hashes and counts what is written to it.
#[derive(Debug, Default)]
pub(in crate::layer) struct Counter {
    hasher: Hasher,
    size: u64,
}

impl Counter {
    /// One that has counted so many bytes already, of which the hasher knows.
    pub(in crate::layer) fn going_on(hasher: Hasher, size: u64) -> Self {
        Self { hasher, size }
    }

    /// How far the hash is.
    pub(in crate::layer) fn state(&self) -> Vec<u8> {
        self.hasher.state()
    }

    pub(in crate::layer) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(in crate::layer) fn measured(&self) -> Measured {
        Measured { diff_id: DiffId(self.hasher.clone().finish()), size: self.size }
    }
}
