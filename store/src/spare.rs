//! Long buffers, kept for whoever needs one next: memory that was given back costs a fault for each of its pages when it
//! is had anew, which is as much as reading what is put into it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is shorter is had from the allocator, which keeps it as well.
pub(crate) const SHORTEST: usize = 64 << 10;
/// What is longer is not kept: no part of a layer is, and no file that is read as a whole.
const LONGEST: usize = 8 << 20;
/// What is kept at most: a part of a layer at its longest and what it becomes, for two threads. Where there are more
/// threads these have more, and some of it comes anew.
const KEPT: usize = 32 << 20;

/// Between threads: those that compress parts are not those that write them.
static SPARE: Mutex<Spare> = Mutex::new(Spare { buffers: Vec::new(), bytes: 0 });

/// A buffer of so many bytes, whatever these are.
pub(crate) fn take(length: usize) -> Vec<u8> {
    // The allocator knows of fresh memory that it is zero.
    let Some(mut buffer) = kept(length) else { return vec![0; length] };
    buffer.resize(length, 0);
    buffer
}

/// An empty buffer with room for so many bytes.
pub(crate) fn with_room(length: usize) -> Vec<u8> {
    let Some(mut buffer) = kept(length) else { return Vec::with_capacity(length) };
    buffer.clear();
    buffer
}

/// Keeps a buffer for what is done next, if it is one of a length that is kept.
pub(crate) fn give(buffer: Vec<u8>) {
    if SHORTEST <= buffer.capacity() {
        spare().give(buffer);
    }
}

/// A buffer with room for so many bytes, with whatever is in it, where they are a number for which some are kept.
fn kept(length: usize) -> Option<Vec<u8>> {
    let capacity = capacity(length)?;
    let kept = spare().take(capacity);
    Some(kept.unwrap_or_else(|| Vec::with_capacity(capacity)))
}

/// How much room there is in a buffer that is kept, which takes so many bytes.
fn capacity(length: usize) -> Option<usize> {
    (SHORTEST / 2 < length && length <= LONGEST).then(|| length.next_power_of_two())
}

/// Nothing panics while it is held.
fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Buffers whose capacities are powers of two: each is handed out for what takes more than half of it.
struct Spare {
    buffers: Vec<Vec<u8>>,
    /// The capacities of all.
    bytes: usize,
}

impl Spare {
    /// That of this capacity that was given last: most of it is in the processor's caches.
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let at = self.buffers.iter().rposition(|buffer| buffer.capacity() == capacity)?;
        self.bytes -= capacity;
        Some(self.buffers.remove(at))
    }

    fn give(&mut self, buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !capacity.is_power_of_two() || LONGEST < capacity {
            return;
        }
        self.bytes += capacity;
        self.buffers.push(buffer);
        // What nobody takes makes room for what somebody will.
        while KEPT < self.bytes {
            self.bytes -= self.buffers.remove(0).capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_as_long_as_was_asked_for_whatever_it_was_before() {
        for length in [0, 1, SHORTEST / 2, SHORTEST, SHORTEST + 1, LONGEST, LONGEST + 1, 9] {
            let mut buffer = take(length);
            assert_eq!(buffer.len(), length);
            buffer.resize(length / 2, 1);
            give(buffer);
            let empty = with_room(length);
            assert!(empty.is_empty() && length <= empty.capacity());
        }
    }

    #[test]
    fn a_buffer_is_kept_for_what_takes_more_than_half_of_it() {
        let capacities = [SHORTEST / 2, SHORTEST / 2 + 1, SHORTEST, SHORTEST + 1, LONGEST];
        let expected = [None, Some(SHORTEST), Some(SHORTEST), Some(2 * SHORTEST), Some(LONGEST)];
        assert_eq!(capacities.map(capacity), expected);
        let mut spare = Spare { buffers: Vec::new(), bytes: 0 };
        spare.give(vec![7; 2 * SHORTEST]);
        assert_eq!(spare.take(SHORTEST), None);
        assert_eq!(spare.take(2 * SHORTEST), Some(vec![7; 2 * SHORTEST]));
        assert_eq!(spare.take(2 * SHORTEST), None);
    }

    #[test]
    fn no_more_is_kept_than_that_and_nothing_of_another_length() {
        let mut spare = Spare { buffers: Vec::new(), bytes: 0 };
        spare.give(Vec::with_capacity(SHORTEST + 1));
        spare.give(Vec::with_capacity(2 * LONGEST));
        assert_eq!(spare.bytes, 0);
        for _ in 0..=KEPT / LONGEST {
            spare.give(Vec::with_capacity(LONGEST));
        }
        assert_eq!((spare.bytes, spare.buffers.len()), (KEPT, KEPT / LONGEST));
    }
}
