//! Budgets: how much a store may take, in the terms of BuildKit.

use std::io;

use rustix::fs::statvfs;

use crate::store::Store;
use crate::timestamp::Timestamp;

/// How much a store may take. The default bounds nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Budget {
    /// The most bytes the store may take.
    pub max_used: Option<u64>,
    /// So many bytes may stay whatever the other bounds say.
    pub reserved: u64,
    /// So many bytes of the file system are to be left free.
    pub min_free: u64,
    /// What was used within so many seconds stays.
    pub keep_for: u64,
}

/// The file system that a store lies on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Its size in bytes.
    pub size: u64,
    /// The bytes of it that are free for us.
    pub free: u64,
}

impl Budget {
    /// What a store may take of a file system unless somebody says otherwise: a fifth of it and not
    /// more than [`DEFAULT_MOST`]; a tenth is left free, but for a tenth and [`DEFAULT_RESERVED`] that
    /// stay however full the disk is of other things: a store that loses after each build what it has
    /// just made is of no use to the next one.
    pub fn of(space: Space) -> Self {
        let max_used = Some((space.size / 5).min(DEFAULT_MOST));
        let reserved = (space.size / 10).min(DEFAULT_RESERVED);
        Self { max_used, reserved, min_free: space.size / 10, ..Self::default() }
    }

    /// How many of the `used` bytes may stay; `None` where nothing is bounded, and the age of things
    /// decides alone.
    pub fn allowance(&self, used: u64, space: Space) -> Option<u64> {
        if self.max_used.is_none() && self.reserved == 0 && self.min_free == 0 {
            return None;
        }
        let most = self.max_used.unwrap_or(if self.min_free > 0 { u64::MAX } else { 0 });
        let missing = self.min_free.saturating_sub(space.free);
        let left = if missing > 0 { used.saturating_sub(missing) } else { u64::MAX };
        Some(most.min(left).max(self.reserved))
    }

    /// Whether something may go that was used last at `last`.
    pub(crate) fn lets_go(&self, last: Timestamp, now: Timestamp) -> bool {
        self.keep_for == 0 || age(last, now) > self.keep_for
    }
}

/// Larger stores than this have to be asked for: a developer's machine is for other things, too.
pub const DEFAULT_MOST: u64 = 50_000_000_000;

/// Nobody's disk becomes usable by what a store smaller than this gives back: BuildKit's number.
pub const DEFAULT_RESERVED: u64 = 10_000_000_000;

/// Seconds since `last`, at least one. What seems to be used in the future was used now.
pub(crate) fn age(last: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.seconds.saturating_sub(last.seconds)).unwrap_or(0).max(1)
}

impl Store {
    /// The file system that the store lies on.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn space(&self) -> io::Result<Space> {
        let disk = statvfs(self.path())?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Space { size: bytes(disk.f_blocks), free: bytes(disk.f_bavail) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space { size: 1000, free: 100 };

    #[track_caller]
    fn check(budget: Budget, used: u64, expected: Option<u64>) {
        assert_eq!(budget.allowance(used, SPACE), expected, "{budget:?}");
    }

    #[test]
    fn bounds_work_together_as_those_of_buildkit() {
        let none = Budget::default();
        check(none, 500, None);
        check(Budget { keep_for: 9, ..none }, 500, None);
        check(Budget { max_used: Some(300), ..none }, 500, Some(300));
        check(Budget { reserved: 200, ..none }, 500, Some(200));
        check(Budget { min_free: 100, ..none }, 500, Some(u64::MAX));
        check(Budget { min_free: 150, ..none }, 500, Some(450));
        check(Budget { min_free: 900, reserved: 200, ..none }, 500, Some(200));
        check(Budget { max_used: Some(300), min_free: 350, ..none }, 500, Some(250));
        check(Budget { max_used: Some(0), ..none }, 500, Some(0));
    }

    #[test]
    fn without_a_word_a_fifth_of_a_disk_is_taken_and_a_tenth_left() {
        let expected =
            Budget { max_used: Some(200), reserved: 100, min_free: 100, ..Budget::default() };
        assert_eq!(Budget::of(SPACE), expected);
        let large = Budget::of(Space { size: 10 * DEFAULT_MOST, free: 0 });
        assert_eq!((large.max_used, large.reserved), (Some(DEFAULT_MOST), DEFAULT_RESERVED));
    }

    #[test]
    fn a_disk_that_others_have_filled_takes_nothing_from_a_small_store() {
        let full = Space { size: 1000, free: 0 };
        assert_eq!(Budget::of(full).allowance(80, full), Some(100));
    }

    #[test]
    fn what_was_used_lately_or_in_the_future_stays() {
        let (at, budget) = (Timestamp::from_seconds, Budget { keep_for: 10, ..Budget::default() });
        assert!(budget.lets_go(at(0), at(11)));
        assert!(!budget.lets_go(at(0), at(10)) && !budget.lets_go(at(50), at(10)));
        assert!(Budget::default().lets_go(at(50), at(10)));
    }
}
