//! One object in a pack: a header of 64 bytes, then the stored bytes.

use xxhash_rust::xxh3::xxh3_64;

use crate::error::ReadCause;
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::frame;
use crate::wire::{read_u32, read_u64};

/// Length of a record's header.
pub const HEADER_SIZE: usize = 64;

/// Records begin at multiples of this.
pub const ALIGNMENT: u64 = 8;

/// Raw payloads of at least this many bytes begin at a multiple of 4 KiB, so that a file system
/// can share their blocks with a file. Of shorter ones the gaps would be a part of the store that counts.
pub const PAGE_ALIGNED_FROM: u64 = 1024 * 1024;

/// The most bytes a compressed object may decode to. Larger objects are stored raw, so a header
/// that claims more is damaged, and must not make us allocate.
pub const MAX_DECODED: u64 = 256 * 1024 * 1024;

pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"WREC");

/// What the header of a record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordHeader {
    /// Which object.
    pub name: ObjectName,
    /// How its bytes are stored.
    pub encoding: Encoding,
    /// Length once decoded.
    pub raw_len: u64,
    /// Length of the payload.
    pub stored_len: u64,
}

impl RecordHeader {
    /// The header's bytes for a payload with this [`payload_hash`].
    pub fn encode(&self, payload_hash: u64) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4] = self.name.kind.code();
        bytes[5] = self.encoding.code();
        bytes[8..16].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.name.id);
        let check = checksum(&bytes, payload_hash);
        bytes[56..64].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads a header. Its checksum covers the payload, so nothing is proven before
    /// [`is_intact`](Self::is_intact).
    ///
    /// # Errors
    ///
    /// If the header makes no sense.
    pub fn decode(bytes: &[u8; HEADER_SIZE]) -> Result<Self, ReadCause> {
        if read_u32(bytes, 0) != MAGIC || bytes[6..8] != [0, 0] {
            return Err(ReadCause::Malformed("record header"));
        }
        let kind = Kind::from_code(bytes[4]).ok_or(ReadCause::Malformed("kind of a record"))?;
        let encoding =
            Encoding::from_code(bytes[5]).ok_or(ReadCause::Malformed("encoding of a record"))?;
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[24..56]);
        let (raw_len, stored_len) = (read_u64(bytes, 8), read_u64(bytes, 16));
        Ok(Self { name: ObjectName { id, kind }, encoding, raw_len, stored_len })
    }

    /// Whether header and payload are what was written.
    pub fn is_intact(bytes: &[u8; HEADER_SIZE], payload: &[u8]) -> bool {
        Self::is_intact_with(bytes, payload_hash(payload))
    }

    /// As [`is_intact`](Self::is_intact), for a payload with this [`payload_hash`].
    pub fn is_intact_with(bytes: &[u8; HEADER_SIZE], payload_hash: u64) -> bool {
        checksum(bytes, payload_hash) == read_u64(bytes, 56)
    }

    /// The object's bytes out of an intact payload.
    ///
    /// # Errors
    ///
    /// If the payload does not decompress to the length the header gives.
    pub fn decompress(&self, payload: &[u8]) -> Result<Vec<u8>, ReadCause> {
        let malformed = ReadCause::Malformed("compressed record");
        if self.raw_len > MAX_DECODED {
            return Err(malformed);
        }
        let length = usize::try_from(self.raw_len).map_err(|_| ReadCause::Truncated)?;
        match frame::decompress(payload, length) {
            Ok(bytes) if bytes.len() == length => Ok(bytes),
            Ok(_) | Err(_) => Err(malformed),
        }
    }
}

/// The hash of a payload that goes into the header's checksum. Kept apart from the header's own
/// bytes so that a payload can be written before its id is known.
pub fn payload_hash(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}

/// Where a record begins when the pack so far ends at `end`.
pub fn place(end: u64, encoding: Encoding, stored_len: u64) -> u64 {
    if encoding == Encoding::Raw && stored_len >= PAGE_ALIGNED_FROM {
        (end + HEADER_SIZE as u64).next_multiple_of(4096) - HEADER_SIZE as u64
    } else {
        end.next_multiple_of(ALIGNMENT)
    }
}

fn checksum(header: &[u8; HEADER_SIZE], payload_hash: u64) -> u64 {
    let mut covered = *header;
    covered[56..64].copy_from_slice(&payload_hash.to_le_bytes());
    xxh3_64(&covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> RecordHeader {
        let name = ObjectName::new(Kind::Body, &[7; 32]);
        RecordHeader { name, encoding: Encoding::Raw, raw_len: 5, stored_len: 5 }
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = header().encode(payload_hash(b"hello"));
        assert_eq!(RecordHeader::decode(&bytes).unwrap(), header());
        assert!(RecordHeader::is_intact(&bytes, b"hello"));
    }

    #[test]
    fn every_flipped_bit_of_header_or_payload_shows() {
        let intact = header().encode(payload_hash(b"hello"));
        for bit in 0..8 * HEADER_SIZE {
            let mut bytes = intact;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!RecordHeader::is_intact(&bytes, b"hello"), "bit {bit}");
        }
        assert!(!RecordHeader::is_intact(&intact, b"hellp"));
    }

    #[test]
    fn large_raw_payloads_begin_on_a_page() {
        assert_eq!(place(100, Encoding::Raw, PAGE_ALIGNED_FROM), 4096 - 64);
        assert_eq!(place(4096 - 63, Encoding::Raw, PAGE_ALIGNED_FROM), 8192 - 64);
        assert_eq!(place(100, Encoding::Raw, 10), 104);
    }
}
