//! Bytes read from the store: a piece of a mapped pack, or memory.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::map::Mapping;

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
