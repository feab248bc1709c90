//! Which times of files prove nothing about a change after them (git calls such entries racily clean).
//!
//! A file that changes twice within one step of the clock its times are taken from has the same times
//! afterwards. Who reads it in between, and remembers its times, would take the second change for none.

use crate::timestamp::Timestamp;

/// How exact times are on file systems of which nothing is known: some keep even seconds, some the
/// seconds of another machine.
const COARSE_SECONDS: i64 = 2;

/// The times that prove nothing to a scan: those from about its beginning on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Racy {
    /// The first second of them.
    second: i64,
    /// The first moment of them, on a device that keeps times as exact as the clock gives them.
    exact: Option<(u64, Timestamp)>,
}

impl Racy {
    /// For a scan that begins at `scan`.
    pub fn of_scan(scan: Timestamp) -> Self {
        Self { second: scan.seconds - COARSE_SECONDS, exact: None }
    }

    /// The same, when it is known what a change on a `device` got as its time no later than the scan
    /// began: all that happens from then on has that time or a later one. The device has to
    /// be one of this machine, and to keep nanoseconds; a time without any counts as if it did not.
    #[must_use]
    pub fn with_stamp(self, device: u64, stamp: Timestamp) -> Self {
        Self { exact: Some((device, stamp)), ..self }
    }

    /// Whether another change may have followed that left this time as it is.
    pub fn covers(&self, device: u64, time: Timestamp) -> bool {
        match self.exact {
            Some((exact, stamp)) if exact == device && time.nanos != 0 => time >= stamp,
            _ => time.seconds >= self.second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_proves_something_where_it_is_before_any_that_follow() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        let coarse = Racy::of_scan(at(100, 500));
        let exact = coarse.with_stamp(7, at(100, 400));
        for (time, on_another, on_the_device) in [
            (at(97, 999), false, false),
            (at(98, 1), true, false),
            (at(100, 399), true, false),
            (at(100, 400), true, true),
            (at(101, 1), true, true),
            (at(97, 0), false, false),
            (at(99, 0), true, true),
        ] {
            assert_eq!(coarse.covers(7, time), on_another, "{time:?}");
            assert_eq!(exact.covers(8, time), on_another, "{time:?}");
            assert_eq!(exact.covers(7, time), on_the_device, "{time:?}");
        }
    }
}
