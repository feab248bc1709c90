//! The values of `--mount` fields: switches, octal modes, sizes.

/// A switch; a bare key is on.
pub(super) fn switch(text: Option<&str>) -> Option<bool> {
    match text?.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

/// Permission bits in octal.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// A size in bytes: a number with a unit that counts in powers of 1024, as `64m` or `1.5GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = lower.split_at(end.unwrap_or(lower.len()));
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    scale(number, shift)
}

fn scale(number: &str, shift: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let factor = 1_u64 << shift;
    let bytes = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    // Nine digits keep the product below the limit of 128 bits.
    let digits = &fraction[..fraction.len().min(9)];
    if digits.is_empty() {
        return Some(bytes);
    }
    let part: u128 = digits.parse().ok()?;
    let unit = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    bytes.checked_add(u64::try_from(part * u128::from(factor) / unit).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_powers_of_1024() {
        let cases = [("10", 10), ("1k", 1024), ("64m", 64 << 20), ("1.5GiB", 3 << 29)];
        for (text, bytes) in cases {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "1x", "-1", "1.2.3", "99999999999p"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn modes_are_octal_with_or_without_a_leading_zero() {
        assert_eq!([mode("0700"), mode("755"), mode("0o600")], [0o700, 0o755, 0o600].map(Some));
        assert_eq!([mode("9"), mode("17777"), mode("rwx")], [None; 3]);
    }
}
