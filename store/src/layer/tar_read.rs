//! The one reader of tar streams, for layers, archives that are added, and contexts: every entry
//! means what Go's reader takes it for, or the whole stream is refused.
//!
//! ```text
//! block ── header ── pax ── sparse ──► TarEntry, then its bytes by Read
//! ```

use std::io::{self, Read};

use crate::layer::canonical::{BLOCK, padding};
use crate::layer::limits::{Budget, Exceeded};
pub use crate::layer::tar_read::beginning::Beginning;
pub use crate::layer::tar_read::error::{TarCause, TarError, TarLocation};
use crate::layer::tar_read::header::{Header, Raw};
use crate::layer::tar_read::number::field;
use crate::layer::tar_read::pax::{Pax, Sparse};
use crate::layer::tar_read::sparse::{Continued, Extent, Front, Piece, Pieces};
use crate::path::LayerPath;
use crate::tree::entry::{Device, Metadata};

mod beginning;
mod error;
mod header;
mod number;
mod pax;
mod sparse;
#[cfg(test)]
mod tests;

/// What a stream is, which decides how it may be compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// A layer.
    Layer,
    /// An archive to add to an image, or a build context.
    Archive,
}

/// One entry of a tar stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TarEntry {
    /// Where it goes. The root for what an archive calls `.` or nothing, whatever that is.
    pub path: LayerPath,
    /// Its metadata.
    pub metadata: Metadata,
    /// What it is.
    pub kind: TarKind,
}

/// What an entry of a tar stream is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TarKind {
    /// A block device.
    BlockDevice(Device),
    /// A character device.
    CharDevice(Device),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file of this many bytes, which [`TarReader`] reads next.
    File(u64),
    /// Another name of an earlier file.
    HardLink(LayerPath),
    /// A symbolic link.
    Symlink(Vec<u8>),
}

/// Reads entries one after the other. After an entry that is a file, reading gives its bytes, with
/// zeros where it has holes.
#[derive(Debug)]
pub struct TarReader<R> {
    input: R,
    /// What of the current body has not been read, and the zeros after it.
    body: Pieces,
    padding: usize,
    budget: Budget,
    entries: u64,
    unpacked: u64,
    /// How many bytes have been read.
    at: u64,
    place: TarLocation,
}

impl<R: Read> TarReader<R> {
    /// A reader of a plain tar stream.
    pub fn new(input: R) -> Self {
        let place = TarLocation::Header { at: 0, after: Vec::new() };
        let (padding, entries, unpacked, at) = (0, 0, 0, 0);
        let (body, budget) = (Pieces::default(), Budget::default());
        Self { input, body, padding, budget, entries, unpacked, at, place }
    }

    /// The same reader, which keeps to the limits of a budget and spends of it.
    #[must_use]
    pub fn within(self, budget: &Budget) -> Self {
        Self { budget: budget.clone(), ..self }
    }

    /// The next entry; `None` at the end, where the input has been read to its end too.
    ///
    /// # Errors
    ///
    /// If the archive is malformed, past a limit, or cannot be read.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry>, TarError> {
        self.advance().map_err(|cause| TarError { place: self.place.clone(), cause })
    }

    /// How many bytes of the stream have been read: after an entry, where what it holds begins.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// How many bytes of the stream are left of the file that is read, which has more where it has holes.
    pub(crate) fn left_in_stream(&self) -> u64 {
        self.body.stored()
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn advance(&mut self) -> Result<Option<TarEntry>, TarCause> {
        self.skip_body()?;
        let after = match &mut self.place {
            TarLocation::Entry(name) => std::mem::take(name),
            TarLocation::Header { after, .. } => std::mem::take(after),
        };
        self.place = TarLocation::Header { at: self.at, after };
        let Some(mut raw) = self.raw()? else { return Ok(None) };
        self.place = TarLocation::Entry(raw.path.clone());
        let (stored, sparse) = (raw.stored, std::mem::replace(&mut raw.sparse, Sparse::Not));
        let entry = raw.interpret(&sparse)?;
        if let TarKind::File(size) = entry.kind {
            self.unpacked = self.unpacked.saturating_add(size);
            let limit = self.budget.limits().unpacked;
            if limit < self.unpacked {
                return Err(Exceeded::Unpacked(limit).into());
            }
            self.begin(sparse, size, stored)?;
        }
        Ok(Some(entry))
    }

    /// Makes a body the current one.
    fn begin(&mut self, sparse: Sparse, size: u64, stored: u64) -> Result<(), TarCause> {
        self.padding = padding(stored);
        self.body = match sparse {
            Sparse::Not => Pieces::whole(stored),
            Sparse::Listed(extents) => Pieces::new(&extents, size, stored)?,
            Sparse::InFront => {
                let (extents, left) = self.map_in_front(stored)?;
                Pieces::new(&extents, size, left)?
            }
        };
        Ok(())
    }

    /// The next header with what the extension headers before it say.
    fn raw(&mut self) -> Result<Option<Raw>, TarCause> {
        let (mut local, mut long_name, mut long_link) = (None, None, None);
        loop {
            let header = self.header()?;
            let extended = local.is_some() || long_name.is_some() || long_link.is_some();
            let Some(header) = header else {
                return if extended { Err(TarCause::Dangling) } else { Ok(None) };
            };
            // Extension headers count: a stream of nothing else has an end too.
            self.entries += 1;
            let limit = self.budget.limits().entries;
            if limit < self.entries {
                return Err(Exceeded::Entries(limit).into());
            }
            match header.kind() {
                b'x' => once(&mut local, Pax::parse(&self.extension(&header)?)?)?,
                // Go's reader forgets here what it has been told of the next entry; others do not.
                b'g' if extended => return Err(TarCause::Dangling),
                // No reader of layers applies these to entries, whatever they say.
                b'g' => drop(Pax::parse(&self.extension(&header)?)?),
                b'L' => once(&mut long_name, field(&self.extension(&header)?).to_vec())?,
                b'K' => once(&mut long_link, field(&self.extension(&header)?).to_vec())?,
                kind => {
                    self.budget.entry()?;
                    let pax = local.unwrap_or_default();
                    let mut raw = header.merge(&pax, long_name, long_link)?;
                    if kind == b'S' {
                        header.check_gnu()?;
                        raw.size = sparse::old_size(header.block())?;
                        raw.sparse = Sparse::Listed(self.old_map(&header)?);
                    }
                    return Ok(Some(raw));
                }
            }
        }
    }

    fn header(&mut self) -> Result<Option<Header>, TarCause> {
        // Not every writer marks the end.
        let Some(block) = self.block_or_end()? else { return Ok(None) };
        if block != [0; BLOCK] {
            return Header::check(&block).map(Some);
        }
        // Two blocks of zeros are the end to every reader, whatever comes behind them: zeros up to
        // some record size, or the table of contents of a layer. After one alone readers differ.
        let mut second = Vec::new();
        (&mut self.input).take(BLOCK as u64).read_to_end(&mut second)?;
        if second.iter().any(|byte| *byte != 0) {
            return Err(TarCause::LoneZeros);
        }
        io::copy(&mut self.input, &mut io::sink()).map_err(TarCause::Behind)?;
        Ok(None)
    }

    fn block(&mut self) -> Result<[u8; BLOCK], TarCause> {
        self.block_or_end()?.ok_or(TarCause::Truncated)
    }

    fn block_or_end(&mut self) -> Result<Option<[u8; BLOCK]>, TarCause> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarCause::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarCause::from_read(error)),
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }

    /// The bytes of an extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarCause> {
        let size = header.size()?;
        if pax::SIZE_MAX < size {
            return Err(TarCause::HugeHeader);
        }
        let mut bytes = Vec::new();
        let padded = size + padding(size) as u64;
        // Only what comes costs memory.
        let read = (&mut self.input).take(padded).read_to_end(&mut bytes)?;
        if (read as u64) < padded {
            return Err(TarCause::Truncated);
        }
        self.at += padded;
        bytes.truncate(usize::try_from(size).map_err(|_| TarCause::HugeHeader)?);
        Ok(bytes)
    }

    /// The extents in an old GNU header and the blocks that continue it.
    fn old_map(&mut self, header: &Header) -> Result<Vec<Extent>, TarCause> {
        let mut extents = Vec::new();
        let mut more = sparse::old_extents(header.block(), Continued::No, &mut extents)?;
        // Blocks without extents would cost time and come to no end.
        while more {
            let before = extents.len();
            let block = self.block()?;
            more = sparse::old_extents(&block, Continued::Yes, &mut extents)?;
            if more && before == extents.len() {
                return Err(TarCause::Sparse);
            }
        }
        Ok(extents)
    }

    /// Reads the map before the bytes of a body; gives how many bytes are left after it.
    fn map_in_front(&mut self, stored: u64) -> Result<(Vec<Extent>, u64), TarCause> {
        let (mut front, mut left) = (Front::default(), stored);
        loop {
            left = left.checked_sub(BLOCK as u64).ok_or(TarCause::Sparse)?;
            if front.add(&self.block()?)? {
                return Ok((front.finish()?, left));
            }
        }
    }

    fn skip_body(&mut self) -> Result<(), TarCause> {
        let rest = self.body.stored() + self.padding as u64;
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        self.at += skipped;
        (self.body, self.padding) = (Pieces::default(), 0);
        if skipped < rest { Err(TarCause::Truncated) } else { Ok(()) }
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let within = |count: u64, bytes: &[u8]| {
            usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len())
        };
        let count = match self.body.peek() {
            Piece::Zeros(zeros) => {
                let count = within(zeros, bytes);
                bytes[..count].fill(0);
                count
            }
            Piece::Bytes(left) if !bytes.is_empty() => {
                let limit = within(left, bytes);
                let count = self.input.read(&mut bytes[..limit])?;
                if count == 0 {
                    let error = TarError { place: self.place.clone(), cause: TarCause::Truncated };
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
                }
                self.at += count as u64;
                count
            }
            Piece::Bytes(_) | Piece::End => 0,
        };
        self.body.taken(count as u64);
        Ok(count)
    }
}

/// What the header of an entry of ours says, whatever comes behind it.
pub(crate) fn entry_of(header: &[u8]) -> io::Result<TarEntry> {
    let entry = TarReader::new(header).next_entry().map_err(io::Error::other)?;
    entry.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), TarCause> {
    if slot.replace(value).is_some() { Err(TarCause::Repeated) } else { Ok(()) }
}
