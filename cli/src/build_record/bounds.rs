//! How many records of builds are kept: by number, age and bytes.

use std::str::FromStr;
use std::time::Duration;

use crate::args::budget::Age;
use crate::args::limits::Size;

/// As many builds as somebody may still want to compare: more than a day of a busy machine.
const MOST_BUILDS: usize = 200;

/// As long as a build is remembered by who waited for it.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// As much of a disk as nobody misses, in bytes.
const MOST_BYTES: u64 = 256 << 20;

/// What is kept of past builds. No builds, and no records are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct HistoryBounds {
    pub(crate) builds: usize,
    /// Nothing goes for its age where this is zero.
    pub(crate) age: Duration,
    /// Nothing goes for its size where this is zero.
    pub(crate) bytes: u64,
}

/// A number of bytes as it is written: `256MB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Volume(pub(crate) u64);

/// What one source says of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct HistoryTable {
    pub(crate) max_builds: Option<usize>,
    pub(crate) keep_for: Option<Age>,
    pub(crate) max_used: Option<Volume>,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { builds: MOST_BUILDS, age: LONGEST, bytes: MOST_BYTES }
    }
}

impl HistoryTable {
    /// This, and where it says nothing, the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            max_builds: self.max_builds.or(other.max_builds),
            keep_for: self.keep_for.or(other.keep_for),
            max_used: self.max_used.or(other.max_used),
        }
    }

    /// The names of the bounds, as the configuration file has them.
    pub(crate) const NAMES: [&str; 3] = ["max-builds", "keep-duration", "max-used-space"];

    /// Sets the bound of a name.
    ///
    /// # Errors
    ///
    /// If the value makes no sense.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "max-builds" => {
                let number = value.parse().map_err(|_| format!("{value:?} is no number"))?;
                self.max_builds = Some(number);
            }
            "keep-duration" => self.keep_for = Some(value.parse()?),
            _ => self.max_used = Some(value.parse()?),
        }
        Ok(())
    }

    /// The bounds; the usual ones where nothing is said.
    pub(crate) fn bounds(self) -> HistoryBounds {
        let usual = HistoryBounds::default();
        HistoryBounds {
            builds: self.max_builds.unwrap_or(usual.builds),
            age: self.keep_for.map_or(usual.age, |age| Duration::from_secs(age.0)),
            bytes: self.max_used.map_or(usual.bytes, |volume| volume.0),
        }
    }
}

impl FromStr for Volume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = text.parse().map_err(|_| format!("{text:?} is no size such as 256MB"));
        size.map(|Size(bytes)| Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_says_is_as_usual() {
        let own = HistoryTable { max_builds: Some(0), ..HistoryTable::default() };
        let machine = HistoryTable {
            max_builds: Some(7),
            keep_for: Some(Age(60)),
            max_used: Some(Volume(100)),
        };
        let expected = HistoryBounds { builds: 0, age: Duration::from_mins(1), bytes: 100 };
        assert_eq!(own.or(machine).bounds(), expected);
        assert_eq!(HistoryTable::default().bounds(), HistoryBounds::default());
    }
}
