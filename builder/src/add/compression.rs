//! Telling archives by their first bytes.

/// How many bytes at the start of a file decide: one tar header.
pub const DECIDING_BYTES: usize = 512;

/// How a file that may hold a tar archive is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// Not at all: the tar header comes first.
    None,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// What the first [`DECIDING_BYTES`] of a file say. Whether a compressed file is an archive
    /// shows only behind its compression, by asking [`is_tar`] there.
    pub fn of(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 4] = [
            (&[0x1f, 0x8b, 0x08], Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
        ];
        let known = MAGIC.iter().find(|(magic, _)| start.starts_with(magic));
        known.map(|&(_, compression)| compression).or_else(|| is_tar(start).then_some(Self::None))
    }
}

/// Whether bytes begin with a tar header: its checksum is right. The oldest archives have no magic.
pub fn is_tar(start: &[u8]) -> bool {
    let Some(header) = start.get(..DECIDING_BYTES) else { return false };
    let field = &header[148..156];
    let digits: Vec<u8> = field.iter().copied().filter(u8::is_ascii_digit).collect();
    let stated =
        std::str::from_utf8(&digits).ok().and_then(|text| u32::from_str_radix(text, 8).ok());
    let blank = |(at, &byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { byte };
    let sum = header.iter().enumerate().map(blank).map(u32::from).sum::<u32>();
    stated == Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path("a").unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn a_tar_header_needs_its_checksum() {
        let mut bytes = header();
        assert_eq!(Compression::of(&bytes), Some(Compression::None));
        bytes[0] = b'b';
        assert_eq!(Compression::of(&bytes), None);
        assert_eq!(Compression::of(&bytes[..100]), None);
    }

    #[test]
    fn compression_is_told_by_magic_and_text_is_nothing() {
        assert_eq!(Compression::of(&[0x1f, 0x8b, 0x08, 0]), Some(Compression::Gzip));
        assert_eq!(Compression::of(b"BZh9"), Some(Compression::Bzip2));
        assert_eq!(Compression::of(b"not a tar"), None);
        assert_eq!(Compression::of(b""), None);
    }
}
