//! Which bytes compressing does not shorten: images, archives, what is encrypted. A sample shows it
//! for a hundredth of what compressing them would take: deflate is slowest where it gains nothing.
//!
//! Compressing saves where some values are more frequent than others, and where bytes were there before. Both are counted.
//!
//! The answer depends on the bytes alone, and is part of what a [`Codec`](super::codec::Codec)'s
//! version names.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

/// The sample is of pieces this long: a deflate window is too long to be seen in a few, and what
/// cannot be shortened is so everywhere.
const PIECE: usize = 2 << 10;
/// There is one piece for this many bytes.
const EVERY: usize = 64 << 10;
/// There are this many pieces at least, since a short file has a head unlike the rest.
const PIECES_MIN: usize = 8;
/// By how large a part the squares of how often each value occurs may exceed those of evenly spread values: more would
/// save more than a sixty-fourth, which is not worth what compressing takes, nor what uncompressing takes everywhere.
const SKEW: u64 = 8;
/// Of bytes of which a smaller part was there before the fastest level of deflate makes nothing shorter: all the others take
/// more than they have.
const WORTH: usize = 16;
/// Shorter repetitions are left to chance.
const MATCH: usize = 4;
/// What a repetition takes by itself.
const REFERENCE: usize = 3;
/// So many places are remembered of the bytes that begin there.
const TABLE: usize = 1 << 12;

/// Stretches are told apart by pieces this long: to begin anew behind one costs a few bytes, and what can be shortened
/// in a shorter one is not worth looking for.
const STRETCH: usize = 128 << 10;
/// How far back deflate refers.
const WINDOW: usize = 32 << 10;
/// So many bytes that were there before are no chance.
const PROBE: usize = 16;
/// In each piece of a stretch so many places are looked at.
const PROBES: usize = 3;
/// Where one stretch ends and another begins is found by steps this long: what is left of noise in a stretch that is
/// compressed costs thirty times what it costs to look.
const STEP: usize = 4 << 10;

/// Bytes that follow each other and are alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stretch {
    /// Compressing makes them shorter.
    Compressible(Range<usize>),
    /// It does not.
    Incompressible(Range<usize>),
}

impl Stretch {
    fn end(&self) -> usize {
        let (Self::Compressible(range) | Self::Incompressible(range)) = self;
        range.end
    }
}

/// The stretches of the bytes of a file, or of what lies side by side: an archive of images has text in front of
/// each, and a program may carry one. Only what refers back no further than deflate may be told apart so.
pub(super) fn stretches(bytes: &[u8]) -> Vec<Stretch> {
    let whole = 0..bytes.len();
    if is_incompressible(bytes) {
        return vec![Stretch::Incompressible(whole)];
    }
    if bytes.len() < 2 * STRETCH {
        return vec![Stretch::Compressible(whole)];
    }
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        // What is left behind the last piece belongs to it.
        let end = if bytes.len() - at < 2 * STRETCH { bytes.len() } else { at + STRETCH };
        let next = if !repeats(bytes, at..end) && is_incompressible(&bytes[at..end]) {
            Stretch::Incompressible(at..end)
        } else {
            Stretch::Compressible(at..end)
        };
        extend(&mut found, next);
        at = end;
    }
    with_noise_to_its_ends(bytes, &found)
}

/// The same stretches, where those of noise reach as far as the noise does.
fn with_noise_to_its_ends(bytes: &[u8], stretches: &[Stretch]) -> Vec<Stretch> {
    let mut found = Vec::with_capacity(stretches.len());
    let mut at = 0;
    for (number, stretch) in stretches.iter().enumerate() {
        let Stretch::Compressible(range) = stretch else {
            extend(&mut found, Stretch::Incompressible(at..stretch.end()));
            at = stretch.end();
            continue;
        };
        let is_behind_noise = number > 0;
        let start = if is_behind_noise { noise_behind(bytes, range.clone()) } else { range.start };
        let is_before_noise = number + 1 < stretches.len();
        let end = if is_before_noise { noise_before(bytes, start..range.end) } else { range.end };
        if at < start {
            extend(&mut found, Stretch::Incompressible(at..start));
        }
        if start < end {
            extend(&mut found, Stretch::Compressible(start..end));
        }
        at = end;
    }
    found
}

/// Up to where there is noise from the start of a stretch.
fn noise_behind(bytes: &[u8], range: Range<usize>) -> usize {
    let last = range.end.min(range.start + 2 * STRETCH);
    let mut at = range.start;
    while at + STEP <= last && is_noise(bytes, at..at + STEP) {
        at += STEP;
    }
    at
}

/// From where there is noise up to the end of a stretch.
fn noise_before(bytes: &[u8], range: Range<usize>) -> usize {
    let first = range.start.max(range.end.saturating_sub(2 * STRETCH));
    let mut at = range.end;
    while first + STEP <= at && is_noise(bytes, at - STEP..at) {
        at -= STEP;
    }
    at
}

/// Whether a short piece beside noise looks like more of it.
fn is_noise(bytes: &[u8], piece: Range<usize>) -> bool {
    is_even(&bytes[piece.clone()]) && !repeats(bytes, piece)
}

/// Adds a stretch; one that is like the last makes that longer.
fn extend(stretches: &mut Vec<Stretch>, next: Stretch) {
    match (stretches.last_mut(), &next) {
        (Some(Stretch::Compressible(last)), Stretch::Compressible(next))
        | (Some(Stretch::Incompressible(last)), Stretch::Incompressible(next)) => {
            last.end = next.end;
        }
        _ => stretches.push(next),
    }
}

/// Whether bytes at some places of a piece were there before, as near as deflate looks: a sample does not show noise that
/// repeats at a distance longer than itself.
fn repeats(bytes: &[u8], piece: Range<usize>) -> bool {
    (1..=PROBES).any(|number| {
        let at = piece.start + piece.len() * number / (PROBES + 1);
        let before = &bytes[at.saturating_sub(WINDOW)..at + PROBE - 1];
        memmem::find(before, &bytes[at..at + PROBE]).is_some()
    })
}

/// Whether a sample of the bytes shows that they are better left as they are.
pub(super) fn is_incompressible(bytes: &[u8]) -> bool {
    let sample = sample(bytes);
    // Most of what can be shortened shows it by its values alone.
    is_even(&sample) && WORTH * repeated(&sample) <= sample.len()
}

/// How many bytes are saved where bytes are referred to that were there before.
fn repeated(bytes: &[u8]) -> usize {
    let mut before = vec![0; TABLE];
    let (mut at, mut saved) = (0, 0);
    while let Some(next) = bytes[at..].first_chunk::<MATCH>() {
        let place = u32::from_le_bytes(*next).wrapping_mul(0x9e37_79b1) >> (32 - TABLE.ilog2());
        let earlier = std::mem::replace(&mut before[place as usize], at);
        let length = if earlier < at { same(&bytes[earlier..], &bytes[at..]) } else { 0 };
        if length < MATCH {
            at += 1;
        } else {
            saved += length - REFERENCE;
            at += length;
        }
    }
    saved
}

/// How many bytes are the same at the start of both.
fn same(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
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
    use crate::layer::codec::Codec;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn noise_is_left_and_text_is_not() {
        for length in [1 << 14, (1 << 14) + 1, 100_000, 8 << 20] {
            assert!(is_incompressible(&noise(length)));
            let text: Vec<u8> = noise(length).iter().map(|byte| b'a' + byte % 26).collect();
            assert!(!is_incompressible(&text));
            assert!(!is_incompressible(&vec![0; length]));
        }
    }

    #[test]
    fn what_repeats_is_compressed_however_even_its_values_are() {
        let values: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(!is_incompressible(&values));
        assert!(!is_incompressible(&noise(3000).repeat(100)));
    }

    #[test]
    fn a_file_of_which_a_tenth_is_text_is_compressed() {
        let mut bytes = noise(1 << 20);
        let at = bytes.len() / 2;
        bytes[at..at + (1 << 20) / 10].fill(b' ');
        assert!(!is_incompressible(&bytes));
    }

    #[test]
    fn stretches_of_noise_are_told_from_those_between_them() {
        let (noise, text) = (noise(300_000), vec![b' '; 300_000]);
        let all = [&noise[..], &text, &noise, &text].concat();
        let found = stretches(&all);
        assert_eq!(found.len(), 4, "{found:?}");
        let mut at = 0;
        for (number, stretch) in found.into_iter().enumerate() {
            let (Stretch::Compressible(range) | Stretch::Incompressible(range)) = stretch.clone();
            assert_eq!(at, range.start);
            at = range.end;
            assert!(range.end.abs_diff(300_000 * (number + 1)) <= STEP, "{number}: {range:?}");
            assert_eq!(matches!(stretch, Stretch::Incompressible(_)), number % 2 == 0);
        }
        assert_eq!(at, all.len());
    }

    #[test]
    fn noise_reaches_to_its_ends_wherever_they_are() {
        let (noise, text) = (noise(1 << 20), vec![b' '; 1 << 20]);
        for (before, between, behind) in
            [(400_000, 300_000, 500_000), (1_000, 600_001, 131_072), (262_144, 393_216, 7)]
        {
            let all = [&text[..before], &noise[..between], &text[..behind]].concat();
            let found = stretches(&all);
            let stored: Vec<&Range<usize>> = found
                .iter()
                .filter_map(|one| {
                    if let Stretch::Incompressible(range) = one { Some(range) } else { None }
                })
                .collect();
            let [range] = stored[..] else { panic!("{found:?}") };
            let (start, end) = (range.start.abs_diff(before), range.end.abs_diff(before + between));
            assert!(start <= STEP && end <= STEP, "{before} {between} {behind}: {range:?}");
            assert_eq!(found.last().map(Stretch::end), Some(all.len()));
        }
    }

    #[test]
    fn bytes_that_are_alike_are_one_stretch() {
        let (length, whole) = (1_000_001, 0..1_000_001);
        assert_eq!(stretches(&noise(length)), [Stretch::Incompressible(whole.clone())]);
        assert_eq!(stretches(&vec![b' '; length]), [Stretch::Compressible(whole)]);
        assert_eq!(stretches(&[]), [Stretch::Incompressible(0..0)]);
    }

    #[test]
    fn noise_that_repeats_within_a_window_is_compressed_between_other_noise() {
        for period in [3_000, 20_000, 30_000] {
            let repeating = noise(period).repeat(1_000_000 / period);
            let mut all = noise(1 << 20).split_off(500_000);
            all.extend_from_slice(&repeating);
            let Some(Stretch::Compressible(last)) = stretches(&all).pop() else {
                panic!("{period}")
            };
            assert!(repeating.len() - 2 * STRETCH <= last.len(), "{period}: {last:?}");
        }
    }

    #[test]
    fn what_is_counted_is_about_what_deflate_saves() {
        let share = |bytes: &[u8]| {
            let deflated = Codec::GZIP.compress(bytes).unwrap().len();
            bytes.len().saturating_sub(deflated) * 1000 / bytes.len()
        };
        let noise = noise(64 << 10);
        // So many bytes of a thousand that were there before.
        for (length, every) in
            [(5, 400), (8, 400), (20, 1000), (40, 1000), (200, 1000), (500, 1000)]
        {
            let mut bytes = noise.clone();
            for at in (2000..bytes.len() - length).step_by(every) {
                bytes.copy_within(at - 1500..at - 1500 + length, at);
            }
            let counted = repeated(&bytes) * 1000 / bytes.len();
            assert!(counted.abs_diff(share(&bytes)) <= 16, "{length}: {counted} {}", share(&bytes));
        }
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
