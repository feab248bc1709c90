//! Putting a blob together from parts that are compressed apart.

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::{ExportError, Measured};
use crate::bytes::Bytes;
use crate::digest::{DiffId, Hasher};
use crate::layer::codec::Codec;
use crate::layer::fragment::Part;
use crate::layer::recipe::{Piece, Recipe};
use crate::lease::Lease;
use crate::object::{Encoding, ObjectName};
use crate::oci::descriptor::Descriptor;

/// Parts wait until there is this much of them, or this many: enough to keep every core busy, and
/// little enough to hold.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW_PARTS: usize = 1024;

/// Puts a blob together, one window of parts after the other.
pub(in crate::layer) struct Assembler<'a> {
    lease: &'a Lease,
    codec: Codec,
    id: &'a str,
    tar: Counter,
    crc: crc32fast::Hasher,
    blob: Counter,
    pieces: Vec<Piece>,
    /// Where in the blob each part starts.
    starts: Vec<u64>,
    waiting: Vec<Part>,
    waiting_bytes: u64,
}

impl<'a> Assembler<'a> {
    pub(in crate::layer) fn new(lease: &'a Lease, codec: Codec, id: &'a str) -> Self {
        let mut assembler = Self {
            lease,
            codec,
            id,
            tar: Counter::default(),
            crc: crc32fast::Hasher::new(),
            blob: Counter::default(),
            pieces: Vec::new(),
            starts: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
        };
        assembler.literal(codec.head().to_vec());
        assembler
    }

    pub(in crate::layer) fn push(&mut self, part: Part) -> Result<(), ExportError> {
        self.waiting_bytes += part.length();
        self.waiting.push(part);
        if WINDOW_BYTES <= self.waiting_bytes || WINDOW_PARTS <= self.waiting.len() {
            self.flush()?;
        }
        Ok(())
    }

    /// Where in the blob each part starts that was pushed so far.
    pub(in crate::layer) fn starts(&mut self) -> Result<&[u64], ExportError> {
        self.flush()?;
        Ok(&self.starts)
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let (lease, codec, id) = (self.lease, self.codec, self.id);
        let (tar, waiting) = (&mut self.tar, &self.waiting);
        let (added, made) = rayon::join(
            || waiting.iter().try_for_each(|part| part.bytes().map(|bytes| tar.add(&bytes))),
            || waiting.par_iter().map(|part| Made::of(part, lease, codec, id)).collect::<Vec<_>>(),
        );
        added?;
        for made in made {
            let made = made?;
            self.crc.combine(&made.crc);
            self.starts.push(self.blob.size);
            self.blob.add(&made.bytes);
            self.pieces.push(Piece::Part(made.name));
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
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
        self.flush()?;
        let tail = self.codec.tail(self.crc.clone().finalize(), self.tar.size);
        self.literal(tail);
        let measured = self.tar.measured();
        if let Some(expected) = expected
            && expected != measured.diff_id
        {
            return Err(ExportError::DiffId { expected, found: measured.diff_id });
        }
        let (size, digest) = (self.blob.size, self.blob.hasher.finish());
        let (diff_id, media_type) = (measured.diff_id, self.codec.media_type());
        if self.codec != Codec::None {
            let (codec, pieces) = (self.id.to_owned(), self.pieces);
            let recipe = Recipe { diff_id, media_type: media_type.clone(), codec, size, pieces };
            self.lease.put_recipe(&digest, &recipe)?;
        }
        Ok((measured, Descriptor::new(media_type, digest, size)))
    }
}

/// A part as the codec makes it.
struct Made {
    name: ObjectName,
    bytes: Bytes,
    crc: crc32fast::Hasher,
}

impl Made {
    /// Takes the part from the store, or makes it and stores it.
    fn of(part: &Part, lease: &Lease, codec: Codec, id: &str) -> Result<Self, ExportError> {
        let mut crc = crc32fast::Hasher::new();
        let plain = part.bytes()?;
        crc.update(&plain);
        let name = part.name(&plain, id);
        let bytes = match lease.store().get(name.kind, &name.id)? {
            Some(bytes) => bytes,
            None => part.compressed(&plain, codec)?.into(),
        };
        // One that was there may be about to be collected: then it is stored again.
        if codec != Codec::None {
            lease.put(name.kind, &name.id, Encoding::Raw, &bytes)?;
        }
        Ok(Self { name, bytes, crc })
    }
}

/// Hashes and counts what is written to it.
#[derive(Debug, Default)]
pub(in crate::layer) struct Counter {
    hasher: Hasher,
    size: u64,
}

impl Counter {
    pub(in crate::layer) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(in crate::layer) fn measured(&self) -> Measured {
        Measured { diff_id: DiffId(self.hasher.clone().finish()), size: self.size }
    }
}
