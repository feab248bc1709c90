//! Which small packs are worth one larger pack.

/// Packs longer than this stay as they are: copying one costs more than it saves.
const SMALL: u64 = 32 * 1024 * 1024;

/// So few small packs are no burden.
const FEW: usize = 8;

/// A pack stays beside all smaller ones together if it is so many times as long. So each byte is
/// copied as often as its pack can grow that many times, and what is left is few packs.
const GROWTH: u64 = 2;

/// How many of these packs, whose lengths ascend, are to become one.
pub(super) fn how_many(lengths: &[u64]) -> usize {
    let (mut shorter, mut count) = (0, 0);
    for (at, length) in lengths.iter().take_while(|length| **length <= SMALL).enumerate() {
        if *length < shorter * GROWTH {
            count = at + 1;
        }
        shorter += length;
    }
    if count > FEW { count } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn equals_become_one_and_what_is_much_longer_stays() {
        assert_eq!(how_many(&[KIB; 100]), 100);
        assert_eq!(how_many(&[&[KIB; 20][..], &[40 * KIB, 130 * KIB]].concat()), 20);
        assert_eq!(how_many(&[&[KIB; 20][..], &[39 * KIB, 100 * KIB]].concat()), 22);
    }

    #[test]
    fn few_packs_and_long_packs_stay() {
        assert_eq!(how_many(&[]), 0);
        assert_eq!(how_many(&[KIB; FEW]), 0);
        assert_eq!(how_many(&[SMALL + 1; 100]), 0);
    }

    #[test]
    fn a_pack_a_commit_leaves_few_packs_and_copies_each_byte_a_few_times() {
        let (mut packs, mut copied) = (Vec::new(), 0);
        for _ in 0..5000 {
            packs.push(KIB);
            packs.sort_unstable();
            let merged: u64 = packs.drain(..how_many(&packs)).sum();
            copied += merged;
            packs.extend((merged > 0).then_some(merged));
            assert!(packs.len() <= 24, "{}", packs.len());
        }
        assert!(copied < 5000 * KIB * 12, "{copied}");
    }
}
