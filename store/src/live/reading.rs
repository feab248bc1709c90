//! For what the directory of a layer is read.

use std::fs::File;
use std::io::{self, Read};

use crate::error::WriteError;
use crate::id::BodyId;
use crate::lease::Lease;
use crate::tree::entry::Tree;

/// What becomes of the bytes of its files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading<'a> {
    /// They are stored: it is a step's, and becomes a layer.
    Storing(&'a Lease),
    /// They are only named: it is compared with a layer, which makes these files of those
    /// below it.
    Comparing(&'a Tree),
    /// They stay unread: somebody lays other files over them.
    Outlining,
}

/// Stands for the bytes of a file that nobody has read, and of no other: no bytes are known that have this id.
pub const UNREAD: BodyId = BodyId::from_bytes([0; 32]);

impl<'a> Reading<'a> {
    /// The files that whoever owns one may own: a step gives none to anybody else.
    pub(super) fn known<'b>(self, lower: &'b Tree) -> &'b Tree
    where
        'a: 'b,
    {
        match self {
            Self::Storing(_) | Self::Outlining => lower,
            Self::Comparing(right) => right,
        }
    }

    /// Names the bytes of a file of about `hint` bytes.
    pub(super) fn body(self, file: &mut File, hint: u64) -> Result<(BodyId, u64), WriteError> {
        match self {
            Self::Storing(lease) => lease.body_from_file(file, hint),
            Self::Comparing(_) => named(file).map_err(WriteError::Source),
            Self::Outlining => Ok((UNREAD, hint)),
        }
    }

    /// Whether files stay unopened.
    pub(super) fn is_outline(self) -> bool {
        matches!(self, Self::Outlining)
    }

    /// Whether every file that says so is a device. In a layer only those of root are; where one is
    /// unpacked others may be, too.
    pub(super) fn believes_marks(self) -> bool {
        matches!(self, Self::Comparing(_))
    }
}

fn named(reader: &mut dyn Read) -> io::Result<(BodyId, u64)> {
    let mut hasher = BodyId::hasher();
    let (mut piece, mut size) = (vec![0; PIECE], 0);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok((BodyId::from_hasher(&hasher), size)),
            Ok(count) => {
                hasher.update(&piece[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How much is read at once.
const PIECE: usize = 256 << 10;
