//! How layers are compressed, and a name for exactly that.
//!
//! Bodies that cannot be shortened are stored in the same stream: as stored blocks of deflate, and
//! as raw blocks of zstd. Every decoder reads those, and faster than anything else.

use std::io::{self, Write as _};

use flate2::{Compression as Level, GzBuilder};

use crate::layer::incompressible::{Stretch, is_incompressible, stretches};
use crate::oci::media_type::{Compression, MediaType};
use crate::spare;

mod kept;
mod stored;

/// What changes when we cut or frame streams in another way, or store other bodies uncompressed.
const VERSION: u32 = 4;
/// The length of the sample whose compressed form tells one library version from another.
const SAMPLE: usize = 64 << 10;
/// What deflate has levels up to.
const GZIP_LEVEL_MAX: u32 = 9;
/// What zstd has levels up to.
const ZSTD_LEVEL_MAX: i32 = 22;
/// No modification time, no name, no system: the same for everybody.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// What gzip calls a system that is of no concern.
const SYSTEM_UNKNOWN: u8 = 0xff;
/// An empty final block of deflate.
const DEFLATE_END: [u8; 2] = [3, 0];

/// How a layer's tar stream is written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Codec {
    /// As it is.
    None,
    /// As one gzip member of deflate fragments that are compressed apart.
    Gzip {
        /// From 0, fast, to 9, small.
        level: u32,
    },
    /// As gzip members, one for each part, of which each can be read without the others.
    Members {
        /// From 0, fast, to 9, small.
        level: u32,
    },
    /// As zstd frames.
    Zstd {
        /// From 1, fast, to 22, small.
        level: i32,
    },
}

impl Codec {
    /// gzip at the level below the one that others use: it makes layers up to 0.4 % longer, in 8 to
    /// 20 % less time. Those below it cost more in length than they save in time (`benches/README.md`).
    pub const GZIP: Self = Self::Gzip { level: 5 };
    /// zstd at its own default level.
    pub const ZSTD: Self = Self::Zstd { level: 3 };

    /// What a descriptor calls it.
    pub fn compression(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip { .. } | Self::Members { .. } => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
        }
    }

    /// The media type of a layer.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::LAYER,
            Self::Gzip { .. } | Self::Members { .. } => MediaType::LAYER_GZIP,
            Self::Zstd { .. } => MediaType::LAYER_ZSTD,
        }
    }

    /// A name that two encoders share only if they make the same bytes of the same tree: library
    /// versions may differ in what they make, and the compressed sample shows whether they do.
    ///
    /// # Errors
    ///
    /// If the library fails, which it does only without memory.
    pub fn id(self) -> io::Result<String> {
        let sample = blake3::hash(&self.compress(&sample())?).to_hex();
        let sample = &sample[..16];
        Ok(match self {
            Self::None => String::new(),
            Self::Gzip { level } => format!("gzip-{level} v{VERSION} zlib-rs {sample}"),
            Self::Members { level } => format!("members-{level} v{VERSION} zlib-rs {sample}"),
            Self::Zstd { level } => {
                let library = zstd::zstd_safe::version_string();
                format!("zstd-{level} v{VERSION} {library} {sample}")
            }
        })
    }

    /// Compresses a part of a stream on its own, but for what a sample shows that there is nothing to be gained by;
    /// `tail` comes behind it, as it is.
    pub(crate) fn compress_sampled(self, bytes: &[u8], tail: &[u8]) -> io::Result<Vec<u8>> {
        kept::filled(
            |out| self.add_sampled(bytes, out),
            |made| {
                let mut all = spare::with_room(made.len() + tail.len());
                all.extend_from_slice(made);
                all.extend_from_slice(tail);
                all
            },
        )
    }

    fn add_sampled(self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::None => out.extend_from_slice(bytes),
            Self::Gzip { level } => {
                add_stretches(bytes, &stretches(bytes), level.min(GZIP_LEVEL_MAX), out)?;
            }
            Self::Members { level } => add_member(bytes, level.min(GZIP_LEVEL_MAX), out)?,
            // It passes over what gains nothing by itself, and looks further back than a sample shows.
            Self::Zstd { .. } if is_incompressible(bytes) => stored::zstd(bytes, out),
            Self::Zstd { level } => kept::zstd(bytes, level.min(ZSTD_LEVEL_MAX), out)?,
        }
        Ok(())
    }

    /// Compresses a part of a stream on its own, all of it.
    pub(crate) fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::None => out.extend_from_slice(bytes),
            Self::Gzip { level } => kept::deflate(bytes, level.min(GZIP_LEVEL_MAX), &mut out)?,
            Self::Members { level } => member(bytes, level.min(GZIP_LEVEL_MAX), &mut out)?,
            Self::Zstd { level } => kept::zstd(bytes, level.min(ZSTD_LEVEL_MAX), &mut out)?,
        }
        Ok(out)
    }

    /// What comes before the first part.
    pub(crate) fn head(self) -> &'static [u8] {
        match self {
            Self::Gzip { .. } => &GZIP_HEADER,
            Self::None | Self::Members { .. } | Self::Zstd { .. } => &[],
        }
    }

    /// What comes after the last part of a stream of `size` bytes with the checksum `crc`.
    pub(crate) fn tail(self, crc: u32, size: u64) -> Vec<u8> {
        match self {
            Self::None | Self::Members { .. } | Self::Zstd { .. } => Vec::new(),
            Self::Gzip { .. } => gzip_tail(crc, size),
        }
    }
}

/// The end of a gzip member whose deflate blocks so far were none the last.
fn gzip_tail(crc: u32, size: u64) -> Vec<u8> {
    let modulo = u32::try_from(size & u64::from(u32::MAX)).expect("masked to 32 bits");
    [&DEFLATE_END[..], &crc.to_le_bytes(), &modulo.to_le_bytes()].concat()
}

/// Adds a whole gzip member.
fn member(bytes: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let mut member =
        GzBuilder::new().operating_system(SYSTEM_UNKNOWN).write(out, Level::new(level));
    member.write_all(bytes)?;
    member.finish().map(drop)
}

/// As [`member`], with stored blocks where nothing is gained.
fn add_member(bytes: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let found = stretches(bytes);
    if matches!(found[..], [Stretch::Compressible(_)]) {
        return member(bytes, level, out);
    }
    out.extend_from_slice(&GZIP_HEADER);
    add_stretches(bytes, &found, level, out)?;
    out.extend_from_slice(&gzip_tail(crc32fast::hash(bytes), bytes.len() as u64));
    Ok(())
}

/// Adds deflate, with stored blocks where nothing is gained.
fn add_stretches(bytes: &[u8], found: &[Stretch], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    for stretch in found {
        match stretch {
            Stretch::Compressible(range) => kept::deflate(&bytes[range.clone()], level, out)?,
            Stretch::Incompressible(range) => stored::deflate(&bytes[range.clone()], out),
        }
    }
    Ok(())
}

/// Numbers as text between noise: something to find matches in, and something not to.
fn sample() -> Vec<u8> {
    let mut out = Vec::with_capacity(SAMPLE + 32);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while out.len() < SAMPLE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice((state % 1009).to_string().as_bytes());
        out.extend_from_slice(&state.to_le_bytes()[..2]);
    }
    out.truncate(SAMPLE);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_of_different_levels_have_different_names() {
        let codecs = [Codec::GZIP, Codec::Gzip { level: 1 }, Codec::ZSTD, Codec::Zstd { level: 9 }];
        let names: std::collections::BTreeSet<String> =
            codecs.iter().map(|codec| codec.id().unwrap()).collect();
        assert_eq!(names.len(), codecs.len());
        assert_eq!(Codec::GZIP.id().unwrap(), Codec::GZIP.id().unwrap());
    }

    #[test]
    fn empty_and_incompressible_parts_come_back() {
        let mixed = [noise(300_000), sample(), noise(400_000), vec![0; 300_000]].concat();
        for bytes in [vec![], sample(), vec![0; 1 << 20], noise(300_000), mixed] {
            let frame = Codec::ZSTD.compress_sampled(&bytes, &[]).unwrap();
            assert!(zstd::decode_all(&frame[..]).unwrap() == bytes);
            let crc = crc32fast::hash(&bytes);
            let tail = Codec::GZIP.tail(crc, bytes.len() as u64);
            let part = Codec::GZIP.compress_sampled(&bytes, &tail).unwrap();
            assert!(member_of(&[Codec::GZIP.head(), &part].concat()) == bytes);
            let member = Codec::Members { level: 6 }.compress_sampled(&bytes, &[]).unwrap();
            assert!(member_of(&member) == bytes);
        }
    }

    #[test]
    fn bodies_that_cannot_be_shortened_are_stored_at_every_level() {
        let noise = noise(300_000);
        let mut stored = Vec::new();
        stored::deflate(&noise, &mut stored);
        for level in 1..=9 {
            assert!(Codec::Gzip { level }.compress_sampled(&noise, &[]).unwrap() == stored);
        }
        let mut stored = Vec::new();
        stored::zstd(&noise, &mut stored);
        for level in [1, 3, 19] {
            assert!(Codec::Zstd { level }.compress_sampled(&noise, &[]).unwrap() == stored);
        }
        assert!(stored.len() < noise.len() + noise.len() / 1000);
    }

    #[test]
    fn noise_in_front_of_text_is_stored_and_the_text_is_compressed() {
        let (noise, text) = (noise(1 << 20), vec![b' '; 1 << 20]);
        let all = [&noise[..], &text].concat();
        let made = Codec::GZIP.compress_sampled(&all, &[]).unwrap();
        let mut stored = Vec::new();
        stored::deflate(&noise, &mut stored);
        assert!(made.starts_with(&stored));
        assert!(made.len() < stored.len() + text.len() / 100);
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    /// What is in the only member of a gzip stream.
    fn member_of(gzip: &[u8]) -> Vec<u8> {
        let (mut plain, mut member) = (Vec::new(), flate2::bufread::GzDecoder::new(gzip));
        io::Read::read_to_end(&mut member, &mut plain).unwrap();
        assert!(member.into_inner().is_empty());
        plain
    }
}
