//! The codes of deflate.

use std::io;

/// The longest code.
const LENGTH_MAX: usize = 15;

/// Which symbol each code stands for, looked up by the bits that come next.
#[derive(Debug)]
pub(super) struct Codes {
    /// A symbol and, in the lowest four bits, the length of its code; 0 where there is none.
    entries: Vec<u16>,
    mask: u64,
}

impl Codes {
    /// The codes of so many bits, in the order of the symbols; none for those of no bits.
    ///
    /// # Errors
    ///
    /// If there are more codes than such bits can tell apart.
    pub(super) fn new(lengths: &[u8]) -> io::Result<Self> {
        let mut count = [0_u32; LENGTH_MAX + 1];
        for length in lengths {
            count[usize::from(*length)] += 1;
        }
        count[0] = 0;
        let longest = (1..=LENGTH_MAX).rev().find(|length| count[*length] > 0).unwrap_or(1);
        let (mut next, mut code) = ([0_u32; LENGTH_MAX + 1], 0_u32);
        for length in 1..=longest {
            code = (code + count[length - 1]) << 1;
            next[length] = code;
            if code + count[length] > 1 << length {
                return Err(malformed());
            }
        }
        let mut entries = vec![0; 1 << longest];
        for (symbol, length) in (0_u16..).zip(lengths) {
            let bits = usize::from(*length);
            if bits == 0 {
                continue;
            }
            // The first bit of a code is the lowest in the stream.
            let reversed = next[bits].reverse_bits() >> (32 - bits);
            next[bits] += 1;
            let from = usize::try_from(reversed).map_err(io::Error::other)?;
            for entry in entries[from..].iter_mut().step_by(1 << bits) {
                *entry = symbol << 4 | u16::from(*length);
            }
        }
        Ok(Self { entries, mask: (1 << longest) - 1 })
    }

    /// The symbol that bits begin with, and how many of them are its code.
    pub(super) fn find(&self, bits: u64) -> Option<(u16, u32)> {
        let at = usize::try_from(bits & self.mask).ok()?;
        let entry = *self.entries.get(at)?;
        (entry != 0).then_some((entry >> 4, u32::from(entry & 15)))
    }
}

/// What is no deflate stream.
pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the gzip stream is malformed")
}
