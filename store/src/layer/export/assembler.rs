//! Putting a blob together from parts that are compressed apart.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::made::{Made, Making};
use super::window::Window;
use super::{ExportError, Measured};
use crate::digest::{DiffId, Hasher};
use crate::format::Feature;
use crate::layer::codec::Codec;
use crate::layer::fragment::Part;
use crate::layer::recipe::{Piece, Recipe};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;

/// Puts a blob together, one window of parts after the other: while one is compressed, the one
/// before it is hashed.
pub(in crate::layer) struct Assembler<'a> {
    making: Making<'a>,
    tar: TarStream,
    crc: crc32fast::Hasher,
    blob: Counter,
    pieces: Vec<Piece>,
    /// Where in the blob each part starts.
    starts: Vec<u64>,
    waiting: Window,
    made: Vec<Made>,
}

/// The tar stream that is compressed.
enum TarStream {
    /// What it is was computed from the same files. So much of it has come.
    Known(Measured, u64),
    /// It is read as a whole, to learn what it is.
    Counted(Counter),
}

impl<'a> Assembler<'a> {
    /// An assembler for a stream that is `known` if it was measured in the tree that makes it.
    pub(in crate::layer) fn new(
        lease: &'a Lease,
        (codec, id): (Codec, &'a str),
        known: Option<Measured>,
    ) -> Self {
        let tar = known.map_or_else(
            || TarStream::Counted(Counter::default()),
            |measured| TarStream::Known(measured, 0),
        );
        let mut assembler = Self {
            making: Making::new(lease, (codec, id), known),
            tar,
            crc: crc32fast::Hasher::new(),
            blob: Counter::default(),
            pieces: Vec::new(),
            starts: Vec::new(),
            waiting: Window::default(),
            made: Vec::new(),
        };
        assembler.literal(codec.head().to_vec());
        assembler
    }

    pub(in crate::layer) fn push(&mut self, part: Part) -> Result<(), ExportError> {
        self.waiting.push(part).map_or(Ok(()), |full| self.advance(&full))
    }

    /// Adds all parts of a window, behind those that were pushed.
    pub(super) fn window(&mut self, window: &[Part]) -> Result<(), ExportError> {
        let waiting = self.waiting.take();
        if !waiting.is_empty() {
            self.advance(&waiting)?;
        }
        self.advance(window)
    }

    /// Where in the blob each part starts that was pushed so far.
    pub(in crate::layer) fn starts(&mut self) -> Result<&[u64], ExportError> {
        self.drain()?;
        Ok(&self.starts)
    }

    /// Adds the window that is made, and makes the next one meanwhile.
    fn advance(&mut self, next: &[Part]) -> Result<(), ExportError> {
        let (made, making) = (std::mem::take(&mut self.made), self.making.clone());
        let ((), next) = rayon::join(
            || made.iter().for_each(|made| self.add(made)),
            || next.par_iter().map(|part| making.make(part)).collect::<Result<_, _>>(),
        );
        self.made = next?;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ExportError> {
        let last = self.waiting.take();
        self.advance(&last)?;
        self.advance(&[])
    }

    fn add(&mut self, made: &Made) {
        let checksum = made.checksum;
        match (&mut self.tar, &made.plain) {
            (TarStream::Known(_, size), _) => *size += checksum.size,
            (TarStream::Counted(tar), plain) => tar.add(plain.as_deref().unwrap_or_default()),
        }
        self.crc.combine(&crc32fast::Hasher::new_with_initial_len(checksum.crc, checksum.size));
        self.starts.push(self.blob.size);
        self.blob.add(made.compressed());
        self.pieces.push(Piece::Checked(made.name));
    }

    pub(in crate::layer) fn literal(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.blob.add(&bytes);
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
        Ok((measured, Descriptor::new(media_type, digest, size)))
    }
}

impl TarStream {
    fn measured(&self, expected: Option<DiffId>) -> Result<Measured, ExportError> {
        let measured = match self {
            Self::Counted(counter) => counter.measured(),
            Self::Known(known, found) if known.size == *found => *known,
            Self::Known(known, found) => {
                return Err(ExportError::Size { expected: known.size, found: *found });
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
