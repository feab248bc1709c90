//! Uncompressing a gzip stream while noting where it can be entered, which the library does not tell.

use std::io::{self, Read};

use super::SPAN;
use super::checkpoint::{Checkpoint, WINDOW};
use super::huffman::{Codes, malformed};

use self::bits::Bits;

mod bits;

/// How much is uncompressed at once, beside what is referred to.
const AHEAD: usize = 128 << 10;
/// In which order the lengths of the codes of lengths come.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The shortest match of each symbol after the end of a block, and how many bits say how much longer it is.
const LENGTHS: [(u16, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// The shortest distance of each symbol, and how many bits say how much longer it is.
const DISTANCES: [(u16, u32); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
/// The bits of a header that say which fields it has.
const CHECKSUM: u32 = 2;
const EXTRA: u32 = 4;
const NAME: u32 = 8;
const COMMENT: u32 = 16;
/// Those that mean something.
const FLAGS: u32 = 31;
/// The symbol that ends a block.
const END: u16 = 256;

/// A gzip stream of one member, uncompressed while it is read.
#[derive(Debug)]
pub(super) struct Inflate<R> {
    bits: Bits<R>,
    state: State,
    /// The block that is read is the last.
    is_last: bool,
    /// What has come last: what may be referred to, and what has not been read.
    out: Vec<u8>,
    /// How much of it has been read.
    read: usize,
    /// How much came before it.
    before: u64,
    crc: crc32fast::Hasher,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Debug)]
enum State {
    /// Nothing has been read.
    Beginning,
    /// A block follows, or the end.
    Between,
    /// So many bytes of a block follow as they are.
    Stored(usize),
    Coded(Box<Block>),
    End(Members),
}

/// What is in a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Members {
    One,
    Several,
}

/// The codes of a block.
#[derive(Debug)]
struct Block {
    literals: Codes,
    distances: Codes,
}

/// How far the decoding of a block came.
enum Decoded {
    Ended,
    Paused,
}

impl<R: Read> Inflate<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            bits: Bits::new(input),
            state: State::Beginning,
            is_last: false,
            out: Vec::with_capacity(2 * (WINDOW + AHEAD)),
            read: 0,
            before: 0,
            crc: crc32fast::Hasher::new(),
            checkpoints: Vec::new(),
        }
    }

    /// Whether there was something behind the end of the first member.
    pub(super) fn has_several_members(&self) -> bool {
        matches!(self.state, State::End(Members::Several))
    }

    /// The checkpoints, and how long the plain stream is that has been read to its end.
    pub(super) fn finish(self) -> io::Result<(Vec<Checkpoint>, u64)> {
        let plain = self.plain();
        let is_read = matches!(self.state, State::End(_)) && self.read == self.out.len();
        if is_read { Ok((self.checkpoints, plain)) } else { Err(malformed()) }
    }

    /// How much has been uncompressed.
    fn plain(&self) -> u64 {
        self.before + self.out.len() as u64
    }

    /// Uncompresses more. All that came before has been read.
    fn fill(&mut self) -> io::Result<()> {
        let dropped = self.out.len().saturating_sub(WINDOW);
        self.out.drain(..dropped);
        self.before += dropped as u64;
        self.read = self.out.len();
        let limit = WINDOW + AHEAD;
        while self.out.len() < limit && !matches!(self.state, State::End(_)) {
            let state = std::mem::replace(&mut self.state, State::Between);
            self.state = self.go_on(state, limit)?;
        }
        self.crc.update(&self.out[self.read..]);
        if matches!(self.state, State::End(Members::One)) {
            self.state = State::End(self.trailer()?);
        }
        Ok(())
    }

    fn go_on(&mut self, state: State, limit: usize) -> io::Result<State> {
        match state {
            State::Beginning => {
                self.header()?;
                Ok(State::Between)
            }
            State::Between if self.is_last => Ok(State::End(Members::One)),
            State::Between => {
                self.mark();
                self.block()
            }
            State::Stored(left) => {
                let count = left.min(limit - self.out.len());
                self.bits.bytes(count, &mut self.out)?;
                Ok(if count == left { State::Between } else { State::Stored(left - count) })
            }
            State::Coded(block) => match block.decode(&mut self.bits, &mut self.out, limit)? {
                Decoded::Ended => Ok(State::Between),
                Decoded::Paused => Ok(State::Coded(block)),
            },
            State::End(members) => Ok(State::End(members)),
        }
    }

    /// Notes a checkpoint where the one before is far enough.
    fn mark(&mut self) {
        let plain = self.plain();
        if self.checkpoints.last().is_some_and(|last| plain - last.plain <= SPAN) {
            return;
        }
        let (at, bits) = self.bits.position();
        let window = self.out[self.out.len().saturating_sub(WINDOW)..].to_vec();
        self.checkpoints.push(Checkpoint { at, plain, bits, window });
    }

    /// Reads what is before the first block.
    fn header(&mut self) -> io::Result<()> {
        let mut byte = || self.bits.take(8);
        let (magic, method, flags) = ([byte()?, byte()?], byte()?, byte()?);
        if (magic, method) != ([0x1f, 0x8b], 8) || flags > FLAGS {
            return Err(malformed());
        }
        for _ in 0..6 {
            byte()?;
        }
        if flags & EXTRA != 0 {
            for _ in 0..byte()? | byte()? << 8 {
                byte()?;
            }
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && byte()? != 0 {}
        }
        if flags & CHECKSUM != 0 {
            byte()?;
            byte()?;
        }
        Ok(())
    }

    /// Reads what is before what a block holds.
    fn block(&mut self) -> io::Result<State> {
        self.is_last = self.bits.take(1)? == 1;
        match self.bits.take(2)? {
            0 => {
                self.bits.align();
                let (length, inverted) = (self.bits.take(16)?, self.bits.take(16)?);
                if length != inverted ^ 0xffff {
                    return Err(malformed());
                }
                usize::try_from(length).map(State::Stored).map_err(io::Error::other)
            }
            1 => Block::fixed().map(|block| State::Coded(Box::new(block))),
            2 => Block::read(&mut self.bits).map(|block| State::Coded(Box::new(block))),
            _ => Err(malformed()),
        }
    }

    /// Reads what is behind the last block.
    fn trailer(&mut self) -> io::Result<Members> {
        self.bits.align();
        let (crc, size) = (self.bits.take(32)?, self.bits.take(32)?);
        let made = self.plain() & u64::from(u32::MAX);
        if crc != self.crc.clone().finalize() || u64::from(size) != made {
            return Err(malformed());
        }
        Ok(if self.bits.is_at_end()? { Members::One } else { Members::Several })
    }
}

impl Block {
    /// The codes that need not be said.
    fn fixed() -> io::Result<Self> {
        let mut literals = [8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        Ok(Self { literals: Codes::new(&literals)?, distances: Codes::new(&[5; 30])? })
    }

    /// Codes that are said before what they code.
    fn read(bits: &mut Bits<impl Read>) -> io::Result<Self> {
        let mut count = |width, least: usize| -> io::Result<usize> {
            let more = usize::try_from(bits.take(width)?).map_err(io::Error::other)?;
            Ok(more + least)
        };
        let (n_literals, n_distances, n_lengths) = (count(5, 257)?, count(5, 1)?, count(4, 4)?);
        if n_literals > 286 || n_distances > DISTANCES.len() {
            return Err(malformed());
        }
        let mut lengths = [0; ORDER.len()];
        for place in &ORDER[..n_lengths] {
            lengths[*place] = u8::try_from(bits.take(3)?).map_err(io::Error::other)?;
        }
        let codes = Codes::new(&lengths)?;
        let mut lengths = Vec::with_capacity(n_literals + n_distances);
        while lengths.len() < n_literals + n_distances {
            let (value, times) = match bits.symbol(&codes)? {
                16 => (*lengths.last().ok_or_else(malformed)?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (u8::try_from(length).map_err(io::Error::other)?, 1),
            };
            lengths.extend((0..times).map(|_| value));
        }
        if lengths.len() > n_literals + n_distances {
            return Err(malformed());
        }
        let (literals, distances) = lengths.split_at(n_literals);
        Ok(Self { literals: Codes::new(literals)?, distances: Codes::new(distances)? })
    }

    /// Decodes until the block ends, or there is enough.
    fn decode(
        &self,
        bits: &mut Bits<impl Read>,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> io::Result<Decoded> {
        while out.len() < limit {
            let symbol = bits.symbol(&self.literals)?;
            if symbol == END {
                return Ok(Decoded::Ended);
            }
            if let Ok(literal) = u8::try_from(symbol) {
                out.push(literal);
                continue;
            }
            let length = bits.longer(&LENGTHS, symbol - END - 1)?;
            let distance = bits.symbol(&self.distances)?;
            let distance = bits.longer(&DISTANCES, distance)?;
            let from = out.len().checked_sub(distance).ok_or_else(malformed)?;
            if length <= distance {
                out.extend_from_within(from..from + length);
            } else {
                (from..from + length).for_each(|at| out.push(out[at]));
            }
        }
        Ok(Decoded::Paused)
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read == self.out.len() && !matches!(self.state, State::End(_)) {
            self.fill()?;
        }
        let count = (&self.out[self.read..]).read(bytes)?;
        self.read += count;
        Ok(count)
    }
}
