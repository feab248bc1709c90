//! The bits of a deflate stream.

use std::io::{self, Read};

use crate::layer::soci::huffman::{Codes, malformed};

/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// Gives bits, the lowest of each byte first.
#[derive(Debug)]
pub(super) struct Bits<R> {
    input: R,
    buffer: Vec<u8>,
    /// How much of the buffer has been taken.
    at: usize,
    /// How much came before the buffer.
    before: u64,
    /// Bits that were taken from the buffer; those above `count` are none, or what comes next anyway.
    word: u64,
    count: u32,
}

impl<R: Read> Bits<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0, before: 0, word: 0, count: 0 }
    }

    /// The first byte of which nothing has been given, and how many bits of the one before it have not.
    pub(super) fn position(&self) -> (u64, u8) {
        let taken = self.before + self.at as u64;
        let bits = u8::try_from(self.count % 8).expect("less than a byte");
        (taken - u64::from(self.count / 8), bits)
    }

    /// Gives a number of up to 32 bits.
    pub(super) fn take(&mut self, count: u32) -> io::Result<u32> {
        if self.count < count {
            self.refill()?;
        }
        let bits = self.word & ((1 << count) - 1);
        self.skip(count)?;
        u32::try_from(bits).map_err(io::Error::other)
    }

    /// Gives the symbol of the code that comes next.
    pub(super) fn symbol(&mut self, codes: &Codes) -> io::Result<u16> {
        if self.count < 15 {
            self.refill()?;
        }
        let (symbol, length) = codes.find(self.word).ok_or_else(malformed)?;
        self.skip(length)?;
        Ok(symbol)
    }

    /// Gives a number of which a symbol says the least it can be.
    pub(super) fn longer(&mut self, table: &[(u16, u32)], symbol: u16) -> io::Result<usize> {
        let (least, bits) = *table.get(usize::from(symbol)).ok_or_else(malformed)?;
        let more = usize::try_from(self.take(bits)?).map_err(io::Error::other)?;
        Ok(usize::from(least) + more)
    }

    /// Leaves out what is left of a byte.
    pub(super) fn align(&mut self) {
        let rest = self.count % 8;
        (self.word, self.count) = (self.word >> rest, self.count - rest);
    }

    /// Appends whole bytes.
    pub(super) fn bytes(&mut self, count: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let mut left = count;
        while left > 0 && self.count > 0 {
            out.push(u8::try_from(self.take(8)?).map_err(io::Error::other)?);
            left -= 1;
        }
        if left == 0 {
            return Ok(());
        }
        // It holds only what comes next anyway, which is taken without it.
        self.word = 0;
        while left > 0 {
            if self.at == self.buffer.len() && !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let piece = left.min(self.buffer.len() - self.at);
            out.extend_from_slice(&self.buffer[self.at..self.at + piece]);
            (self.at, left) = (self.at + piece, left - piece);
        }
        Ok(())
    }

    /// Whether nothing but zeros is left, which pad a stream.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        loop {
            while self.count >= 8 {
                if self.take(8)? != 0 {
                    return Ok(false);
                }
            }
            self.refill()?;
            if self.count < 8 {
                return Ok(true);
            }
        }
    }

    fn skip(&mut self, count: u32) -> io::Result<()> {
        self.count = self.count.checked_sub(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.word >>= count;
        Ok(())
    }

    /// Takes as many bytes as there is room for.
    fn refill(&mut self) -> io::Result<()> {
        if let Some(bytes) = self.buffer[self.at..].first_chunk::<8>() {
            self.word |= u64::from_le_bytes(*bytes) << self.count;
            let taken = (63 - self.count) / 8;
            self.at += taken as usize;
            self.count += taken * 8;
            return Ok(());
        }
        while self.count < 56 {
            if self.at == self.buffer.len() && !self.more()? {
                return Ok(());
            }
            self.word |= u64::from(self.buffer[self.at]) << self.count;
            (self.at, self.count) = (self.at + 1, self.count + 8);
        }
        Ok(())
    }

    /// Reads what comes after the buffer; says whether there is any.
    fn more(&mut self) -> io::Result<bool> {
        self.before += self.buffer.len() as u64;
        (self.at, self.buffer) = (0, std::mem::take(&mut self.buffer));
        self.buffer.resize(BUFFER, 0);
        let count = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.truncate(count);
        Ok(count > 0)
    }
}
