//! Bytes read from the store: a piece of a mapped pack, or memory.

use std::fmt;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::map::Mapping;
use crate::sparse::Run;

/// An object's bytes, decoded. Cheap to clone; keeps what it borrows from alive.
#[derive(Clone)]
pub struct Bytes(Inner);

#[derive(Clone)]
enum Inner {
    Mapped { map: Mapping, range: Range<usize> },
    Owned(Arc<[u8]>),
}

impl Bytes {
    /// A piece of a mapping; `range` must lie within it.
    pub(crate) fn mapped(map: Mapping, range: Range<usize>) -> Self {
        Self(Inner::Mapped { map, range })
    }
}

impl Bytes {
    /// What lies in a range, in order: the bytes, or that they are zeros.
    pub(crate) fn runs(&self, range: Range<usize>) -> Box<dyn Iterator<Item = Run<'_>> + '_> {
        match &self.0 {
            Inner::Mapped { map, range: whole } => {
                Box::new(map.runs(whole.start + range.start..whole.start + range.end))
            }
            Inner::Owned(bytes) => Box::new(std::iter::once(Run::Data(&bytes[range]))),
        }
    }

    /// Gives all bytes, in pieces. Those of holes cost nothing to have.
    pub(crate) fn each<E>(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.runs(0..self.len()).try_for_each(|run| run.each(sink))
    }
}

/// Reads an object's bytes from their beginning.
#[derive(Debug)]
pub(crate) struct BytesReader {
    bytes: Bytes,
    at: usize,
}

impl BytesReader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Read for BytesReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let end = self.bytes.len().min(self.at.saturating_add(out.len()));
        let count = match self.bytes.runs(self.at..end).next() {
            None => 0,
            Some(Run::Data(bytes)) => {
                out[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }
            Some(Run::Zeros(count)) => {
                let count = usize::try_from(count).map_err(io::Error::other)?;
                out[..count].fill(0);
                count
            }
        };
        self.at += count;
        Ok(count)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Owned(bytes.into()))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped { map, range } => &map[range.clone()],
            Inner::Owned(bytes) => bytes,
        }
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
