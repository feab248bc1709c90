//! What the files and directories of a cache mount were when they were read last, so that what has not changed since
//! need not be read again.
//!
//! The file system says when a file was changed, or a name in a directory. What it said of a file counts while it says the same, and if
//! that is before the note was written: git knows its index to be right in the same way. Whoever takes the note
//! holds the mount, so that nothing changes between the look and the note.

use std::collections::BTreeMap;
use std::fs::{self, File as OpenFile};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Stat;

use crate::chunk_list::ChunkList;
use crate::id::BodyId;
use crate::timestamp::Timestamp;
use crate::tree::entry::Metadata;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 2;
const ZSTD_LEVEL: i32 = 1;
/// About how many bytes an entry has.
const ENTRY: usize = 160;
/// The longest note that is read once it is unpacked: that of three million files.
const MAX_NOTE: u64 = 512 << 20;

/// What there is, by inode, in order and each once. What has not changed is shared with the note before.
pub(super) type ByInode<T> = Vec<(u64, Arc<T>)>;

/// The files and directories of a mount, by inode.
#[derive(Debug, Default)]
pub struct Seen {
    files: ByInode<SeenFile>,
    directories: ByInode<SeenDirectory>,
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

/// A directory as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SeenDirectory {
    /// When anything of it was changed last, names in it among that.
    pub(super) changed: Timestamp,
    pub(super) metadata: Metadata,
    /// The names in it, in order.
    pub(super) names: Arc<[Box<[u8]>]>,
}

impl Seen {
    /// Reads a note; one that is not there or makes no sense knows nothing.
    pub fn load(path: &Path) -> Self {
        Self::read(path).ok().flatten().unwrap_or_default()
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut file = OpenFile::open(path)?;
        let (about, mut packed) = (file.metadata()?, Vec::new());
        file.read_to_end(&mut packed)?;
        // It says how long it is unpacked; one that does not makes no sense.
        let length = zstd::zstd_safe::get_frame_content_size(&packed).ok().flatten();
        let length = length.filter(|length| *length <= MAX_NOTE).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or_default();
        let bytes = zstd::bulk::decompress(&packed, length)?;
        let noted = moment(about.mtime(), about.mtime_nsec());
        Ok(decode(&bytes).map(|seen| Self { noted: Some(noted), ..seen }))
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
    pub(super) fn get(&self, stat: &Stat) -> Option<&Arc<SeenFile>> {
        let file = of_inode(&self.files, stat)?;
        let is_same = file.changed == changed(stat)
            && i64::try_from(file.size) == Ok(stat.st_size)
            && file.metadata.mtime == moment(stat.st_mtime, stat.st_mtime_nsec);
        (is_same && file.changed < self.noted?).then_some(file)
    }

    /// The directory that has this inode now, if it is as it was.
    pub(super) fn directory(&self, stat: &Stat) -> Option<&Arc<SeenDirectory>> {
        let directory = of_inode(&self.directories, stat)?;
        let is_same = directory.changed == changed(stat)
            && directory.metadata.mtime == moment(stat.st_mtime, stat.st_mtime_nsec);
        (is_same && directory.changed < self.noted?).then_some(directory)
    }

    pub(super) fn of(
        mut files: ByInode<SeenFile>,
        mut directories: ByInode<SeenDirectory>,
    ) -> Self {
        files.sort_unstable_by_key(|(inode, _)| *inode);
        files.dedup_by_key(|(inode, _)| *inode);
        directories.sort_unstable_by_key(|(inode, _)| *inode);
        directories.dedup_by_key(|(inode, _)| *inode);
        Self { files, directories, noted: None }
    }

    /// All of this, and what another note says of other inodes: some of those may be no more, which is found out as it is of
    /// whatever has changed.
    pub(super) fn over(self, below: &Self) -> Self {
        Self::of(over(self.files, &below.files), over(self.directories, &below.directories))
    }

    /// What the long files among them consist of.
    pub(super) fn lists(&self) -> BTreeMap<BodyId, ChunkList> {
        let long = self.files.iter().filter_map(|(_, file)| Some((file.body, file.list.clone()?)));
        long.collect()
    }

    /// Whether it says what another does, so that there is no need to note it.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.files == other.files && self.directories == other.directories
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.reserve(ENTRY * (self.files.len() + self.directories.len()));
        out.number(self.files.len() as u64);
        for (inode, file) in &self.files {
            let SeenFile { changed, size, metadata, body, list } = &**file;
            out.number(*inode).number(*size).raw(body.as_bytes());
            time(&mut out, *changed);
            put(&mut out, metadata);
            out.bytes(&list.as_ref().map(ChunkList::encode).unwrap_or_default());
        }
        out.number(self.directories.len() as u64);
        for (inode, directory) in &self.directories {
            let SeenDirectory { changed, metadata, names } = &**directory;
            out.number(*inode);
            time(&mut out, *changed);
            put(&mut out, metadata);
            out.number(names.len() as u64);
            for name in &**names {
                out.bytes(name);
            }
        }
        out.finish()
    }
}

/// All of one list, and of another one what has other inodes.
fn over<T>(mut above: ByInode<T>, below: &ByInode<T>) -> ByInode<T> {
    let is_other =
        |(inode, _): &&(u64, Arc<T>)| above.binary_search_by_key(inode, |(one, _)| *one).is_err();
    let others: ByInode<T> = below.iter().filter(is_other).cloned().collect();
    above.extend(others);
    above
}

/// What was noted of an inode.
fn of_inode<'a, T>(all: &'a ByInode<T>, stat: &Stat) -> Option<&'a Arc<T>> {
    let at = all.binary_search_by_key(&stat.st_ino, |(inode, _)| *inode).ok()?;
    Some(&all[at].1)
}

fn time(out: &mut Encoder, time: Timestamp) {
    out.number(time.seconds.cast_unsigned()).number(time.nanos.into());
}

fn put(out: &mut Encoder, metadata: &Metadata) {
    time(out, metadata.mtime);
    for number in [metadata.mode, metadata.uid, metadata.gid] {
        out.number(number.into());
    }
    out.number(metadata.xattrs.len() as u64);
    for (name, value) in &metadata.xattrs {
        out.bytes(name).bytes(value);
    }
}

fn small(from: &mut Decoder<'_>) -> Option<u32> {
    u32::try_from(from.number()?).ok()
}

fn time_of(from: &mut Decoder<'_>) -> Option<Timestamp> {
    Some(Timestamp { seconds: from.number()?.cast_signed(), nanos: small(from)? })
}

fn metadata_of(from: &mut Decoder<'_>) -> Option<Metadata> {
    let mtime = time_of(from)?;
    let (mode, uid, gid) = (small(from)?, small(from)?, small(from)?);
    let xattrs = from.list(|from| Some((from.bytes()?.into(), from.bytes()?.into())))?;
    Some(Metadata { mode, uid, gid, mtime, xattrs })
}

fn file_of(from: &mut Decoder<'_>) -> Option<(u64, Arc<SeenFile>)> {
    let (inode, size, body) = (from.number()?, from.number()?, from.array()?);
    let (changed, metadata) = (time_of(from)?, metadata_of(from)?);
    let list = match from.bytes()? {
        [] => None,
        list => Some(ChunkList::decode(list)?),
    };
    let body = BodyId::from_bytes(body);
    Some((inode, Arc::new(SeenFile { changed, size, metadata, body, list })))
}

fn directory_of(from: &mut Decoder<'_>) -> Option<(u64, Arc<SeenDirectory>)> {
    let (inode, changed, metadata) = (from.number()?, time_of(from)?, metadata_of(from)?);
    let names = from.list(|from| Some(Box::<[u8]>::from(from.bytes()?)))?;
    Some((inode, Arc::new(SeenDirectory { changed, metadata, names: names.into() })))
}

fn decode(bytes: &[u8]) -> Option<Seen> {
    let mut from = Decoder::new(bytes, VERSION)?;
    let (files, directories) = (from.list(file_of)?, from.list(directory_of)?);
    from.end(Seen::of(files, directories))
}

/// When anything of a file was changed last.
pub(super) fn changed(stat: &Stat) -> Timestamp {
    moment(stat.st_ctime, stat.st_ctime_nsec)
}

fn moment(seconds: i64, nanos: impl TryInto<u32>) -> Timestamp {
    Timestamp { seconds, nanos: nanos.try_into().unwrap_or(0) }
}

#[cfg(test)]
impl Seen {
    /// Whether another note says the same of all that this one says something of.
    pub(super) fn all_in(&self, other: &Self) -> bool {
        self.files.iter().all(|one| other.files.contains(one))
            && self.directories.iter().all(|one| other.directories.contains(one))
    }
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
        let names = [&b"a"[..], b"\xff"].map(Box::from).into();
        let directory = SeenDirectory { changed, metadata: metadata.clone(), names };
        let file = SeenFile { changed, size: 1, metadata, body, list: None };
        let seen = Seen::of(vec![(12, Arc::new(file))], vec![(13, Arc::new(directory))]);
        let bytes = seen.encode();
        assert!(decode(&bytes).unwrap().says_the_same(&seen));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_none(), "{end}");
        }
    }
}
