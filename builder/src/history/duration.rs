//! Durations as Go prints them.

use std::fmt;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Nanoseconds that print as `1m30s`, `1.5s` or `500ms`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Duration(
    /// The nanoseconds.
    pub i64,
);

impl fmt::Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            out.write_str("-")?;
        }
        match self.0.unsigned_abs() {
            0 => out.write_str("0s"),
            nanos @ ..MICRO => write!(out, "{nanos}ns"),
            nanos @ ..MILLI => write!(out, "{}µs", Decimal(nanos, MICRO)),
            nanos @ ..SECOND => write!(out, "{}ms", Decimal(nanos, MILLI)),
            nanos => clock(nanos, out),
        }
    }
}

fn clock(nanos: u64, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let minutes = nanos / (60 * SECOND);
    if minutes >= 60 {
        write!(out, "{}h", minutes / 60)?;
    }
    if minutes > 0 {
        write!(out, "{}m", minutes % 60)?;
    }
    write!(out, "{}s", Decimal(nanos % (60 * SECOND), SECOND))
}

/// A number of units, with as many decimals as it needs.
struct Decimal(u64, u64);

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(nanos, unit) = *self;
        write!(out, "{}", nanos / unit)?;
        let width = unit.ilog10() as usize;
        let digits = format!("{:0width$}", nanos % unit);
        match digits.trim_end_matches('0') {
            "" => Ok(()),
            digits => write!(out, ".{digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_its_unit() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(Duration(nanos).to_string(), expected);
        }
    }
}
