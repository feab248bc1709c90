//! The 512 bytes before an entry, and what they and the extension headers say together.

use crate::layer::tar_read::error::TarCause;
use crate::layer::tar_read::pax::Pax;
use crate::layer::tar_read::{Policy, TarEntry, TarKind};
use crate::path::{LayerPath, PATH_MAX};
use crate::timestamp::Timestamp;
use crate::tree::entry::{Device, Metadata};

/// A header block whose checksum is right.
#[derive(Clone, Debug)]
pub(super) struct Header([u8; 512]);

/// An entry with every extension applied, its names as the archive spells them.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) path: Vec<u8>,
    target: Vec<u8>,
    kind: u8,
    size: u64,
    device: Device,
    metadata: Metadata,
}

impl Header {
    /// Checks the checksum.
    pub(super) fn check(block: &[u8; 512]) -> Result<Self, TarCause> {
        let around = block[..148].iter().chain(&block[156..]);
        let sum = around.map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
        if octal(&block[148..156]) != Some(sum) {
            return Err(TarCause::Checksum);
        }
        Ok(Self(*block))
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn size(&self) -> Result<u64, TarCause> {
        positive(&self.0[124..136], "size")
    }

    /// Applies extension headers: PAX wins over GNU long names, and both over the block.
    pub(super) fn merge(
        &self,
        pax: &Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Raw, TarCause> {
        if self.kind() == b'S' {
            return Err(TarCause::Sparse);
        }
        let path = pax.text("path")?.cloned().or(long_name).unwrap_or_else(|| self.name());
        let link = pax.text("linkpath")?.cloned().or(long_link);
        let target = link.unwrap_or_else(|| field(&self.0[157..257]).to_vec());
        let id = |key, at: std::ops::Range<usize>| -> Result<u32, TarCause> {
            let value = match pax.number(key)? {
                Some(value) => value,
                None => positive(&self.0[at], key)?,
            };
            u32::try_from(value).ok().filter(|id| *id != u32::MAX).ok_or(TarCause::Number(key))
        };
        let mode = u32::try_from(positive(&self.0[100..108], "mode")? & 0o7777).unwrap_or(0);
        let mtime = match pax.mtime()? {
            Some(mtime) => mtime,
            None => Timestamp::from_seconds(signed(&self.0[136..148], "mtime")?),
        };
        let (uid, gid, xattrs) = (id("uid", 108..116)?, id("gid", 116..124)?, pax.xattrs()?);
        let size = pax.number("size")?.map_or_else(|| self.size(), Ok)?;
        let metadata = Metadata { mode, uid, gid, mtime, xattrs };
        Ok(Raw { path, target, kind: self.kind(), size, device: self.device()?, metadata })
    }

    /// The name, with the prefix where the format has one.
    fn name(&self) -> Vec<u8> {
        let (name, prefix) = (field(&self.0[..100]), field(&self.0[345..500]));
        if &self.0[257..263] == b"ustar\0" && !prefix.is_empty() {
            return [prefix, b"/", name].concat();
        }
        name.to_vec()
    }

    fn device(&self) -> Result<Device, TarCause> {
        if !matches!(self.kind(), b'3' | b'4') {
            return Ok(Device { major: 0, minor: 0 });
        }
        let number = |at: std::ops::Range<usize>| {
            let value = positive(&self.0[at], "device")?;
            u32::try_from(value).map_err(|_| TarCause::Number("device"))
        };
        Ok(Device { major: number(329..337)?, minor: number(337..345)? })
    }
}

impl Raw {
    /// The entry this stands for.
    pub(super) fn interpret(self, policy: Policy) -> Result<TarEntry, TarCause> {
        let clean = |raw: &[u8]| match policy {
            Policy::Layer => LayerPath::parse(raw),
            Policy::Archive => LayerPath::clamp(raw),
        };
        let path = clean(&self.path)?;
        let slash = self.path.ends_with(b"/");
        let kind = match self.kind {
            b'0' | 0 | b'7' if slash => TarKind::Directory,
            b'0' | 0 | b'7' => TarKind::File(self.size),
            b'1' => TarKind::HardLink(clean(&self.checked_target()?)?),
            b'2' => TarKind::Symlink(self.checked_target()?),
            b'3' if self.device == (Device { major: 0, minor: 0 }) => {
                return Err(TarCause::Overlay);
            }
            b'3' => TarKind::CharDevice(self.device),
            b'4' => TarKind::BlockDevice(self.device),
            b'5' => TarKind::Directory,
            b'6' => TarKind::Fifo,
            other => return Err(TarCause::Kind(other)),
        };
        if path.is_root() && kind != TarKind::Directory {
            return Err(TarCause::Root);
        }
        // Some writers repeat the size on hard links; Go's reader takes it as zero too.
        if self.size > 0 && !matches!(kind, TarKind::File(_) | TarKind::HardLink(_)) {
            return Err(TarCause::Size);
        }
        Ok(TarEntry { path, metadata: self.metadata, kind })
    }

    fn checked_target(&self) -> Result<Vec<u8>, TarCause> {
        let target = &self.target;
        if target.is_empty() || target.contains(&0) || PATH_MAX < target.len() {
            return Err(TarCause::Target);
        }
        Ok(target.clone())
    }
}

/// A text field, up to its first NUL.
fn field(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits with spaces before, and spaces or NULs after. An empty field is zero.
fn octal(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|byte| *byte != b' ').unwrap_or(bytes.len());
    let digits = bytes[start..].split(|byte| matches!(byte, 0 | b' ')).next()?;
    let rest = &bytes[start + digits.len()..];
    if !rest.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => Some(value.checked_mul(8)? + u64::from(digit - b'0')),
        _ => None,
    })
}

fn positive(bytes: &[u8], what: &'static str) -> Result<u64, TarCause> {
    u64::try_from(signed(bytes, what)?).map_err(|_| TarCause::Number(what))
}

/// Octal, or GNU's big-endian form marked by the high bit.
fn signed(bytes: &[u8], what: &'static str) -> Result<i64, TarCause> {
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
