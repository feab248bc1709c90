//! Files with holes, in the four forms that GNU tar has written them: what of the stream goes where.
//!
//! ```text
//! old GNU   header: real size, 4 extents, then blocks of 21 extents; the bytes of all extents
//! pax 0.0   records GNU.sparse.offset, GNU.sparse.numbytes, again and again
//! pax 0.1   record GNU.sparse.map: offset,length,offset,length
//! pax 1.0   the map in decimal lines before the bytes, padded to a block
//! ```

use std::collections::VecDeque;

use crate::layer::tar_read::error::TarCause;
use crate::layer::tar_read::number::{decimal, positive};

/// No writer makes a file of more pieces; each costs memory until the file has been read.
pub(super) const EXTENTS_MAX: usize = 100_000;
/// Extents in the header itself, and in each block behind it.
const IN_HEADER: usize = 4;
const IN_BLOCK: usize = 21;
const EXTENT: usize = 24;
/// No number of a map has more digits, its newline included.
const LINE_MAX: usize = 21;

/// A stretch of bytes that the stream has; between two there are zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extent {
    offset: u64,
    length: u64,
}

/// What is still to come of a body: bytes of the stream, and zeros between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// Zeros before the next bytes, and the bytes; at the end only zeros.
    next: VecDeque<(u64, u64)>,
}

impl Pieces {
    /// A body without holes.
    pub(super) fn whole(size: u64) -> Self {
        Self { next: VecDeque::from([(0, size)]) }
    }

    /// A body of `size` bytes, of which the stream has `stored`.
    ///
    /// # Errors
    ///
    /// If the extents overlap, are not in order, pass the end, or are not exactly what is stored.
    pub(super) fn new(extents: &[Extent], size: u64, stored: u64) -> Result<Self, TarCause> {
        let mut next = VecDeque::with_capacity(extents.len() + 1);
        let (mut at, mut bytes) = (0u64, 0u64);
        for extent in extents {
            let zeros = extent.offset.checked_sub(at).ok_or(TarCause::Sparse)?;
            at = extent.offset.checked_add(extent.length).ok_or(TarCause::Sparse)?;
            bytes = bytes.checked_add(extent.length).ok_or(TarCause::Sparse)?;
            next.push_back((zeros, extent.length));
        }
        next.push_back((size.checked_sub(at).ok_or(TarCause::Sparse)?, 0));
        if bytes == stored { Ok(Self { next }) } else { Err(TarCause::Sparse) }
    }

    /// What comes next: zeros, bytes of the stream, or nothing.
    pub(super) fn peek(&mut self) -> Piece {
        while let Some((zeros, bytes)) = self.next.front() {
            match (*zeros, *bytes) {
                (0, 0) => drop(self.next.pop_front()),
                (0, bytes) => return Piece::Bytes(bytes),
                (zeros, _) => return Piece::Zeros(zeros),
            }
        }
        Piece::End
    }

    /// Says that `count` bytes of what [`Self::peek`] gave have been taken.
    pub(super) fn taken(&mut self, count: u64) {
        if let Some((zeros, bytes)) = self.next.front_mut() {
            let of = if *zeros > 0 { zeros } else { bytes };
            *of = of.saturating_sub(count);
        }
    }

    /// How many bytes of the stream are left.
    pub(super) fn stored(&self) -> u64 {
        self.next.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// The next stretch of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Zeros(u64),
    Bytes(u64),
    End,
}

/// Appends the extents of one old GNU header or of a block that continues it; says whether another
/// block follows.
pub(super) fn old_extents(
    block: &[u8; 512],
    continued: Continued,
    out: &mut Vec<Extent>,
) -> Result<bool, TarCause> {
    let (start, count) = match continued {
        Continued::No => (386, IN_HEADER),
        Continued::Yes => (0, IN_BLOCK),
    };
    for at in (start..).step_by(EXTENT).take(count) {
        if block[at] == 0 {
            break;
        }
        let offset = positive(&block[at..at + 12], "sparse offset")?;
        let length = positive(&block[at + 12..at + 24], "sparse length")?;
        push(out, Extent { offset, length })?;
    }
    Ok(block[start + count * EXTENT] != 0)
}

/// Whether a block is the header of its entry, or continues one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Continued {
    No,
    Yes,
}

/// The real size, as old GNU headers have it.
pub(super) fn old_size(block: &[u8; 512]) -> Result<u64, TarCause> {
    positive(&block[483..495], "real size")
}

/// The extents of a comma-separated map.
pub(super) fn listed(map: &[u8]) -> Result<Vec<Extent>, TarCause> {
    let mut numbers = Vec::new();
    for digits in map.split(|byte| *byte == b',').filter(|_| !map.is_empty()) {
        numbers.push(decimal(digits).ok_or(TarCause::Sparse)?);
    }
    paired(&numbers)
}

/// A map that stands before the bytes, while its blocks come.
#[derive(Debug, Default)]
pub(super) struct Front {
    text: Vec<u8>,
    lines: usize,
    /// How many lines there are in all, once the first is known.
    wanted: Option<usize>,
}

impl Front {
    /// Takes a block; says whether the map ends in it.
    pub(super) fn add(&mut self, block: &[u8; 512]) -> Result<bool, TarCause> {
        self.text.extend_from_slice(block);
        self.lines += block.split(|byte| *byte == b'\n').count() - 1;
        if self.wanted.is_none() {
            let first = self.text.iter().position(|byte| *byte == b'\n').ok_or(TarCause::Sparse)?;
            let count = decimal(&self.text[..first]).and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| *count <= EXTENTS_MAX).ok_or(TarCause::Sparse)?;
            self.wanted = Some(1 + 2 * count);
        }
        if self.text.len() > LINE_MAX * self.wanted.unwrap_or(0) + block.len() {
            return Err(TarCause::Sparse);
        }
        Ok(self.wanted.is_some_and(|wanted| wanted <= self.lines))
    }

    pub(super) fn finish(self) -> Result<Vec<Extent>, TarCause> {
        let lines = self.text.split(|byte| *byte == b'\n').take(self.wanted.unwrap_or(0)).skip(1);
        let numbers = lines.map(|digits| decimal(digits).ok_or(TarCause::Sparse));
        paired(&numbers.collect::<Result<Vec<u64>, _>>()?)
    }
}

/// The extents of offsets and lengths in turn.
pub(super) fn paired(numbers: &[u64]) -> Result<Vec<Extent>, TarCause> {
    let mut out = Vec::new();
    for pair in numbers.chunks(2) {
        let [offset, length] = *pair else { return Err(TarCause::Sparse) };
        push(&mut out, Extent { offset, length })?;
    }
    Ok(out)
}

fn push(out: &mut Vec<Extent>, extent: Extent) -> Result<(), TarCause> {
    if out.len() == EXTENTS_MAX {
        return Err(TarCause::Sparse);
    }
    out.push(extent);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(numbers: &[u64], size: u64, stored: u64) -> Result<Vec<Piece>, TarCause> {
        let mut pieces = Pieces::new(&paired(numbers)?, size, stored)?;
        let mut out = Vec::new();
        loop {
            let piece = pieces.peek();
            let (Piece::Zeros(count) | Piece::Bytes(count)) = piece else { return Ok(out) };
            pieces.taken(count);
            out.push(piece);
        }
    }

    #[test]
    fn zeros_fill_what_no_extent_covers() {
        use Piece::{Bytes, Zeros};
        let found = pieces(&[512, 4, 9000, 3, 10240, 0], 10240, 7).unwrap();
        assert_eq!(found, [Zeros(512), Bytes(4), Zeros(8484), Bytes(3), Zeros(1237)]);
        assert_eq!(pieces(&[], 9, 0).unwrap(), [Zeros(9)]);
        assert_eq!(pieces(&[0, 2, 2, 2], 4, 4).unwrap(), [Bytes(2), Bytes(2)]);
    }

    #[test]
    fn extents_are_in_order_inside_the_file_and_all_of_the_stream() {
        for (numbers, size, stored) in [
            (&[512, 4, 514, 3][..], 600, 7),
            (&[512, 4, 100, 3], 600, 7),
            (&[0, 4], 3, 4),
            (&[0, 4], 9, 3),
            (&[0, 4], 9, 5),
            (&[u64::MAX, 2], u64::MAX, 2),
            (&[0], 1, 0),
        ] {
            assert!(pieces(numbers, size, stored).is_err(), "{numbers:?} {size} {stored}");
        }
    }

    #[test]
    fn one_extent_too_many_is_refused() {
        let map = |count| vec![[0u64, 0]; count].concat();
        assert!(paired(&map(EXTENTS_MAX)).is_ok());
        assert!(paired(&map(EXTENTS_MAX + 1)).is_err());
        let mut block = [b'\n'; 512];
        for (count, fine) in [(EXTENTS_MAX, true), (EXTENTS_MAX + 1, false)] {
            block[..7].copy_from_slice(format!("{count:06}\n").as_bytes());
            assert_eq!(Front::default().add(&block).is_ok(), fine);
        }
    }

    #[test]
    fn a_map_in_front_without_lines_ends_at_once() {
        assert!(Front::default().add(&[b'1'; 512]).is_err());
        let mut front = Front::default();
        let mut block = [b'0'; 512];
        block[..2].copy_from_slice(b"1\n");
        assert!(!front.add(&block).unwrap());
        assert!(front.add(&[b'0'; 512]).is_err());
    }
}
