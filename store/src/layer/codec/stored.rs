//! Bytes that stay as they are in streams that decoders read.

/// The longest stored block of deflate.
const DEFLATE_BLOCK: usize = u16::MAX as usize;
/// What starts a zstd frame.
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// A frame without checksum and dictionary, whose content is one segment of a length that follows
/// in eight bytes.
const ZSTD_DESCRIPTOR: u8 = 0b1110_0000;
/// The longest block of zstd.
const ZSTD_BLOCK: usize = 128 << 10;
/// What marks the last block of a frame.
const ZSTD_LAST: u32 = 1;

/// Adds blocks of deflate that end on a byte, none of them the last.
pub(super) fn deflate(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 5 * bytes.len().div_ceil(DEFLATE_BLOCK));
    for block in bytes.chunks(DEFLATE_BLOCK) {
        let length = u16::try_from(block.len()).expect("the longest has sixteen bits");
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Adds a frame of zstd whose blocks are raw.
pub(super) fn zstd(bytes: &[u8], out: &mut Vec<u8>) {
    let blocks = bytes.len().div_ceil(ZSTD_BLOCK).max(1);
    out.reserve(bytes.len() + 13 + 3 * blocks);
    out.extend_from_slice(&ZSTD_MAGIC);
    out.push(ZSTD_DESCRIPTOR);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    let mut rest = bytes;
    for left in (0..blocks).rev() {
        let (block, after) = rest.split_at(rest.len().min(ZSTD_BLOCK));
        let length = u32::try_from(block.len()).expect("the longest has eighteen bits");
        let header = length << 3 | if left == 0 { ZSTD_LAST } else { 0 };
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Lengths at which blocks and their number change.
    const LENGTHS: [usize; 10] = [
        0,
        1,
        DEFLATE_BLOCK - 1,
        DEFLATE_BLOCK,
        DEFLATE_BLOCK + 1,
        2 * DEFLATE_BLOCK,
        ZSTD_BLOCK - 1,
        ZSTD_BLOCK,
        ZSTD_BLOCK + 1,
        3 * ZSTD_BLOCK,
    ];

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 / 5).to_le_bytes()[0]).collect()
    }

    fn made(add: fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        add(bytes, &mut out);
        out
    }

    #[test]
    fn decoders_give_back_what_was_stored() {
        for plain in LENGTHS.map(bytes) {
            assert!(
                ::zstd::decode_all(&made(zstd, &plain)[..]).unwrap() == plain,
                "{}",
                plain.len()
            );
            let stream = [&made(deflate, &plain)[..], &[3, 0]].concat();
            let (mut read, mut decoder) =
                (Vec::new(), flate2::bufread::DeflateDecoder::new(&stream[..]));
            decoder.read_to_end(&mut read).unwrap();
            assert!(decoder.into_inner().is_empty());
            assert!(read == plain, "{}", plain.len());
        }
    }

    #[test]
    fn a_frame_states_the_length_of_its_content() {
        for plain in LENGTHS.map(bytes) {
            let found = ::zstd::zstd_safe::get_frame_content_size(&made(zstd, &plain)).unwrap();
            assert_eq!(found, Some(plain.len() as u64));
        }
    }
}
