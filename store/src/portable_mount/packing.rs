//! Which parts of a cache mount stay in the packs that a cache has, and which go into new ones.
//!
//! A pack is never changed. One of which less than half still counts is not kept, and its rest is sent anew; nor
//! are small ones once they are several. So a cache keeps at most about twice what a mount holds, in
//! a number of packs that does not grow with the number of times it was saved.

use std::collections::HashMap;

use super::document::{Part, Piece};
use crate::cache_mount::state::PackedPiece;
use crate::id::BodyId;
use crate::oci::descriptor::Descriptor;

/// How many bytes a new pack has, before it is compressed: a few requests a second fill any line.
const PACK: u64 = 16 << 20;
/// How many packs of that size a mount may have before packs become longer: a record names them all.
const PACKS: u64 = 512;
/// So many small packs are kept.
const SMALL_PACKS: usize = 8;

/// A pack that a cache has, and the parts in it.
#[derive(Clone, Debug)]
pub(crate) struct OldPack {
    pub(crate) blob: Descriptor,
    /// What each piece is, where that is known, and how long.
    pub(crate) pieces: Vec<PackedPiece>,
}

/// Where the parts of a mount are to be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Packing {
    /// Packs that stay, and what they mean now.
    pub(crate) kept: Vec<(Descriptor, Vec<Piece>)>,
    /// New packs, as numbers of parts.
    pub(crate) new: Vec<Vec<usize>>,
}

/// Plans the packs of `parts` on those of an earlier time.
pub(crate) fn pack(parts: &[Part], old: Vec<OldPack>) -> Packing {
    let mut open: HashMap<BodyId, usize> =
        parts.iter().enumerate().map(|(number, part)| (part.id, number)).collect();
    let total: u64 = parts.iter().map(|part| part.length).sum();
    let size = PACK.max(total / PACKS);
    let mut kept: Vec<(Descriptor, Vec<Piece>)> = Vec::new();
    for OldPack { blob, pieces } in old {
        let piece = |(id, length): &(Option<BodyId>, u64)| Piece {
            length: *length,
            part: id.and_then(|id| open.get(&id).copied()),
        };
        let pieces: Vec<Piece> = pieces.iter().map(piece).collect();
        if length(&pieces) <= 2 * needed(&pieces) {
            for part in pieces.iter().filter_map(|piece| piece.part) {
                open.remove(&parts[part].id);
            }
            kept.push((blob, pieces));
        }
    }
    let is_small = |pieces: &[Piece]| length(pieces) < size / 2;
    if kept.iter().filter(|(_, pieces)| is_small(pieces)).count() > SMALL_PACKS {
        for (_, pieces) in kept.extract_if(.., |(_, pieces)| is_small(pieces)) {
            let needed = pieces.iter().filter_map(|piece| piece.part);
            open.extend(needed.map(|part| (parts[part].id, part)));
        }
    }
    let mut open: Vec<usize> = open.into_values().collect();
    open.sort_unstable();
    Packing { kept, new: fill(parts, open, size) }
}

/// Packs of about this size, in the order of the parts.
fn fill(parts: &[Part], open: Vec<usize>, size: u64) -> Vec<Vec<usize>> {
    let (mut packs, mut held): (Vec<Vec<usize>>, u64) = (Vec::new(), size);
    for part in open {
        if size <= held {
            packs.push(Vec::new());
            held = 0;
        }
        held += parts[part].length;
        packs.last_mut().expect("one was begun").push(part);
    }
    packs
}

fn length(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.length).sum()
}

fn needed(pieces: &[Piece]) -> u64 {
    pieces.iter().filter(|piece| piece.part.is_some()).map(|piece| piece.length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::media_type::MediaType;

    const MIB: u64 = 1 << 20;

    fn part(number: u64, length: u64) -> Part {
        Part { id: BodyId::of(&number.to_le_bytes()), length }
    }

    fn parts(numbers: std::ops::Range<u64>, length: u64) -> Vec<Part> {
        numbers.map(|number| part(number, length)).collect()
    }

    fn old(name: u64, numbers: std::ops::Range<u64>, length: u64) -> OldPack {
        let pieces = numbers.map(|number| (Some(part(number, length).id), length)).collect();
        OldPack { blob: Descriptor::of(MediaType::LAYER, &name.to_le_bytes()), pieces }
    }

    #[test]
    fn what_is_new_goes_into_packs_of_a_size_in_the_order_of_the_parts() {
        let packing = pack(&parts(0..40, MIB), Vec::new());
        let expected: Vec<Vec<usize>> = [0..16, 16..32, 32..40].map(Iterator::collect).into();
        assert_eq!((packing.kept.len(), packing.new), (0, expected));
    }

    #[test]
    fn only_what_changed_goes_into_a_new_pack() {
        let packing = pack(&parts(2..33, MIB), vec![old(0, 0..16, MIB), old(1, 16..32, MIB)]);
        assert_eq!(packing.new, [[30]]);
        let meant: Vec<Option<usize>> =
            packing.kept[0].1.iter().map(|piece| piece.part).take(4).collect();
        assert_eq!(meant, [None, None, Some(0), Some(1)]);
        let same = pack(&parts(0..32, MIB), vec![old(0, 0..16, MIB), old(1, 16..32, MIB)]);
        assert_eq!((same.kept.len(), same.new.len()), (2, 0));
    }

    #[test]
    fn a_pack_of_which_most_is_of_no_use_any_more_is_given_up() {
        for (from, kept) in [(8, 1), (9, 0)] {
            let packing = pack(&parts(from..16, MIB), vec![old(0, 0..16, MIB)]);
            assert_eq!((packing.kept.len(), packing.new.len()), (kept, 1 - kept), "{from}");
        }
    }

    #[test]
    fn small_packs_become_one_when_they_are_many() {
        let small = |count: u64| (0..count).map(|n| old(n, n..n + 1, MIB)).collect();
        let few = pack(&parts(0..8, MIB), small(8));
        assert_eq!((few.kept.len(), few.new.len()), (8, 0));
        let many = pack(&parts(0..9, MIB), small(9));
        assert_eq!((many.kept.len(), many.new), (0, vec![(0..9).collect::<Vec<_>>()]));
    }

    #[test]
    fn of_the_longest_mounts_a_record_can_still_name_all_packs() {
        let packing = pack(&parts(0..20_000, 4 * MIB), Vec::new());
        assert!(packing.new.len() as u64 <= PACKS + 1, "{}", packing.new.len());
        assert!((PACKS + 1) * 2 * 100 < crate::portable_action::MAX_RECORD as u64);
    }
}
