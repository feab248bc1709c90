//! Which bytes compressing does not shorten: images, archives, what is encrypted. A sample shows it
//! for a few per cent of what compressing them would take.
//!
//! The answer depends on the bytes alone, and is part of what a [`Codec`](super::codec::Codec)'s
//! version names.

use std::borrow::Cow;
use std::io;

/// The sample is of pieces this long: a deflate window is too long to be seen in a few, and what
/// cannot be shortened is so everywhere.
const PIECE: usize = 2 << 10;
/// There is one piece for this many bytes.
const EVERY: usize = 64 << 10;
/// There are this many pieces at least, since a short file has a head unlike the rest.
const PIECES_MIN: usize = 8;
/// What becomes shorter by a smaller part than this is not worth what compressing it takes, nor
/// what uncompressing it takes everywhere.
const WORTH: usize = 64;
/// By how large a part the squares of how often each value occurs may exceed those of evenly
/// spread values: more would save more than a [`WORTH`]th.
const SKEW: u64 = 8;

/// Whether `compress` makes a sample of the bytes so little shorter that they are better left as
/// they are.
pub(super) fn is_incompressible(
    bytes: &[u8],
    compress: impl FnOnce(&[u8]) -> io::Result<Vec<u8>>,
) -> io::Result<bool> {
    let sample = sample(bytes);
    // Most of what can be shortened shows it by its values alone.
    if !is_even(&sample) {
        return Ok(false);
    }
    Ok(sample.len() - sample.len() / WORTH <= compress(&sample)?.len())
}

/// Pieces at the same distance from each other, the first and the last byte among them.
fn sample(bytes: &[u8]) -> Cow<'_, [u8]> {
    let pieces = (bytes.len() / EVERY).max(PIECES_MIN);
    if bytes.len() <= pieces * PIECE {
        return Cow::Borrowed(bytes);
    }
    let step = (bytes.len() - PIECE) / (pieces - 1);
    let mut sample = Vec::with_capacity(pieces * PIECE);
    for piece in 0..pieces - 1 {
        sample.extend_from_slice(&bytes[piece * step..][..PIECE]);
    }
    sample.extend_from_slice(&bytes[bytes.len() - PIECE..]);
    Cow::Owned(sample)
}

/// Whether all values of a byte occur about as often.
fn is_even(bytes: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = bytes.len() as u64;
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    // Chance alone adds one square for each byte.
    256 * squares <= length * length + length * length / SKEW + 256 * length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn is_left(bytes: &[u8]) -> bool {
        is_incompressible(bytes, |sample| zstd::bulk::compress(sample, 1)).unwrap()
    }

    #[test]
    fn noise_is_left_and_text_is_not() {
        for length in [1 << 14, (1 << 14) + 1, 100_000, 8 << 20] {
            assert!(is_left(&noise(length)));
            let text: Vec<u8> = noise(length).iter().map(|byte| b'a' + byte % 26).collect();
            assert!(!is_left(&text));
            assert!(!is_left(&vec![0; length]));
        }
    }

    #[test]
    fn what_repeats_is_compressed_however_even_its_values_are() {
        let values: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(!is_left(&values));
        assert!(!is_left(&noise(3000).repeat(100)));
    }

    #[test]
    fn a_file_of_which_a_tenth_is_text_is_compressed() {
        let mut bytes = noise(1 << 20);
        let at = bytes.len() / 2;
        bytes[at..at + (1 << 20) / 10].fill(b' ');
        assert!(!is_left(&bytes));
    }

    #[test]
    fn a_sample_holds_both_ends_and_a_known_share() {
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|at| at.to_le_bytes()[1]).collect();
        let sample = sample(&bytes);
        assert_eq!(sample.len(), 15 * PIECE);
        assert_eq!(sample[..PIECE], bytes[..PIECE]);
        assert_eq!(sample[sample.len() - PIECE..], bytes[bytes.len() - PIECE..]);
    }
}
