//! Sizes as Compose writes them.

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// The bytes of `64m`, `1.5gb`, `1024`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim();
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let size = number * 1024_f64.powi(power);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "not negative, and checked against the largest"
    )]
    if size < u64::MAX as f64 { Some(size as u64) } else { None }
}

/// Bytes with four digits and a unit, as `64MiB`.
pub(super) fn human(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let whole = size.trunc().to_string().len();
    let digits = format!("{size:.*}", 4_usize.saturating_sub(whole));
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        &digits
    };
    format!("{digits}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, written) in [
            ("64m", "64MiB"),
            ("1.5gb", "1.5GiB"),
            ("1024", "1KiB"),
            ("100kb", "100KiB"),
            ("5", "5B"),
        ] {
            assert_eq!(bytes(text).map(human).as_deref(), Some(written), "{text}");
        }
        assert_eq!(bytes("x"), None);
        assert_eq!(bytes("1z"), None);
    }
}
