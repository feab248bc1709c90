//! Bounds of the store as they are written: `20GB`, `10%`, `48h`.

use std::str::FromStr;

use wythe_store::gc::budget::{Budget, Space};

use crate::args::limits::Size;

/// A part of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the disk.
    Percent(u64),
}

/// A time that has passed, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Age(pub(crate) u64);

/// What a collection is to spare: `until=24h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PruneFilter(pub(crate) Age);

/// Bounds of one source; what is not said there is left to others. Nothing is bounded by a zero.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) max_used: Option<Amount>,
    pub(crate) reserved: Option<Amount>,
    pub(crate) min_free: Option<Amount>,
    pub(crate) keep_for: Option<Age>,
}

impl Bounds {
    /// The names of the bounds, as flags have them.
    pub(crate) const NAMES: [&str; 4] =
        ["max-used-space", "reserved-space", "min-free-space", "keep-duration"];

    /// Sets the bound of a name; `false` where there is none of it.
    ///
    /// # Errors
    ///
    /// If the value makes no sense.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "max-used-space" => self.max_used = Some(value.parse()?),
            "reserved-space" => self.reserved = Some(value.parse()?),
            "min-free-space" => self.min_free = Some(value.parse()?),
            "keep-duration" => self.keep_for = Some(value.parse()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// These, and where they say nothing, the others.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            max_used: self.max_used.or(others.max_used),
            reserved: self.reserved.or(others.reserved),
            min_free: self.min_free.or(others.min_free),
            keep_for: self.keep_for.or(others.keep_for),
        }
    }

    /// The budget for a store on a disk, where `default` bounds what these do not.
    pub(crate) fn budget(self, space: Space, default: Budget) -> Budget {
        let bytes = |amount: Amount| amount.of(space);
        let most = self.max_used.map(bytes);
        // What stays by default is not more than somebody says may be taken.
        let reserved = default.reserved.min(most.unwrap_or(u64::MAX));
        Budget {
            max_used: match most {
                None => default.max_used,
                Some(0) => None,
                most => most,
            },
            reserved: self.reserved.map_or(reserved, bytes),
            min_free: self.min_free.map_or(default.min_free, bytes),
            keep_for: self.keep_for.map_or(default.keep_for, |age| age.0),
        }
    }
}

impl Amount {
    fn of(self, space: Space) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => space.size / 100 * percent,
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("{text:?} is neither a size (20GB) nor a part of the disk (10%)");
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| *percent <= 100);
                percent.map(Self::Percent).ok_or_else(bad)
            }
            None => text.parse().map(|Size(bytes)| Self::Bytes(bytes)).map_err(|_| bad()),
        }
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("{text:?} is no duration such as 24h or 1h30m");
        let (mut seconds, mut rest) = (0_u64, text);
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let mut letters = after.chars();
            let unit = match letters.next() {
                Some('s') => 1,
                Some('m') => 60,
                Some('h') => 3600,
                Some('d') => 86_400,
                None if number == "0" && text == "0" => 0,
                _ => return Err(bad()),
            };
            let number: u64 = number.parse().map_err(|_| bad())?;
            let part = number.checked_mul(unit).ok_or_else(bad)?;
            seconds = seconds.checked_add(part).ok_or_else(bad)?;
            rest = letters.as_str();
        }
        if text.is_empty() { Err(bad()) } else { Ok(Self(seconds)) }
    }
}

impl FromStr for PruneFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("until", age)) => age.parse().map(Self),
            Some((key, _)) => Err(format!("there is no filter {key:?}, only until=AGE")),
            None => Err(format!("{text:?} is no filter such as until=24h")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_sizes_or_parts_of_the_disk() {
        let space = Space { size: 1000, free: 0 };
        let of = |text: &str| text.parse::<Amount>().map(|amount| amount.of(space));
        assert_eq!([of("2k"), of("10%"), of("0")], [Ok(2048), Ok(100), Ok(0)]);
        for bad in ["", "%", "101%", "-1%", "1.5%", "x"] {
            assert!(of(bad).unwrap_err().contains(&format!("{bad:?}")), "{bad}");
        }
    }

    #[test]
    fn ages_are_durations_of_go() {
        let of = |text: &str| text.parse::<Age>().map(|age| age.0);
        assert_eq!([of("24h"), of("1h30m"), of("7d"), of("0")], [86_400, 5400, 604_800, 0].map(Ok));
        for bad in ["", "h", "5", "1w", "-1h", "99999999999999999999h", "1h 2m"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_but_until_are_refused_by_name() {
        assert_eq!("until=24h".parse(), Ok(PruneFilter(Age(86_400))));
        for bad in ["label=x", "id=y", "unused-for=1h"] {
            let key = bad.split('=').next().unwrap();
            assert!(bad.parse::<PruneFilter>().unwrap_err().contains(key));
        }
        assert!("until".parse::<PruneFilter>().is_err());
    }

    #[test]
    fn a_zero_bounds_nothing_and_what_is_not_said_is_as_usual() {
        let space = Space { size: 1000, free: 0 };
        let usual = Budget::of(space);
        assert_eq!(Bounds::default().budget(space, usual), usual);
        let mut bounds = Bounds::default();
        assert_eq!(bounds.set("max-used-space", "0"), Ok(true));
        assert_eq!(bounds.set("keep-duration", "1m"), Ok(true));
        assert_eq!(bounds.set("max-used", "0"), Ok(false));
        let expected = Budget { max_used: None, reserved: 0, keep_for: 60, ..usual };
        assert_eq!(bounds.budget(space, usual), expected);
        assert_eq!(bounds.set("max-used-space", "7B"), Ok(true));
        assert_eq!(bounds.budget(space, usual).reserved, 7, "not more than may be taken");
        for name in Bounds::NAMES {
            assert!(bounds.set(name, "nonsense").is_err());
        }
    }
}
