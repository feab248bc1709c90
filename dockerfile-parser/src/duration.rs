//! Durations as Go writes them: `1h2m3.5s`.

/// The shortest time a health check may ask for, in nanoseconds; runtimes refuse less.
const SHORTEST: i64 = 1_000_000;

/// A duration in nanoseconds, or one sentence of what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(format!("invalid duration {text:?}"));
    }
    let mut total: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let Some(digits) = digits else {
            return Err(format!("missing unit in duration {text:?}"));
        };
        let number: f64 =
            rest[..digits].parse().map_err(|_| format!("invalid duration {text:?}"))?;
        let (factor, length) =
            unit(&rest[digits..]).ok_or_else(|| format!("unknown unit in duration {text:?}"))?;
        total += number * factor;
        rest = &rest[digits + length..];
    }
    if text.starts_with('-') {
        Err(format!("{text:?} cannot be less than 1ms"))
    } else {
        whole(total)
    }
}

fn whole(nanoseconds: f64) -> Result<i64, String> {
    // 2^63 nanoseconds are 292 years.
    if nanoseconds >= 9.2e18 {
        return Err("the duration is longer than 292 years".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked against the range just above")]
    let value = nanoseconds.round() as i64;
    if value != 0 && value < SHORTEST {
        return Err("the duration cannot be less than 1ms".to_owned());
    }
    Ok(value)
}

fn unit(text: &str) -> Option<(f64, usize)> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("μs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 6e10),
        ("h", 3.6e12),
    ];
    let found = UNITS.iter().find(|(name, _)| text.starts_with(name))?;
    Some((found.1, found.0.len()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn go_durations_are_read() {
        assert_eq!(parse("1h2m3.5s"), Ok(3_723_500_000_000));
        assert_eq!(parse("5s"), Ok(5_000_000_000));
        assert_eq!(parse("1ms"), Ok(1_000_000));
        assert_eq!(parse("0"), Ok(0));
    }

    #[test]
    fn a_number_needs_a_unit() {
        assert!(parse("5").unwrap_err().contains("missing unit"));
        for bad in ["", "s", "5x", "1us", "-5s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
