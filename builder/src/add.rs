//! The half of ADD that unpacks local archives.
//!
//! A source file that is an archive, by its bytes and not by its name, is unpacked into the
//! destination, which is always a directory:
//!
//! ```text
//! is_archive ── decompress, read entries ──► Unpacking::entry* ── finish ──► Tree (a changeset)
//! ```

pub mod archive;
pub mod unpack;
