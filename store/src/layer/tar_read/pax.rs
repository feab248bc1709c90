//! PAX extended headers.

use std::collections::BTreeMap;

use crate::layer::tar_read::error::TarCause;
use crate::layer::tar_read::number::decimal;
use crate::layer::tar_read::sparse::{Extent, listed, paired};
use crate::timestamp::Timestamp;
use crate::tree::entry::Xattrs;
use crate::tree::limits;

/// No entry needs a longer extension header.
pub(super) const SIZE_MAX: u64 = 1 << 20;
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

const SPARSE_PREFIX: &[u8] = b"GNU.sparse.";

/// The records of a header; of two for one key the later wins.
#[derive(Clone, Debug, Default)]
pub(super) struct Pax {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The one kind of record that is a list: offsets and lengths of a file with holes in turn.
    pairs: Vec<u64>,
}

/// What a header says of a file with holes.
#[derive(Clone, Debug)]
pub(super) enum Sparse {
    /// There are none.
    Not,
    /// Where its bytes go.
    Listed(Vec<Extent>),
    /// The map comes before the bytes.
    InFront,
}

impl Pax {
    /// Parses `length key=value\n` records, and nothing else.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, TarCause> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let digits = bytes.iter().position(|byte| *byte == b' ').ok_or(TarCause::Pax)?;
            let length = decimal(&bytes[..digits]).ok_or(TarCause::Pax)?;
            let length = usize::try_from(length).map_err(|_| TarCause::Pax)?;
            let (record, rest) = bytes.split_at_checked(length).ok_or(TarCause::Pax)?;
            let record = record.get(digits + 1..).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or(TarCause::Pax)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(TarCause::Pax)?;
            pax.record(&record[..equals], &record[equals + 1..])?;
            bytes = rest;
        }
        Ok(pax)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarCause> {
        let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
        if key.is_empty() || key.contains(&0) || is_text && value.contains(&0) {
            return Err(TarCause::Pax);
        }
        let turn = match key {
            b"GNU.sparse.offset" => 0,
            b"GNU.sparse.numbytes" => 1,
            _ => {
                self.records.insert(key.to_vec(), value.to_vec());
                return Ok(());
            }
        };
        if self.pairs.len() % 2 != turn {
            return Err(TarCause::Pax);
        }
        self.pairs.push(decimal(value).ok_or(TarCause::Sparse)?);
        Ok(())
    }

    /// A text; an empty value stands for what the header itself says.
    pub(super) fn text(&self, key: &str) -> Option<&Vec<u8>> {
        self.records.get(key.as_bytes()).filter(|value| !value.is_empty())
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, TarCause> {
        let number = |text: &Vec<u8>| {
            decimal(text.strip_prefix(b"+").unwrap_or(text)).ok_or(TarCause::Number(key))
        };
        self.text(key).map(number).transpose()
    }

    /// The name of a file with holes, where another stands in for it.
    pub(super) fn sparse_name(&self) -> Option<&Vec<u8>> {
        self.text("GNU.sparse.name")
    }

    /// The length of a file with holes.
    pub(super) fn sparse_size(&self) -> Result<Option<u64>, TarCause> {
        let size = self.number("GNU.sparse.size")?;
        size.map_or_else(|| self.number("GNU.sparse.realsize"), |size| Ok(Some(size)))
    }

    /// How a file with holes is stored.
    pub(super) fn sparse(&self) -> Result<Sparse, TarCause> {
        let key = |name: &str| self.text(&format!("GNU.sparse.{name}")).map(Vec::as_slice);
        match (key("major"), key("minor"), key("map")) {
            (Some(b"1"), Some(b"0"), _) => Ok(Sparse::InFront),
            (None | Some(b"0"), None | Some(b"0" | b"1"), Some(map)) => {
                listed(map).map(Sparse::Listed)
            }
            (None | Some(b"0"), None | Some(b"0" | b"1"), None) if !self.pairs.is_empty() => {
                paired(&self.pairs).map(Sparse::Listed)
            }
            (None, None, None) if key("numblocks") == Some(b"0") => Ok(Sparse::Listed(Vec::new())),
            _ if self.records.keys().any(|key| key.starts_with(SPARSE_PREFIX)) => {
                Err(TarCause::Sparse)
            }
            _ => Ok(Sparse::Not),
        }
    }

    /// A time: seconds, perhaps negative, perhaps with a fraction.
    pub(super) fn mtime(&self) -> Result<Option<Timestamp>, TarCause> {
        let Some(value) = self.text("mtime") else { return Ok(None) };
        time(value).map(Some).ok_or(TarCause::Number("mtime"))
    }

    pub(super) fn xattrs(&self) -> Result<Xattrs, TarCause> {
        let mut xattrs = Xattrs::new();
        for (key, value) in &self.records {
            let Some(name) = key.strip_prefix(XATTR_PREFIX) else { continue };
            if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
                return Err(TarCause::Overlay);
            }
            xattrs.push((name.into(), value.as_slice().into()));
        }
        limits::xattrs(&xattrs)?;
        Ok(xattrs)
    }
}

fn time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
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
    fn texts_have_no_nul_and_offsets_and_lengths_take_turns() {
        let one = |key: &str, value: &str| {
            let rest = key.len() + value.len() + 3;
            let length = rest + if rest < 9 { 1 } else { 2 };
            format!("{length} {key}={value}\n")
        };
        assert!(Pax::parse(one("path", "a\0b").as_bytes()).is_err());
        assert!(Pax::parse(one("comment", "a\0b").as_bytes()).is_ok());
        let (offset, length) = (one("GNU.sparse.offset", "1"), one("GNU.sparse.numbytes", "2"));
        assert!(Pax::parse(format!("{offset}{length}{offset}{length}").as_bytes()).is_ok());
        for bad in [format!("{length}{offset}"), format!("{offset}{offset}")] {
            assert!(Pax::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_before_the_epoch_round_down() {
        let check = |text: &str, seconds, nanos| {
            assert_eq!(time(text.as_bytes()), Some(Timestamp { seconds, nanos }), "{text}");
        };
        check("1.5", 1, 500_000_000);
        check("-1.25", -2, 750_000_000);
        check("-3", -3, 0);
        check("+3", 3, 0);
        check("3.", 3, 0);
        check("-0.5", -1, 500_000_000);
        check("7.1234567899", 7, 123_456_789);
        assert_eq!(time(b"99999999999999999999"), None);
    }
}
