//! PAX extended headers.

use std::collections::BTreeMap;

use crate::layer::tar_read::error::TarCause;
use crate::timestamp::Timestamp;
use crate::tree::entry::Xattrs;

/// No entry needs a longer extension header.
pub(super) const SIZE_MAX: u64 = 1 << 20;
/// No file system stores a larger attribute.
const XATTR_MAX: usize = 64 << 10;
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// The records of a header; of two for one key the later wins.
#[derive(Clone, Debug, Default)]
pub(super) struct Pax(BTreeMap<Vec<u8>, Vec<u8>>);

impl Pax {
    /// Parses `length key=value\n` records, and nothing else.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, TarCause> {
        let mut records = BTreeMap::new();
        while !bytes.is_empty() {
            let digits = bytes.iter().position(|byte| *byte == b' ').ok_or(TarCause::Pax)?;
            let length = decimal(&bytes[..digits]).ok_or(TarCause::Pax)?;
            let length = usize::try_from(length).map_err(|_| TarCause::Pax)?;
            let (record, rest) = bytes.split_at_checked(length).ok_or(TarCause::Pax)?;
            let record = record.get(digits + 1..).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or(TarCause::Pax)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(TarCause::Pax)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() || key.contains(&0) {
                return Err(TarCause::Pax);
            }
            if key.starts_with(b"GNU.sparse.") {
                return Err(TarCause::Sparse);
            }
            records.insert(key.to_vec(), value.to_vec());
            bytes = rest;
        }
        Ok(Self(records))
    }

    /// Whether every record is one that no entry is changed by.
    pub(super) fn says_nothing_of_entries(&self) -> bool {
        self.0.keys().all(|key| matches!(&**key, b"comment" | b"charset" | b"hdrcharset"))
    }

    /// A text; an empty value stands for what the header itself says.
    pub(super) fn text(&self, key: &str) -> Result<Option<&Vec<u8>>, TarCause> {
        let value = self.0.get(key.as_bytes()).filter(|value| !value.is_empty());
        if value.is_some_and(|value| value.contains(&0)) {
            return Err(TarCause::Pax);
        }
        Ok(value)
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, TarCause> {
        let value = self.0.get(key.as_bytes()).filter(|value| !value.is_empty());
        value.map(|digits| decimal(digits).ok_or(TarCause::Number(key))).transpose()
    }

    /// A time: seconds, perhaps negative, perhaps with a fraction.
    pub(super) fn mtime(&self) -> Result<Option<Timestamp>, TarCause> {
        let Some(value) = self.0.get(&b"mtime"[..]).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        time(value).map(Some).ok_or(TarCause::Number("mtime"))
    }

    pub(super) fn xattrs(&self) -> Result<Xattrs, TarCause> {
        let mut xattrs = Xattrs::new();
        for (key, value) in &self.0 {
            let Some(name) = key.strip_prefix(XATTR_PREFIX) else { continue };
            if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
                return Err(TarCause::Overlay);
            }
            if name.is_empty() || 255 < name.len() || XATTR_MAX < value.len() {
                return Err(TarCause::Xattrs);
            }
            xattrs.push((name.into(), value.as_slice().into()));
        }
        Ok(xattrs)
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = i64::try_from(decimal(whole.as_bytes())?).ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    if sign < 0 && nanos > 0 {
        return Some(Timestamp { seconds: -whole - 1, nanos: 1_000_000_000 - nanos });
    }
    Some(Timestamp { seconds: sign * whole, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_records_are_refused() {
        for bad in ["6 a=b", "5 a=b\n", "7 a=b\n", "x a=b\n", "-6 a=b\n", "6 a b\n", "5 =b\n"] {
            assert!(Pax::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Pax::parse(b"6 a=b\n").is_ok());
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        let check = |text: &str, seconds, nanos| {
            assert_eq!(time(text.as_bytes()), Some(Timestamp { seconds, nanos }), "{text}");
        };
        check("1.5", 1, 500_000_000);
        check("-1.25", -2, 750_000_000);
        check("-3", -3, 0);
        check("7.1234567899", 7, 123_456_789);
        assert_eq!(time(b"99999999999999999999"), None);
    }
}
