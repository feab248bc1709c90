//! Bodies: the bytes of regular files, each stored once.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;

use crate::error::{At, WriteError};
use crate::id::BodyId;
use crate::lease::Lease;
use crate::object::{Encoding, Kind, ObjectName};
use crate::pack::footer::{self, Entry};
use crate::pack::reader::Pack;
use crate::pack::record::{self, RecordHeader};
use crate::pack::writer::file_header;
use crate::sparse::{self, Run};
use crate::vfs::VfsFile;

/// Bodies shorter than this are compressed: together they are most of the objects and few of the
/// bytes. Longer ones lie raw, so that they are read without a copy.
pub const COMPRESS_BELOW: usize = 16 * 1024;

/// Bodies longer than this are written straight to a pack of their own as they are read, so that
/// memory does not grow with the file.
const SPOOL_ABOVE: usize = 8 * 1024 * 1024;

const PIECE: usize = 256 * 1024;

/// Bodies are compressed of which at least one part in so many is zeros.
const BLANK_PART: u64 = 8;

impl Lease {
    /// Stores the bytes of a file.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn put_body(&self, bytes: &[u8]) -> Result<BodyId, WriteError> {
        let id = BodyId::of(bytes);
        self.put(Kind::Body, id.as_bytes(), encoding(bytes), bytes)?;
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
        self.spool(&mut |spool| {
            spool.add(&head)?;
            spool.read(reader)
        })
    }

    /// As [`body_from_reader`](Self::body_from_reader), for all bytes of a file of about this size.
    /// Its holes are not read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the store cannot be written.
    pub fn body_from_file(&self, file: &mut File, size: u64) -> Result<(BodyId, u64), WriteError> {
        if size <= SPOOL_ABOVE as u64 {
            return self.body_from_reader(file, size);
        }
        let size = self.with_room(file)?;
        self.spool(&mut |spool| {
            let mut at = 0;
            while at < size {
                let data = source(sparse::next_data(file, at))?.unwrap_or(size).min(size);
                spool.skip(data - at)?;
                at = source(sparse::next_hole(file, data, size))?.max(data);
                source(file.seek(SeekFrom::Start(data)))?;
                spool.read(&mut (&mut *file).take(at - data))?;
            }
            // It may have grown, which the caller has to learn.
            source(file.seek(SeekFrom::Start(size)))?;
            spool.read(file)
        })
    }

    /// The size of a file. Refuses one that cannot fit, before it has filled the disk.
    fn with_room(&self, file: &File) -> Result<u64, WriteError> {
        let metadata = source(file.metadata())?;
        let (size, allocated) = (metadata.len(), metadata.blocks().saturating_mul(512));
        // Where the disk does not tell, writing will.
        let Ok(disk) = rustix::fs::statvfs(self.store().path()) else { return Ok(size) };
        if size.min(allocated) > disk.f_bavail.saturating_mul(disk.f_frsize) {
            return Err(io::Error::from(io::ErrorKind::StorageFull)).writing("work");
        }
        Ok(size)
    }

    /// Writes a body to a pack of its own while its id is still unknown.
    fn spool(
        &self,
        fill: &mut dyn FnMut(&mut Spool<'_>) -> Result<(), WriteError>,
    ) -> Result<(BodyId, u64), WriteError> {
        let path = self.scratch_path();
        let vfs = self.store().vfs();
        let file = vfs.create(&path).writing(&path)?;
        let start = record::place(64, Encoding::Raw, SPOOL_ABOVE as u64);
        let mut spool = Spool::begin((&*file, &path), start).writing(&path)?;
        fill(&mut spool)?;
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

fn source<T>(read: io::Result<T>) -> Result<T, WriteError> {
    read.map_err(WriteError::Source)
}

/// A pack of one raw record that is being written. Zeros are holes of it, where a file system has
/// such.
struct Spool<'file> {
    file: &'file dyn VfsFile,
    path: &'file str,
    start: u64,
    length: u64,
    /// The zeros at the end of `length`, which are not in the file yet.
    blank: u64,
    hasher: blake3::Hasher,
    check: xxhash_rust::xxh3::Xxh3,
}

impl<'file> Spool<'file> {
    fn begin((file, path): (&'file dyn VfsFile, &'file str), start: u64) -> io::Result<Self> {
        file.append(&file_header())?;
        let gap = start + record::HEADER_SIZE as u64 - file_header().len() as u64;
        file.append(&vec![0; usize::try_from(gap).map_err(io::Error::other)?])?;
        let (hasher, check) = (BodyId::hasher(), xxhash_rust::xxh3::Xxh3::new());
        Ok(Self { file, path, start, length: 0, blank: 0, hasher, check })
    }

    /// Adds all that a reader gives.
    fn read(&mut self, reader: &mut dyn Read) -> Result<(), WriteError> {
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            source((&mut *reader).take(PIECE as u64).read_to_end(&mut piece))?;
            if piece.is_empty() {
                return Ok(());
            }
            self.add(&piece)?;
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        for run in sparse::runs(bytes, self.length) {
            match run {
                Run::Zeros(count) => self.skip(count)?,
                Run::Data(bytes) => {
                    self.fill().and_then(|()| self.file.append(bytes)).writing(self.path)?;
                    self.hasher.update(bytes);
                    self.check.update(bytes);
                    self.length += bytes.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Adds zeros.
    fn skip(&mut self, count: u64) -> Result<(), WriteError> {
        self.length += count;
        self.blank += count;
        Run::Zeros(count).each(&mut |zeros| {
            self.hasher.update(zeros);
            self.check.update(zeros);
            Ok(())
        })
    }

    /// Brings the file to the end of what was added.
    fn fill(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.blank) {
            0 => Ok(()),
            count => self.file.extend(count),
        }
    }

    fn finish(mut self, name: ObjectName) -> io::Result<()> {
        self.fill()?;
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

/// How a body lies in a pack that it shares with others. A good part of zeros is worth the copy
/// that reading then costs.
fn encoding(bytes: &[u8]) -> Encoding {
    let is_blank = || sparse::blank(bytes) >= bytes.len() as u64 / BLANK_PART;
    if bytes.len() < COMPRESS_BELOW || is_blank() { Encoding::Zstd } else { Encoding::Raw }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layer::codec::Codec;
    use crate::layer::export::{export, measure};
    use crate::layers::LayerRecord;
    use crate::live::materialise::unpack;
    use crate::live::tests::Trial;
    use crate::path::LayerPath;
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{self, Metadata, Node, Tree};

    const MIB: u64 = 1 << 20;
    /// Longer than what is read at once, and of no round length.
    const SIZE: u64 = 40 * MIB + 4097;

    /// A file that is nearly all zeros.
    fn sparse_file() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        file.write_all_at(b"one", 9 * MIB + 5).unwrap();
        file.write_all_at(&[2; 5000], 33 * MIB).unwrap();
        file
    }

    fn plain(file: &mut File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn tree_of(body: BodyId) -> Tree {
        let mut builder = TreeBuilder::new();
        let node = Node::File(entry::File { body, size: SIZE, link: None });
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        builder.insert(&LayerPath::parse(b"f").unwrap(), metadata, node).unwrap();
        builder.finish()
    }

    fn holds_holes(file: &File) -> bool {
        file.metadata().unwrap().blocks() * 512 < MIB
    }

    #[test]
    fn a_sparse_file_takes_no_space_in_the_store_nor_when_it_is_unpacked() {
        let (trial, mut file) = (Trial::new(), sparse_file());
        let bytes = plain(&mut file);
        let (id, length) = trial.lease.body_from_file(&mut file, SIZE).unwrap();
        assert_eq!((id, length), (BodyId::of(&bytes), SIZE));
        trial.lease.commit(Batch::new(), Durability::Durable).unwrap();
        let store = trial.another();
        assert!(*store.body(&id).unwrap().unwrap().load().unwrap() == bytes);
        let into = trial.directory.path().join("into");
        std::fs::create_dir(&into).unwrap();
        unpack(&tree_of(id), &store, &into).unwrap();
        let mut out = File::open(into.join("f")).unwrap();
        assert!(plain(&mut out) == bytes);
        // Where the file system has holes at all.
        if holds_holes(&file) {
            assert!(store.usage().unwrap().packs < MIB);
            assert!(holds_holes(&out));
        }
    }

    #[test]
    fn zeros_that_come_from_a_reader_or_from_blocks_are_the_same_body() {
        let (trial, mut file) = (Trial::new(), sparse_file());
        let bytes = plain(&mut file);
        let read = trial.lease.body_from_reader(&mut &bytes[..], 0).unwrap();
        assert_eq!(trial.lease.body_from_file(&mut file, SIZE).unwrap(), read);
        for changed in [SIZE - 4000, SIZE + MIB] {
            assert_eq!(trial.lease.body_from_file(&mut file, changed).unwrap(), read);
        }
    }

    #[test]
    fn a_short_body_of_zeros_is_compressed() {
        let trial = Trial::new();
        let mut bytes = vec![1; 6 << 20];
        bytes[1 << 20..].fill(0);
        let id = trial.lease.put_body(&bytes).unwrap();
        trial.lease.commit(Batch::new(), Durability::Durable).unwrap();
        assert!(*trial.another().body(&id).unwrap().unwrap().load().unwrap() == bytes);
        assert!(trial.lease.store().usage().unwrap().packs < MIB);
    }

    #[test]
    fn holes_make_the_same_layers_as_zeros() {
        let made = [false, true].map(|sparse| {
            let (trial, mut file) = (Trial::new(), sparse_file());
            let id = if sparse {
                trial.lease.body_from_file(&mut file, SIZE).unwrap().0
            } else {
                let bytes = plain(&mut file);
                let id = BodyId::of(&bytes);
                let put = trial.lease.put(Kind::Body, id.as_bytes(), Encoding::Raw, &bytes);
                put.unwrap();
                id
            };
            let (tree, store) = (tree_of(id), trial.lease.store());
            let mut record = LayerRecord::new(crate::id::LayerId::of(b"layer"));
            record.tree = Some(trial.lease.put_tree(&tree).unwrap());
            let measured = measure(&tree, store).unwrap();
            let blobs = [Codec::GZIP, Codec::ZSTD]
                .map(|codec| export(&trial.lease, &mut record, codec).unwrap().digest);
            let mut stream = crate::layer::blob_view::TarStream::new(store, &tree);
            let mut tar = Vec::new();
            stream.read_to_end(&mut tar).unwrap();
            assert_eq!(crate::digest::Digest::of(&tar), measured.diff_id.0);
            (measured.diff_id, blobs)
        });
        assert_eq!(made[0], made[1]);
    }
}
