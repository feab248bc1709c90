//! Pack files: many immutable objects in one file, found through a table at its end.
//!
//! ```text
//! header (64) | record, record, … | table (48 each) | fanout (1024) | tail (64)
//! ```
//!
//! A pack is private to its writer until it is complete; then it is renamed to
//! `packs/<hash of its table>.pack` and never changes again. Each record describes itself, so the
//! table can be rebuilt by reading the records. The bytes are specified in `docs/store-format.md`.

pub mod footer;
mod frame;
pub mod reader;
pub mod record;
mod scan;
pub mod writer;

use crate::id::hex;

/// The first bytes of a pack.
pub(crate) const MAGIC: [u8; 8] = *b"wythePK1";

/// Length of the file header: the magic, then zeros.
pub(crate) const HEADER_SIZE: usize = 64;

/// A finished pack's name: the first 16 bytes of the BLAKE3 of its table.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackName([u8; 16]);

impl PackName {
    /// A name from its bytes.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The name of a key of the journal.
    pub(crate) fn of_key(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }

    /// The bytes, which are the key of the pack in the journal.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the name of a file in `packs/`; `None` for files that are no packs.
    pub fn of_file(file_name: &str) -> Option<Self> {
        let digits = file_name.strip_suffix(".pack")?;
        let doubled = crate::id::unhex(&format!("{digits}{digits}"))?;
        doubled.first_chunk().copied().map(Self)
    }

    /// Where the pack lies.
    pub fn path(&self) -> String {
        format!("packs/{}.pack", hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_its_path() {
        let name = PackName::from_bytes(*b"0123456789abcdef");
        let path = name.path();
        assert_eq!(PackName::of_file(path.strip_prefix("packs/").unwrap()), Some(name));
        assert_eq!(PackName::of_file("midx-0"), None);
    }
}
