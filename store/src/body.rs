//! Bodies: the bytes of regular files, each stored once.

use std::io::{self, Read};

use crate::error::{At, WriteError};
use crate::id::BodyId;
use crate::lease::Lease;
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::footer::{self, Entry};
use crate::pack::reader::Pack;
use crate::pack::record::{self, RecordHeader};
use crate::pack::writer::file_header;
use crate::vfs::VfsFile;

/// Bodies shorter than this are compressed: together they are most of the objects and few of the
/// bytes. Longer ones lie raw, so that they are read without a copy.
pub const COMPRESS_BELOW: usize = 16 * 1024;

/// Bodies longer than this are written straight to a pack of their own as they are read, so that
/// memory does not grow with the file.
const SPOOL_ABOVE: usize = 8 * 1024 * 1024;

const PIECE: usize = 256 * 1024;

impl Lease {
    /// Stores the bytes of a file.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn put_body(&self, bytes: &[u8]) -> Result<BodyId, WriteError> {
        let id = BodyId::of(bytes);
        self.put(Kind::Body, id.as_bytes(), encoding(bytes.len()), bytes)?;
        Ok(id)
    }

    /// Stores what a reader gives, hashing as it reads; returns the length too. `size_hint` is how
    /// much is expected, zero if unknown, and only saves memory.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn body_from_reader(
        &self,
        reader: &mut dyn Read,
        size_hint: u64,
    ) -> Result<(BodyId, u64), WriteError> {
        let mut head = Vec::new();
        if size_hint <= SPOOL_ABOVE as u64 {
            head.reserve(usize::try_from(size_hint).unwrap_or(0));
            let limit = SPOOL_ABOVE as u64 + 1;
            (&mut *reader).take(limit).read_to_end(&mut head).map_err(WriteError::Source)?;
            if head.len() <= SPOOL_ABOVE {
                return Ok((self.put_body(&head)?, head.len() as u64));
            }
        }
        self.room_for(size_hint)?;
        self.spool(&head, reader)
    }

    /// Refuses what cannot fit before it has filled the disk: a sparse file says that it is large.
    fn room_for(&self, size: u64) -> Result<(), WriteError> {
        // Where the disk does not tell, writing will.
        let Ok(disk) = rustix::fs::statvfs(self.store().path()) else { return Ok(()) };
        if size > disk.f_bavail.saturating_mul(disk.f_frsize) {
            return Err(io::Error::from(io::ErrorKind::StorageFull)).writing("work");
        }
        Ok(())
    }

    /// Writes a body to a pack of its own while its id is still unknown.
    fn spool(&self, head: &[u8], reader: &mut dyn Read) -> Result<(BodyId, u64), WriteError> {
        let path = self.scratch_path();
        let vfs = self.store().vfs();
        let file = vfs.create(&path).writing(&path)?;
        let start = record::place(64, Encoding::Raw, SPOOL_ABOVE as u64);
        let mut spool = Spool::begin(&*file, start).writing(&path)?;
        spool.add(head).writing(&path)?;
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => spool.add(&piece[..count]).writing(&path)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(WriteError::Source(error)),
            }
        }
        let (id, length) = (BodyId::from_hasher(&spool.hasher), spool.length);
        let name = ObjectName::new(Kind::Body, id.as_bytes());
        if self.is_published(&name)? || self.writer().contains(&name) {
            vfs.unlink(&path).writing(&path)?;
        } else {
            spool.finish(name).writing(&path)?;
            self.writer().adopt(Pack::open(&**vfs, &path)?);
        }
        Ok((id, length))
    }
}

/// A pack of one raw record that is being written.
struct Spool<'file> {
    file: &'file dyn VfsFile,
    start: u64,
    length: u64,
    hasher: blake3::Hasher,
    check: xxhash_rust::xxh3::Xxh3,
}

impl<'file> Spool<'file> {
    fn begin(file: &'file dyn VfsFile, start: u64) -> io::Result<Self> {
        file.append(&file_header())?;
        let gap = start + record::HEADER_SIZE as u64 - file_header().len() as u64;
        file.append(&vec![0; usize::try_from(gap).map_err(io::Error::other)?])?;
        let check = xxhash_rust::xxh3::Xxh3::new();
        Ok(Self { file, start, length: 0, hasher: BodyId::hasher(), check })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.check.update(bytes);
        self.length += bytes.len() as u64;
        self.file.append(bytes)
    }

    fn finish(self, name: ObjectName) -> io::Result<()> {
        let (encoding, raw_len, offset) = (Encoding::Raw, self.length, self.start);
        let header = RecordHeader { name, encoding, raw_len, stored_len: raw_len };
        self.file.write_at(&header.encode(self.check.digest()), offset)?;
        let end = offset + record::HEADER_SIZE as u64 + self.length;
        let aligned = end.next_multiple_of(record::ALIGNMENT);
        let mut tail = vec![0; usize::try_from(aligned - end).map_err(io::Error::other)?];
        tail.extend(footer::encode(vec![Entry { name, offset, encoding, raw_len }], aligned).0);
        self.file.append(&tail)?;
        self.file.seal()
    }
}

fn encoding(length: usize) -> Encoding {
    if length < COMPRESS_BELOW { Encoding::Zstd } else { Encoding::Raw }
}
