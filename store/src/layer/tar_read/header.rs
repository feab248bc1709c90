//! The 512 bytes before an entry, and what they and the extension headers say together.

use crate::layer::tar_read::error::TarCause;
use crate::layer::tar_read::number::{field, octal, positive, signed};
use crate::layer::tar_read::pax::{Pax, Sparse};
use crate::layer::tar_read::{TarEntry, TarKind};
use crate::path::LayerPath;
use crate::timestamp::Timestamp;
use crate::tree::entry::{Device, Metadata};
use crate::tree::limits;

/// A header block whose checksum is right.
#[derive(Clone, Debug)]
pub(super) struct Header([u8; 512]);

/// An entry with every extension applied, its names as the archive spells them.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) path: Vec<u8>,
    target: Vec<u8>,
    kind: u8,
    /// How many bytes the stream has of it.
    pub(super) stored: u64,
    /// How many bytes it has.
    pub(super) size: u64,
    pub(super) sparse: Sparse,
    device: Device,
    metadata: Metadata,
}

impl Header {
    /// Checks the checksum, over bytes without or, as some old writers have it, with a sign.
    pub(super) fn check(block: &[u8; 512]) -> Result<Self, TarCause> {
        let around = || block[..148].iter().chain(&block[156..]);
        let blanks = 8 * i64::from(b' ');
        let sum = around().map(|byte| i64::from(*byte)).sum::<i64>() + blanks;
        let signed = around().map(|byte| i64::from(byte.cast_signed())).sum::<i64>() + blanks;
        let stated = octal(&block[148..156]).and_then(|stated| i64::try_from(stated).ok());
        if stated == Some(sum) || stated == Some(signed) {
            return Ok(Self(*block));
        }
        Err(TarCause::Checksum)
    }

    /// Whether a block is marked as a header, right or not; the oldest have no mark.
    pub(super) fn is_marked(block: &[u8]) -> bool {
        block.get(257..262) == Some(b"ustar")
    }

    /// Only GNU's own format has extents where others have a prefix.
    pub(super) fn check_gnu(&self) -> Result<(), TarCause> {
        if &self.0[257..265] == b"ustar  \0" { Ok(()) } else { Err(TarCause::Sparse) }
    }

    pub(super) fn block(&self) -> &[u8; 512] {
        &self.0
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn size(&self) -> Result<u64, TarCause> {
        positive(&self.0[124..136], "size")
    }

    /// Applies extension headers, each over what is before it: the block, PAX, GNU long names.
    pub(super) fn merge(
        &self,
        pax: &Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Raw, TarCause> {
        let given = |long: Option<Vec<u8>>| long.filter(|name| !name.is_empty());
        let path = given(long_name).or_else(|| pax.text("path").cloned());
        let path = pax.sparse_name().cloned().or(path).unwrap_or_else(|| self.name());
        let link = given(long_link).or_else(|| pax.text("linkpath").cloned());
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
        let stored = pax.number("size")?.map_or_else(|| self.size(), Ok)?;
        let sparse = pax.sparse()?;
        let size = match sparse {
            Sparse::Not => stored,
            Sparse::Listed(_) | Sparse::InFront => pax.sparse_size()?.unwrap_or(stored),
        };
        let (kind, device) = (self.kind(), self.device()?);
        let metadata = Metadata { mode, uid, gid, mtime, xattrs };
        Ok(Raw { path, target, kind, stored, size, sparse, device, metadata })
    }

    /// The name, with the prefix where the format has one.
    fn name(&self) -> Vec<u8> {
        let (name, prefix) = (field(&self.0[..100]), field(self.prefix()));
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    fn prefix(&self) -> &[u8] {
        match &self.0[257..265] {
            [b'u', b's', b't', b'a', b'r', 0, ..] if &self.0[508..] == b"tar\0" => {
                &self.0[345..476]
            }
            [b'u', b's', b't', b'a', b'r', 0, ..] => &self.0[345..500],
            // Go before 1.8 wrote a prefix where GNU has times; images of that age are still about.
            b"ustar  \0" if !self.has_gnu_times() && self.0[345..500].is_ascii() => {
                &self.0[345..500]
            }
            _ => b"",
        }
    }

    fn has_gnu_times(&self) -> bool {
        [345..357, 357..369]
            .into_iter()
            .all(|at| self.0[at.start] == 0 || signed(&self.0[at], "time").is_ok())
    }

    fn device(&self) -> Result<Device, TarCause> {
        if !matches!(self.kind(), b'3' | b'4') {
            return Ok(Device { major: 0, minor: 0 });
        }
        let number = |at: std::ops::Range<usize>| {
            let value = positive(&self.0[at], "device")?;
            u32::try_from(value).map_err(|_| TarCause::Number("device"))
        };
        let device = Device { major: number(329..337)?, minor: number(337..345)? };
        limits::device(device)?;
        Ok(device)
    }
}

impl Raw {
    /// The entry this stands for.
    pub(super) fn interpret(self, sparse: &Sparse) -> Result<TarEntry, TarCause> {
        let path = LayerPath::parse(&self.path)?;
        let slash = self.path.ends_with(b"/");
        let kind = match self.kind {
            // Before there was a type for directories.
            0 if slash => TarKind::Directory,
            b'0' | 0 | b'7' | b'S' => TarKind::File(self.size),
            b'1' => TarKind::HardLink(LayerPath::parse(&self.checked_target()?)?),
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
        // Some writers repeat the size on hard links; Go's reader takes it as zero too.
        if self.size > 0 && !matches!(kind, TarKind::File(_) | TarKind::HardLink(_)) {
            return Err(TarCause::Size);
        }
        if !matches!(sparse, Sparse::Not) && !matches!(kind, TarKind::File(_)) {
            return Err(TarCause::Sparse);
        }
        Ok(TarEntry { path, metadata: self.metadata, kind })
    }

    fn checked_target(&self) -> Result<Vec<u8>, TarCause> {
        limits::target(&self.target)?;
        Ok(self.target.clone())
    }
}
