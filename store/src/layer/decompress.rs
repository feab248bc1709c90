//! Recognising and undoing compression, within limits.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use crate::layer::limits::{Budget, Spending, Taking};
use crate::layer::tar_read::Policy;

/// The largest zstd window we give memory to: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// No writer cuts a stream into more members; empty ones cost time and give nothing.
const MEMBERS_MAX: u32 = 1_000_000;
/// Long enough for every magic number.
const BUFFER: usize = 64 << 10;

/// A decompressed stream. Bytes after the end of a layer's compressed data are an error.
pub struct Decompressed<'a>(Box<dyn Read + Send + 'a>);

impl fmt::Debug for Decompressed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Decompressed")
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Compression {
    /// How many bytes at the start of a stream decide.
    pub const BYTES: usize = 10;

    /// What the first bytes say; `None` for what is not compressed, or in a way nobody knows.
    pub fn of(start: &[u8]) -> Option<Self> {
        match start {
            // Other flags than these five do not exist.
            [0x1f, 0x8b, 8, 0..0x20, ..] | [0x1f, 0x8b, 8] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
                Some(Self::Bzip2)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

/// Undoes the compression that the first bytes of `input` show: gzip and zstd in layers, bzip2 and
/// xz too in other archives. What shows none is passed on.
///
/// # Errors
///
/// If the input cannot be read, or is compressed in a way the policy does not allow.
pub fn decompress<'a>(
    input: Box<dyn Read + Send + 'a>,
    policy: Policy,
) -> io::Result<Decompressed<'a>> {
    undo(input, policy).map(Decompressed)
}

/// As [`decompress`], of a stream that nobody has read yet: it spends of a budget.
///
/// # Errors
///
/// As of [`decompress`].
pub fn decompress_within<'a>(
    input: Box<dyn Read + Send + 'a>,
    policy: Policy,
    budget: &Budget,
) -> io::Result<Decompressed<'a>> {
    let plain = undo(Box::new(Taking(input, budget.clone())), policy)?;
    Ok(Decompressed(Box::new(Spending(plain, budget.clone()))))
}

fn undo<'a>(
    input: Box<dyn Read + Send + 'a>,
    policy: Policy,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::new();
    let mut input = input;
    (&mut input).take(Compression::BYTES as u64).read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(input));
    Ok(match (compression, policy) {
        (None, _) | (Some(Compression::Bzip2 | Compression::Xz), Policy::Layer) => Box::new(whole),
        (Some(compression), _) => Box::new(Members::new(compression, policy, whole)?),
    })
}

/// Compressed members, or frames, one after the other.
struct Members<R: BufRead> {
    compression: Compression,
    policy: Policy,
    member: Option<Member<R>>,
    count: u32,
}

enum Member<R: BufRead> {
    Gzip(Box<flate2::bufread::GzDecoder<R>>),
    Zstd(zstd::Decoder<'static, R>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
    Xz(Box<lzma_rust2::XzReader<R>>),
}

impl<R: BufRead> Members<R> {
    fn new(compression: Compression, policy: Policy, input: R) -> io::Result<Self> {
        let member = Some(Member::new(compression, input)?);
        Ok(Self { compression, policy, member, count: 1 })
    }

    /// Begins the next member behind one that has ended, if there is one.
    fn next(&mut self) -> io::Result<()> {
        let Some(mut rest) = self.member.take().map(Member::into_inner) else { return Ok(()) };
        let start = rest.fill_buf()?;
        let first = match self.compression {
            Compression::Gzip => start.starts_with(&[0x1f]),
            Compression::Zstd => matches!(start, [0x28 | 0x50..=0x5f, ..]),
            Compression::Bzip2 => start.starts_with(b"B"),
            Compression::Xz => start.starts_with(&[0xfd]),
        };
        // Archives come with zeros or rubbish behind them; layers are what a digest says.
        if start.is_empty() || !first && self.policy == Policy::Archive {
            return Ok(());
        }
        self.count += 1;
        if MEMBERS_MAX < self.count {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many compressed members"));
        }
        self.member = Some(Member::new(self.compression, rest)?);
        Ok(())
    }
}

impl<R: BufRead> Member<R> {
    fn new(compression: Compression, input: R) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::GzDecoder::new(input))),
            Compression::Zstd => {
                let mut zstd = zstd::Decoder::with_buffer(input)?.single_frame();
                zstd.window_log_max(WINDOW_LOG_MAX)?;
                Self::Zstd(zstd)
            }
            Compression::Bzip2 => Self::Bzip2(bzip2::bufread::BzDecoder::new(input)),
            Compression::Xz => Self::Xz(Box::new(lzma_rust2::XzReader::new(input, false))),
        })
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(member) => member.read(bytes),
            Self::Zstd(member) => member.read(bytes),
            Self::Bzip2(member) => member.read(bytes),
            Self::Xz(member) => member.read(bytes),
        }
    }

    fn into_inner(self) -> R {
        match self {
            Self::Gzip(member) => member.into_inner(),
            Self::Zstd(member) => member.finish(),
            Self::Bzip2(member) => member.into_inner(),
            Self::Xz(member) => member.into_inner(),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            self.next()?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn undo(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(Box::new(bytes), Policy::Layer)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_are_joined() {
        let two = [gzip(b"ab"), gzip(b""), gzip(b"c")].concat();
        assert_eq!(undo(&two).unwrap(), b"abc");
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        assert_eq!(undo(&[frame(b"ab"), frame(b"c")].concat()).unwrap(), b"abc");
        assert_eq!(undo(b"plain").unwrap(), b"plain");
    }

    /// As liblzma writes it.
    const XZ_OF_ABC: &[u8] =
        b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\
        \x00\x00\x74\x2f\xe5\xa3\x01\x00\x02\x61\x62\x63\x00\x00\x27\x76\x27\x1a\
        \x4a\x09\xd8\x2c\x00\x01\x1b\x03\x0b\x2f\xb9\x10\x1f\xb6\xf3\x7d\x01\x00\
        \x00\x00\x00\x04\x59\x5a";

    fn every_form() -> Vec<(Compression, Vec<u8>)> {
        let bytes = &b"abc"[..];
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(bytes).unwrap();
        vec![
            (Compression::Gzip, gzip(bytes)),
            (Compression::Zstd, zstd::encode_all(bytes, 1).unwrap()),
            (Compression::Bzip2, bzip2.finish().unwrap()),
            (Compression::Xz, XZ_OF_ABC.to_vec()),
        ]
    }

    #[test]
    fn archives_end_where_no_further_member_begins() {
        let undo = |bytes: &[u8]| {
            let mut out = Vec::new();
            decompress(Box::new(bytes), Policy::Archive)?.read_to_end(&mut out).map(|_| out)
        };
        for (compression, whole) in every_form() {
            assert_eq!(Compression::of(&whole), Some(compression));
            for behind in [&b""[..], &[0; 512], b"junk"] {
                assert_eq!(undo(&[&whole, behind].concat()).unwrap(), b"abc", "{compression}");
            }
            assert_eq!(undo(&[&whole[..], &whole].concat()).unwrap(), b"abcabc", "{compression}");
            assert!(undo(&whole[..whole.len() - 1]).is_err(), "{compression}");
        }
    }

    #[test]
    fn text_that_begins_like_a_compressed_file_is_text() {
        for text in [&b"BZh9hello world"[..], b"\x1f\x8b\x08\xff", b"BZh", b"7zXZ", b"\x1f\x8b"] {
            assert_eq!(Compression::of(text), None, "{text:?}");
        }
    }

    #[test]
    fn cuts_and_trailing_bytes_are_errors() {
        for whole in [gzip(b"abc"), zstd::encode_all(&b"abc"[..], 1).unwrap()] {
            assert!(undo(&whole[..whole.len() - 1]).is_err());
            assert!(undo(&[&whole[..], b"junk"].concat()).is_err());
        }
    }
}
