//! Numbers as headers spell them.

use crate::layer::tar_read::error::TarCause;

/// A text field, up to its first NUL.
pub(super) fn field(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits among spaces and NULs; what follows a NUL behind them is rubbish that old writers
/// left. An empty field is zero.
pub(super) fn octal(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|byte| !matches!(byte, 0 | b' ')).unwrap_or(bytes.len());
    field(&bytes[start..]).trim_ascii_end().iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => Some(value.checked_mul(8)? + u64::from(digit - b'0')),
        _ => None,
    })
}

/// A number that cannot be negative.
pub(super) fn positive(bytes: &[u8], what: &'static str) -> Result<u64, TarCause> {
    u64::try_from(signed(bytes, what)?).map_err(|_| TarCause::Number(what))
}

/// Octal, or GNU's big-endian form marked by the high bit.
pub(super) fn signed(bytes: &[u8], what: &'static str) -> Result<i64, TarCause> {
    let bad = || TarCause::Number(what);
    if bytes[0] & 0x80 == 0 {
        return octal(bytes).and_then(|value| i64::try_from(value).ok()).ok_or_else(bad);
    }
    let negative = bytes[0] & 0x40 != 0;
    let first = i128::from(bytes[0] & 0x3f) - if negative { 0x40 } else { 0 };
    let value = bytes[1..].iter().try_fold(first, |value, byte| {
        value.checked_mul(256).map(|value| value + i128::from(*byte))
    });
    value.and_then(|value| i64::try_from(value).ok()).ok_or_else(bad)
}

/// Decimal digits and nothing else.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields_are_padded_in_every_way_that_writers_pad_them() {
        for text in
            ["0000644\0", "  644 \0 ", "644\0\0\0\0\0", "\0\0\0 644\0", "644\0junk", "00000644"]
        {
            assert_eq!(octal(text.as_bytes()), Some(0o644), "{text:?}");
        }
        for text in ["\0\0\0\0\0\0\0\0", "        ", "0\0"] {
            assert_eq!(octal(text.as_bytes()), Some(0), "{text:?}");
        }
        for text in ["64 4\0", "0000688\0", "-000001\0", "+000001\0", "12x\0"] {
            assert_eq!(octal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_that_octal_cannot_say_are_in_base_256() {
        let of = |head: &[u8], last: u8| {
            let mut bytes = [if head[0] & 0x40 == 0 { 0 } else { 0xff }; 12];
            bytes[..head.len()].copy_from_slice(head);
            bytes[11] = last;
            signed(&bytes, "size")
        };
        assert_eq!(of(&[0x80], 7).unwrap(), 7);
        assert_eq!(of(&[0xff], 0xff).unwrap(), -1);
        assert_eq!(of(&[0x80, 0, 0, 0, 0x7f], 0).unwrap(), 0x7f << 56);
        assert!(of(&[0x80, 0, 0, 1], 0).is_err());
        assert!(positive(&[0xff; 12], "size").is_err());
    }
}
