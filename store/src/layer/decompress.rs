//! Recognising and undoing compression, within limits.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use crate::layer::tar_read::Policy;

/// The largest zstd window we give memory to: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// No writer cuts a stream into more members; empty ones cost time and give nothing.
const MEMBERS_MAX: u32 = 1_000_000;
/// Long enough for every magic number.
const BUFFER: usize = 64 << 10;

/// A decompressed stream. Bytes after the end of the compressed data are an error.
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
    let mut head = Vec::new();
    let mut input = input;
    (&mut input).take(6).read_to_end(&mut head)?;
    let magic = head.clone();
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(input));
    let archive = policy == Policy::Archive;
    Ok(Decompressed(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(Gzip::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut zstd = zstd::Decoder::with_buffer(whole)?;
            zstd.window_log_max(WINDOW_LOG_MAX)?;
            Box::new(zstd)
        }
        [b'B', b'Z', b'h', ..] if archive => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] if archive => {
            Box::new(lzma_rust2::XzReader::new(whole, true))
        }
        _ => Box::new(whole),
    }))
}

/// Gzip members one after the other.
struct Gzip<R: BufRead> {
    member: Option<flate2::bufread::GzDecoder<R>>,
    members: u32,
}

impl<R: BufRead> Gzip<R> {
    fn new(input: R) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(input)), members: 1 }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.member.take().map(flate2::bufread::GzDecoder::into_inner)
            else {
                break;
            };
            if rest.fill_buf()?.is_empty() {
                break;
            }
            self.members += 1;
            if MEMBERS_MAX < self.members {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "too many gzip members"));
            }
            self.member = Some(flate2::bufread::GzDecoder::new(rest));
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

    #[test]
    fn cuts_and_trailing_bytes_are_errors() {
        for whole in [gzip(b"abc"), zstd::encode_all(&b"abc"[..], 1).unwrap()] {
            assert!(undo(&whole[..whole.len() - 1]).is_err());
            assert!(undo(&[&whole[..], b"junk"].concat()).is_err());
        }
    }
}
