//! Durations and sizes for people.

use std::fmt;
use std::time::Duration;

/// A number of bytes, shown with three digits and a unit of 1000: `1.23GB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut thousandths = u128::from(self.0) * 1000;
        while thousandths >= 999_500 && unit + 1 < UNITS.len() {
            thousandths /= 1000;
            unit += 1;
        }
        let (whole, rest) = (thousandths / 1000, thousandths % 1000);
        let text = match (unit, whole) {
            (0, _) => format!("{whole}B"),
            (_, 0..=9) => format!("{whole}.{:02}{}", rest / 10, UNITS[unit]),
            (_, 10..=99) => format!("{whole}.{}{}", rest / 100, UNITS[unit]),
            _ => format!("{whole}{}", UNITS[unit]),
        };
        out.pad(&text)
    }
}

const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// A duration: `0.3s`, `12.0s`, `2m05s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed(pub(crate) Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0..=59 => format!("{seconds}.{}s", self.0.subsec_millis() / 100),
            60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        };
        out.pad(&text)
    }
}

/// How long ago something was, in docker's words: `2 hours`, `About a minute`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        let text = match (seconds, minutes, hours) {
            (0, ..) => "Less than a second".to_owned(),
            (1, ..) => "1 second".to_owned(),
            (2..60, ..) => format!("{seconds} seconds"),
            (_, 1, _) => "About a minute".to_owned(),
            (_, 2..60, _) => format!("{minutes} minutes"),
            (_, _, 1) => "About an hour".to_owned(),
            (_, _, 2..48) => format!("{hours} hours"),
            (_, _, 48..336) => format!("{} days", hours / 24),
            (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
            (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        };
        out.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let text = |bytes| Bytes(bytes).to_string();
        assert_eq!([text(0), text(999), text(1000)], ["0B", "999B", "1.00kB"]);
        assert_eq!([text(12_345), text(123_456)], ["12.3kB", "123kB"]);
        assert_eq!(text(1_234_567_890), "1.23GB");
    }

    #[test]
    fn long_durations_lose_their_fraction() {
        let text = |millis| Elapsed(Duration::from_millis(millis)).to_string();
        assert_eq!([text(340), text(12_040), text(125_000)], ["0.3s", "12.0s", "2m05s"]);
        assert_eq!(text(3_725_000), "1h02m");
    }

    #[test]
    fn ages_are_told_in_dockers_words() {
        let text = |seconds| Age(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [text(0), text(59), text(119)],
            ["Less than a second", "59 seconds", "About a minute"]
        );
        assert_eq!([text(7199), text(7200), text(172_800)], ["About an hour", "2 hours", "2 days"]);
        assert_eq!([text(1_209_600), text(5_184_000)], ["2 weeks", "2 months"]);
        assert_eq!(text(63_072_000), "2 years");
    }
}
