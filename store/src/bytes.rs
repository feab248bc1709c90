//! Bytes read from the store: in memory, or where they lie in a pack.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::chunk_list::ChunkList;
use crate::chunk_list::chunked::{Chunked, ReadChunk};
use crate::digest::{Digest, Hasher};
use crate::error::ReadError;
use crate::sealed::Sealed;
use crate::spare;
use crate::sparse::Run;

/// An object's bytes, decoded and in memory. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bytes(Arc<Buffer>);

/// What is in memory, until nobody looks at it any more.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Drop for Buffer {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.0));
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Buffer(bytes)))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Bytes({})", self.len())
    }
}

/// The bytes of a file. Those of a long one stay where they are, and each look at them may fail.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileBytes(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Memory(Bytes),
    Stored { file: Arc<Sealed>, range: Range<u64> },
    Chunked(Chunked),
}

impl FileBytes {
    /// The bytes of the bodies that a list names, which `source` has.
    pub(crate) fn chunked(source: Arc<dyn ReadChunk>, list: &ChunkList) -> Self {
        Self(Inner::Chunked(Chunked::new(source, list)))
    }

    /// A piece of a file of the store.
    pub(crate) fn stored(file: Arc<Sealed>, range: Range<u64>) -> Self {
        Self(Inner::Stored { file, range })
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Inner::Memory(bytes) => bytes.len() as u64,
            Inner::Stored { range, .. } => range.end - range.start,
            Inner::Chunked(chunks) => chunks.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in memory.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or has been cut off.
    pub fn load(&self) -> Result<Bytes, ReadError> {
        match &self.0 {
            Inner::Memory(bytes) => Ok(bytes.clone()),
            Inner::Stored { file, range } => Ok(file.read(range.clone())?.into()),
            Inner::Chunked(chunks) => Ok(chunks.piece(0..chunks.len())?.into()),
        }
    }

    /// Those of a range, which must lie within them.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or has been cut off.
    pub fn piece(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, ReadError> {
        match &self.0 {
            Inner::Memory(bytes) => Ok(Cow::Borrowed(&bytes[in_memory(&range)])),
            Inner::Stored { file, range: whole } => {
                let range = whole.start + range.start..whole.start + range.end;
                Ok(Cow::Owned(file.read(range)?))
            }
            Inner::Chunked(chunks) => Ok(Cow::Owned(chunks.piece(range)?)),
        }
    }

    /// The digest of all of them.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or has been cut off.
    pub fn digest(&self) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        self.each::<ReadError>(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    /// A reader from their beginning.
    pub fn reader(self) -> FileBytesReader {
        FileBytesReader { bytes: self, at: 0, last: None }
    }

    /// Whether a range is known to be zeros without a look.
    pub(crate) fn is_hole(&self, range: &Range<u64>) -> bool {
        match &self.0 {
            Inner::Memory(_) => false,
            Inner::Stored { file, range: whole } => {
                file.is_hole(&(whole.start + range.start..whole.start + range.end))
            }
            Inner::Chunked(chunks) => chunks.is_hole(range),
        }
    }

    /// Gives them all, or that they are zeros, in pieces that memory can hold.
    pub(crate) fn each_run<E: From<ReadError>>(
        &self,
        sink: &mut dyn FnMut(Run<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.0 {
            Inner::Memory(bytes) => sink(Run::Data(bytes)),
            Inner::Stored { file, range } => file.each_run(range.clone(), sink),
            Inner::Chunked(chunks) => chunks.each_run(sink),
        }
    }

    /// Gives them all, in pieces. Those of holes cost nothing to have.
    pub(crate) fn each<E: From<ReadError>>(
        &self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_run(&mut |run| run.each(sink))
    }
}

/// A range of what is in memory, and so no longer than memory.
fn in_memory(range: &Range<u64>) -> Range<usize> {
    let at = |place| usize::try_from(place).unwrap_or(usize::MAX);
    at(range.start)..at(range.end)
}

impl<T: Into<Bytes>> From<T> for FileBytes {
    fn from(bytes: T) -> Self {
        Self(Inner::Memory(bytes.into()))
    }
}

/// Reads the bytes of a file from their beginning.
#[derive(Debug)]
pub struct FileBytesReader {
    bytes: FileBytes,
    at: u64,
    /// The chunk that was looked at last.
    last: Option<(Range<u64>, Bytes)>,
}

impl Read for FileBytesReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.len() - self.at).unwrap_or(usize::MAX);
        let count = left.min(out.len());
        let (out, end) = (&mut out[..count], self.at + count as u64);
        let count = match &self.bytes.0 {
            Inner::Memory(bytes) => {
                out.copy_from_slice(&bytes[in_memory(&(self.at..end))]);
                count
            }
            Inner::Stored { .. } if self.bytes.is_hole(&(self.at..end)) => {
                out.fill(0);
                count
            }
            Inner::Stored { file, range } => {
                file.read_into(out, range.start + self.at).map_err(io::Error::other)?;
                count
            }
            Inner::Chunked(chunks) => {
                chunks.read(out, self.at, &mut self.last).map_err(io::Error::other)?
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}
