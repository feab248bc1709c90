//! The one module that maps files into memory, and so the one place with `unsafe` in this crate.
//!
//! Only sealed files are mapped: packs, their index and the journal's base. They lose write
//! permission before they get the name under which anybody opens them, and nothing in this crate
//! writes to or shortens a file under such a name.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use memmap2::Mmap;

/// The bytes of a sealed file.
#[derive(Clone, Debug)]
pub struct Mapping(Inner);

#[derive(Clone, Debug)]
enum Inner {
    Mapped(Arc<Mmap>),
    Owned(Arc<[u8]>),
}

impl Mapping {
    /// Maps a sealed file whole. An empty file gives an empty mapping.
    ///
    /// # Errors
    ///
    /// If the file cannot be mapped.
    pub fn of_sealed(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::owned(Vec::new()));
        }
        Ok(Self(Inner::Mapped(Arc::new(map(file)?))))
    }

    /// Bytes in memory that pose as a mapped file.
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self(Inner::Owned(bytes.into()))
    }
}

#[expect(unsafe_code, reason = "a mapping has no safe form")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the callers pass sealed files only (see the head of this module): they are opened
    // read-only, belong to us in a directory closed to other users, and are never written to or
    // truncated again, so the bytes cannot change while they are borrowed.
    unsafe { Mmap::map(file) }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(map) => map,
            Inner::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_maps_to_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapping::of_sealed(&file).unwrap().is_empty());
    }
}
