//! What the files of a cache mount were when they were read last, so that what has not changed since
//! need not be read again.
//!
//! The file system says when a file was changed. What it said of a file counts while it says the same, and if
//! that is before the note was written: git knows its index to be right in the same way. Whoever takes the note
//! holds the mount, so that nothing changes between the look and the note.

use std::collections::BTreeMap;
use std::fs::{self, File as OpenFile};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Stat;

use crate::chunk_list::ChunkList;
use crate::id::BodyId;
use crate::timestamp::Timestamp;
use crate::tree::entry::Metadata;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 1;
/// The longest note that is read once it is unpacked: that of three million files.
const MAX_NOTE: u64 = 512 << 20;

/// The files of a mount, by inode.
#[derive(Debug, Default)]
pub struct Seen {
    files: BTreeMap<u64, SeenFile>,
    /// What is changed from then on may look as it did; `None` if nothing was noted.
    noted: Option<Timestamp>,
}

/// A file as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SeenFile {
    /// When anything of it was changed last.
    pub(super) changed: Timestamp,
    pub(super) size: u64,
    pub(super) metadata: Metadata,
    pub(super) body: BodyId,
    /// What it consists of, if it is long.
    pub(super) list: Option<ChunkList>,
}

impl Seen {
    /// Reads a note; one that is not there or makes no sense knows nothing.
    pub fn load(path: &Path) -> Self {
        Self::read(path).ok().flatten().unwrap_or_default()
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenFile::open(path)?;
        let about = file.metadata()?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(file)?.take(MAX_NOTE).read_to_end(&mut bytes)?;
        let noted = moment(about.mtime(), about.mtime_nsec());
        Ok(decode(&bytes).map(|files| Self { files, noted: Some(noted) }))
    }

    /// Writes a note, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// If it cannot be written; it is not needed.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let staged = path.with_extension("seen.part");
        fs::write(&staged, zstd::bulk::compress(&self.encode(), ZSTD_LEVEL)?)?;
        fs::rename(staged, path)
    }

    /// The file that has this inode now, if it is as it was.
    pub(super) fn get(&self, stat: &Stat) -> Option<&SeenFile> {
        let file = self.files.get(&stat.st_ino)?;
        let is_same = file.changed == changed(stat)
            && i64::try_from(file.size) == Ok(stat.st_size)
            && file.metadata.mtime == moment(stat.st_mtime, stat.st_mtime_nsec);
        (is_same && file.changed < self.noted?).then_some(file)
    }

    pub(super) fn of(files: BTreeMap<u64, SeenFile>) -> Self {
        Self { files, noted: None }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.number(self.files.len() as u64);
        for (inode, file) in &self.files {
            let SeenFile { changed, size, metadata, body, list } = file;
            out.number(*inode).number(*size).raw(body.as_bytes());
            time(&mut out, *changed);
            time(&mut out, metadata.mtime);
            for number in [metadata.mode, metadata.uid, metadata.gid] {
                out.number(number.into());
            }
            out.number(metadata.xattrs.len() as u64);
            for (name, value) in &metadata.xattrs {
                out.bytes(name).bytes(value);
            }
            out.bytes(&list.as_ref().map(ChunkList::encode).unwrap_or_default());
        }
        out.finish()
    }
}

fn time(out: &mut Encoder, time: Timestamp) {
    out.number(time.seconds.cast_unsigned()).number(time.nanos.into());
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<u64, SeenFile>> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let small = |from: &mut Decoder<'_>| u32::try_from(from.number()?).ok();
    let time = |from: &mut Decoder<'_>| {
        Some(Timestamp { seconds: from.number()?.cast_signed(), nanos: small(from)? })
    };
    let files = from.list(|from| {
        let (inode, size, body) = (from.number()?, from.number()?, from.array()?);
        let (changed, mtime) = (time(from)?, time(from)?);
        let (mode, uid, gid) = (small(from)?, small(from)?, small(from)?);
        let xattrs = from.list(|from| Some((from.bytes()?.into(), from.bytes()?.into())))?;
        let list = match from.bytes()? {
            [] => None,
            list => Some(ChunkList::decode(list)?),
        };
        let metadata = Metadata { mode, uid, gid, mtime, xattrs };
        Some((inode, SeenFile { changed, size, metadata, body: BodyId::from_bytes(body), list }))
    })?;
    from.end(files.into_iter().collect())
}

/// When anything of a file was changed last.
pub(super) fn changed(stat: &Stat) -> Timestamp {
    moment(stat.st_ctime, stat.st_ctime_nsec)
}

fn moment(seconds: i64, nanos: impl TryInto<u32>) -> Timestamp {
    Timestamp { seconds, nanos: nanos.try_into().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_any_other_bytes_are_none() {
        let metadata = Metadata {
            mode: 0o4755,
            uid: 7,
            gid: 8,
            mtime: Timestamp { seconds: -5, nanos: 6 },
            xattrs: vec![(b"user.a"[..].into(), b"v"[..].into())],
        };
        let changed = Timestamp { seconds: 9, nanos: 1 };
        let body = BodyId::of(b"1");
        let file = SeenFile { changed, size: 1, metadata, body, list: None };
        let seen = Seen::of(BTreeMap::from([(12, file.clone())]));
        let bytes = seen.encode();
        assert_eq!(decode(&bytes), Some(BTreeMap::from([(12, file)])));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "{end}");
        }
    }
}
