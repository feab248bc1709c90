//! Writing the packs of a cache mount to files, from where they are sent.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};

use super::PACK_TYPE;
use super::document::Part;
use crate::digest::Hasher;
use crate::id::BodyId;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::path::LayerPath;

/// Who waits for a cache to be written waits for the line more than for this: a higher level gains a
/// twentieth.
const ZSTD_LEVEL: i32 = 3;

/// A part, and where its bytes are.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) part: Part,
    /// The file.
    pub(super) path: LayerPath,
    /// From where on.
    pub(super) offset: u64,
}

/// Writes the parts, one after the other, as a zstd stream; says what that is.
///
/// # Errors
///
/// If a file cannot be read, or is not what it was when it was named; or the pack cannot be written.
pub(super) fn write(
    root: &OwnedFd,
    sources: &[&Source],
    into: &Path,
) -> Result<Descriptor, io::Error> {
    let file = File::create_new(into)?;
    let out = Hashed { file, hasher: Hasher::default(), length: 0 };
    let mut packed = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    let mut bytes = Vec::new();
    for source in sources {
        read(root, source, &mut bytes)?;
        packed.write_all(&bytes)?;
    }
    let Hashed { hasher, length, .. } = packed.finish()?;
    Ok(Descriptor::new(MediaType::new(PACK_TYPE), hasher.finish(), length))
}

fn read(root: &OwnedFd, source: &Source, bytes: &mut Vec<u8>) -> io::Result<()> {
    let Source { part, path, offset } = source;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(root, path.as_bytes(), flags, Mode::empty())?);
    bytes.clear();
    if *offset == 0 {
        file.take(part.length).read_to_end(bytes)?;
    } else {
        bytes.resize(usize::try_from(part.length).unwrap_or(usize::MAX), 0);
        file.read_exact_at(bytes, *offset)?;
    }
    if BodyId::of(bytes) == part.id {
        return Ok(());
    }
    let detail = format!("{path} changed while it was read");
    Err(io::Error::new(io::ErrorKind::InvalidData, detail))
}

/// A file, and the digest of what was written to it.
struct Hashed {
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
