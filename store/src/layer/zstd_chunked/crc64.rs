//! The checksum of bodies in a stream that was split: CRC-64 of ISO 3309, for which no library is worth its place.

/// The polynomial, its lowest bit first.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
/// So many bytes are taken at a time.
const STRIDE: usize = 8;
/// What a byte makes of the checksum, so many bytes before the last.
static TABLES: [[u64; 256]; STRIDE] = tables();

const fn tables() -> [[u64; 256]; STRIDE] {
    let mut tables = [[0; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u64, 0);
        while bit < 8 {
            value = value >> 1 ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut at = 256;
    while at < 256 * STRIDE {
        let before = tables[at / 256 - 1][at % 256];
        tables[at / 256][at % 256] = before >> 8 ^ tables[0][(before & 0xff) as usize];
        at += 1;
    }
    tables
}

/// The checksum of what has come so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc64(u64);

impl Crc64 {
    pub(super) fn new() -> Self {
        Self(u64::MAX)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<STRIDE>();
        for word in words {
            let word = (self.0 ^ u64::from_le_bytes(*word)).to_le_bytes();
            let places = word.iter().zip(TABLES.iter().rev());
            self.0 = places.fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            self.0 = self.0 >> 8 ^ TABLES[0][usize::from(self.0.to_le_bytes()[0] ^ byte)];
        }
    }

    pub(super) fn finish(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&[u8]]) -> u64 {
        let mut crc = Crc64::new();
        for piece in pieces {
            crc.update(piece);
        }
        crc.finish()
    }

    #[test]
    fn the_check_value_of_the_standard_comes_out_however_it_is_cut() {
        assert_eq!(of(&[b"123456789"]), 0xb909_56c7_75a4_1001);
        assert_eq!(of(&[b"1", b"2345678", b"", b"9"]), 0xb909_56c7_75a4_1001);
        assert_eq!(of(&[]), 0);
    }
}
