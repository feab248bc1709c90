//! Sizes and resource limits as docker writes them: `64m`, `nofile=1024:2048`.

use std::str::FromStr;

use wythe_sandbox::step::{Limit, Resource};

/// A number of bytes: a decimal number and a unit of 1024, `64m`, `1.5G`, `512`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size(pub(crate) u64);

/// A resource limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ulimit(pub(crate) Limit);

/// Why a text is neither.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LimitError {
    #[error("{0:?} is not a limit, such as nofile=1024:2048")]
    Form(String),
    #[error("the soft limit is above the hard limit")]
    Order,
    #[error("{0:?} is not a size, such as 64m")]
    Size(String),
    #[error("{0:?} is not a resource, such as nofile or nproc")]
    Resource(String),
}

impl FromStr for Size {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || LimitError::Size(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.find(|char: char| !char.is_ascii_digit() && char != '.');
        let (number, unit) = lower.split_at(digits.unwrap_or(lower.len()));
        let shift = match unit.trim() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(bad()),
        };
        scaled(number, shift).map(Self).ok_or_else(bad)
    }
}

/// `number << shift` for a decimal number with at most nine digits after the point.
fn scaled(number: &str, shift: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u128 = whole.parse::<u64>().ok()?.into();
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let fraction: u128 = fraction.parse::<u64>().ok()?.into();
    let bytes = (whole << shift) + (fraction << shift) / 10_u128.pow(digits);
    bytes.try_into().ok()
}

impl FromStr for Ulimit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || LimitError::Form(text.to_owned());
        let (name, limits) = text.split_once('=').ok_or_else(bad)?;
        let unknown = || LimitError::Resource(name.to_owned());
        let resource = Resource::parse(name).ok_or_else(unknown)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let soft = limit(soft).ok_or_else(bad)?;
        let hard = limit(hard).ok_or_else(bad)?;
        if soft <= hard { Ok(Self(Limit { resource, soft, hard })) } else { Err(LimitError::Order) }
    }
}

/// A number; -1 is no limit.
fn limit(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn size(text: &str, expected: u64) {
        assert_eq!(text.parse(), Ok(Size(expected)), "{text}");
    }

    #[test]
    fn units_are_powers_of_1024() {
        size("512", 512);
        size("64m", 64 << 20);
        size("64MB", 64 << 20);
        size("1.5g", 3 << 29);
    }

    #[test]
    fn nonsense_and_overflow_are_refused() {
        for bad in ["", "m", "-1", "1x", "99999999999t", "1.0000000001g"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_number_is_both_limits_and_minus_one_is_none() {
        let parse =
            |text: &str| text.parse::<Ulimit>().map(|Ulimit(limit)| (limit.soft, limit.hard));
        assert_eq!(parse("nofile=1024"), Ok((1024, 1024)));
        assert_eq!(parse("nofile=1024:-1"), Ok((1024, u64::MAX)));
        assert_eq!(parse("nofile=2:1"), Err(LimitError::Order));
        assert_eq!(parse("files=1"), Err(LimitError::Resource("files".to_owned())));
        assert_eq!(parse("nofile"), Err(LimitError::Form("nofile".to_owned())));
    }
}
