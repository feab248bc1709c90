//! Bodies: the bytes of regular files, each stored once.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;

use self::chunker::Chunker;
use crate::error::{At, WriteError};
use crate::format::Feature;
use crate::id::BodyId;
use crate::lease::Lease;
use crate::object::{Encoding, Kind, ObjectName};
use crate::spare;
use crate::sparse;

mod chunker;
pub(crate) mod named;
mod stored;

/// Bodies shorter than this are compressed: together they are most of the objects and few of the
/// bytes. Longer ones lie raw, so that they are read without a copy.
pub const COMPRESS_BELOW: usize = 16 * 1024;

/// Bodies of this length and more are lists of chunks, so that versions of a long file share what
/// they have in common, and memory does not grow with the file. Shorter ones are whole: most of
/// them change as a whole, and chunks compress worse.
const CHUNKS_FROM: usize = 8 * 1024 * 1024;

/// The first bodies that a lease stores are compressed although they are not shorter: so many bytes of them,
/// which takes a fiftieth of a second. A first build, which stores all, has no time for more, and reads it all again.
pub const COMPRESS_FEW: u64 = 8 * 1024 * 1024;

/// Those are shorter than this: whoever reads one has it in memory as a whole.
pub const COMPRESS_FEW_BELOW: usize = 1024 * 1024;

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
        if CHUNKS_FROM <= bytes.len() {
            return Ok(self.chunked(&mut |chunker| chunker.add(bytes))?.0);
        }
        self.put_piece(bytes)
    }

    /// Stores a body that is short, or a chunk of one.
    fn put_piece(&self, bytes: &[u8]) -> Result<BodyId, WriteError> {
        let id = BodyId::of(bytes);
        let name = ObjectName::new(Kind::Body, id.as_bytes());
        if !self.is_published(&name)? {
            self.writer().put(&name, self.encoding(bytes), bytes)?;
        }
        Ok(id)
    }

    /// How a body, or a chunk of one, lies in a pack. A good part of zeros is worth the copy that reading
    /// then costs, and so is room where there is little to store: versions of a project are stored one
    /// by one, and add up.
    fn encoding(&self, bytes: &[u8]) -> Encoding {
        let is_blank = || sparse::blank(bytes) >= bytes.len() as u64 / BLANK_PART;
        let is_one_of_few = || {
            let length = bytes.len() as u64;
            bytes.len() < COMPRESS_FEW_BELOW && self.squeeze(length) <= COMPRESS_FEW
        };
        if bytes.len() < COMPRESS_BELOW || is_blank() || is_one_of_few() {
            Encoding::Zstd
        } else {
            Encoding::Raw
        }
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
        let expected = usize::try_from(size_hint).unwrap_or(CHUNKS_FROM);
        let mut head = Vec::with_capacity(expected.min(CHUNKS_FROM));
        source((&mut *reader).take(CHUNKS_FROM as u64).read_to_end(&mut head))?;
        if head.len() < CHUNKS_FROM {
            return Ok((self.put_body(&head)?, head.len() as u64));
        }
        self.chunked(&mut |chunker| {
            chunker.add(&std::mem::take(&mut head))?;
            add_all(chunker, reader)
        })
    }

    /// As [`body_from_reader`](Self::body_from_reader), for all bytes of a file of about this size.
    /// Its holes are not read.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the store cannot be written.
    pub fn body_from_file(&self, file: &mut File, size: u64) -> Result<(BodyId, u64), WriteError> {
        if size < CHUNKS_FROM as u64 {
            return self.short_body(file, size);
        }
        let size = self.with_room(file)?;
        if size < CHUNKS_FROM as u64 {
            return self.short_body(file, size);
        }
        self.chunked(&mut |chunker| add_file(chunker, file, size))
    }

    /// Reads a file of about this size into memory that the thread keeps for the next one.
    fn short_body(&self, file: &mut File, size: u64) -> Result<(BodyId, u64), WriteError> {
        let size = usize::try_from(size).unwrap_or(CHUNKS_FROM);
        // One byte more: a read that does not get it was the last.
        let mut buffer = spare::take(spare::SHORTEST.max(size + 1));
        let length = source(fill(file, &mut buffer[..=size], size))?;
        let stored = if length <= size {
            self.put_body(&buffer[..length]).map(|id| (id, length as u64))
        } else {
            self.body_from_reader(&mut (&buffer[..length]).chain(file), 0)
        };
        spare::give(buffer);
        stored
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

    /// Stores a body as a list of chunks. `fill` adds its bytes.
    fn chunked(
        &self,
        fill: &mut dyn FnMut(&mut Chunker<'_>) -> Result<(), WriteError>,
    ) -> Result<(BodyId, u64), WriteError> {
        let put = |bytes: &[u8]| self.put_piece(bytes);
        let mut chunker = Chunker::new(&put);
        fill(&mut chunker)?;
        let (id, list) = chunker.finish()?;
        if self.holds_body(&id)? {
            return Ok((id, list.length()));
        }
        self.store().require(Feature::ChunkLists)?;
        // Should there be another list already, some of its chunks are gone.
        let name = ObjectName::new(Kind::ChunkList, id.as_bytes());
        self.writer().put(&name, Encoding::Raw, &list.encode())?;
        Ok((id, list.length()))
    }
}

/// Fills a buffer from the position of a file or stream, until it is full or that at its end. One that gives
/// `expected` bytes where more were asked for is at its end.
pub(crate) fn fill(from: &mut dyn Read, buffer: &mut [u8], expected: usize) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if length == expected {
            break;
        }
    }
    Ok(length)
}

/// Adds the bytes of a file of at least this size.
fn add_file(chunker: &mut Chunker<'_>, file: &mut File, size: u64) -> Result<(), WriteError> {
    let mut at = 0;
    while at < size {
        let data = source(sparse::next_data(file, at))?.unwrap_or(size).min(size);
        chunker.skip(data - at)?;
        at = source(sparse::next_hole(file, data, size))?.max(data);
        source(file.seek(SeekFrom::Start(data)))?;
        add_all(chunker, &mut (&mut *file).take(at - data))?;
    }
    // It may have grown, which the caller has to learn.
    source(file.seek(SeekFrom::Start(size)))?;
    add_all(chunker, file)
}

fn source<T>(read: io::Result<T>) -> Result<T, WriteError> {
    read.map_err(WriteError::Source)
}

/// Adds all that a reader gives.
fn add_all(chunker: &mut Chunker<'_>, reader: &mut dyn Read) -> Result<(), WriteError> {
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        source((&mut *reader).take(PIECE as u64).read_to_end(&mut piece))?;
        if piece.is_empty() {
            return Ok(());
        }
        chunker.add(&piece)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Class;
    use std::os::unix::fs::FileExt as _;

    use crate::chunk_list::{ChunkList, Piece};
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layer::codec::Codec;
    use crate::layer::export::{export, measure};
    use crate::layers::LayerRecord;
    use crate::live::materialise::unpack;
    use crate::live::tests::Trial;
    use crate::oci::descriptor::Descriptor;
    use crate::path::LayerPath;
    use crate::store::{OpenOptions, Store};
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{self, Metadata, Node, Tree};

    const MIB: u64 = 1 << 20;

    /// So many MiB of noise.
    fn noise(n_mib: usize, seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(n_mib << 20);
        while bytes.len() < n_mib << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes
    }

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
        unpack(&tree_of(id), (&store, store.unpacking_threads()), &into).unwrap();
        let mut out = File::open(into.join("f")).unwrap();
        assert!(plain(&mut out) == bytes);
        // Where the file system has holes at all.
        if holds_holes(&file) {
            assert!(store.usage().unwrap().of(Class::Bodies).bytes < MIB);
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
        assert!(trial.lease.store().usage().unwrap().of(Class::Bodies).bytes < MIB);
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

    /// The lists of chunks that the packs of a store have for a body.
    fn lists(trial: &Trial, id: &BodyId) -> Vec<crate::chunk_list::ChunkList> {
        trial.lease.store().chunk_lists(id).unwrap()
    }

    #[test]
    fn versions_of_a_long_file_share_what_they_have_in_common() {
        let (trial, n_versions, n_mib) = (Trial::new(), 5, 24);
        let mut bytes = noise(n_mib, 1);
        let mut ids = Vec::new();
        for version in 0..n_versions {
            // One edit in place for each ten MiB, and one that moves all that comes after it.
            for edit in 0..2 {
                let at = ((version * 7 + edit * 11) % (n_mib - 1)) << 20;
                bytes[at..at + (100 << 10)]
                    .copy_from_slice(&noise(1, (2 + version * 2 + edit) as u64)[..100 << 10]);
            }
            bytes.insert(version << 21, 7);
            ids.push((trial.lease.put_body(&bytes).unwrap(), bytes.clone()));
        }
        trial.lease.commit(Batch::new(), Durability::Durable).unwrap();
        let stored = trial.lease.store().usage().unwrap().of(Class::Bodies).bytes;
        assert!(stored * 3 < (n_versions * n_mib) as u64 * MIB, "{stored}");
        for (id, bytes) in ids {
            assert!(*trial.another().body(&id).unwrap().unwrap().load().unwrap() == bytes);
        }
    }

    #[test]
    fn a_body_is_cut_the_same_however_it_comes() {
        let (trial, mut file) = (Trial::new(), sparse_file());
        file.write_all_at(&noise(9, 3), 20 * MIB + 1234).unwrap();
        let bytes = plain(&mut file);
        let cut = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut chunker = Chunker::new(&|bytes| Ok(BodyId::of(bytes)));
            pieces.for_each(|piece| chunker.add(piece).unwrap());
            chunker.finish().unwrap()
        };
        let whole = cut(&mut [&bytes[..]].into_iter());
        assert_eq!(whole.0, BodyId::of(&bytes));
        assert_eq!(whole.1.length(), SIZE);
        for size in [10_001, 4096, 3 << 20, (8 << 20) + 1] {
            assert!(cut(&mut bytes.chunks(size)) == whole, "{size}");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert!(pool.install(|| cut(&mut bytes.chunks(1 << 20))) == whole);
        let (id, _) = trial.lease.body_from_file(&mut file, SIZE).unwrap();
        assert_eq!(lists(&trial, &id), [whole.1]);
    }

    #[test]
    fn a_long_body_reads_the_same_in_every_way() {
        let (trial, mut file) = (Trial::new(), sparse_file());
        file.write_all_at(&noise(9, 3), 20 * MIB + 1234).unwrap();
        let bytes = plain(&mut file);
        let (id, _) = trial.lease.body_from_file(&mut file, SIZE).unwrap();
        let body = trial.lease.store().body(&id).unwrap().unwrap();
        assert_eq!(body.len(), SIZE);
        assert!(*body.load().unwrap() == bytes);
        assert_eq!(body.digest().unwrap(), crate::digest::Digest::of(&bytes));
        let mut read = Vec::new();
        body.clone().reader().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        for range in [0..SIZE, 5..6, 20 * MIB..28 * MIB, 33 * MIB - 1..SIZE, SIZE..SIZE] {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            assert!(*body.piece(range.clone()).unwrap() == bytes[start..end], "{range:?}");
            let is_zero = bytes[start..end].iter().all(|byte| *byte == 0);
            assert!(is_zero || !body.is_hole(&range), "{range:?}");
        }
        assert!(body.is_hole(&(0..8 * MIB)));
    }

    #[test]
    fn a_long_body_without_one_of_its_chunks_is_none() {
        let trial = Trial::new();
        let id = BodyId::of(b"whole");
        let chunk = trial.lease.put_body(b"chunk").unwrap();
        let list = |chunks: &[BodyId]| {
            let piece = |chunk: &BodyId| Piece { length: 5, chunk: Some(*chunk) };
            ChunkList(chunks.iter().map(piece).collect()).encode()
        };
        let put = |bytes: &[u8]| {
            let name = ObjectName::new(Kind::ChunkList, id.as_bytes());
            let lease = trial.another().lease().unwrap();
            lease.put_body(b"chunk").unwrap();
            lease.writer().put(&name, Encoding::Raw, bytes).unwrap();
            lease.commit(Batch::new(), Durability::Relaxed).unwrap();
            trial.lease.store().refresh().unwrap();
        };
        put(&list(&[chunk, BodyId::of(b"gone")]));
        let store = trial.lease.store();
        assert!(store.body(&id).unwrap().is_none() && !store.has_body(&id).unwrap());
        assert!(!trial.lease.holds_body(&id).unwrap());
        assert!(!trial.lease.holdings().unwrap().contain_body(&id));
        // Somebody cuts it otherwise, and all of those are here.
        put(&list(&[chunk, chunk]));
        assert!(store.has_body(&id).unwrap() && trial.lease.holds_body(&id).unwrap());
        assert!(*store.body(&id).unwrap().unwrap().load().unwrap() == *b"chunkchunk");
        // The whole has another id, of which nobody but a check of all bytes can know.
        let damage = store.verify(crate::fsck::Depth::Full).unwrap();
        let [crate::fsck::damage::Damage::WrongObject { kind, .. }] = &damage[..] else {
            panic!("{damage:?}")
        };
        assert_eq!(*kind, Kind::ChunkList);
    }

    #[test]
    fn collection_follows_lists_of_chunks() {
        let (trial, bytes) = (Trial::new(), noise(9, 5));
        let (kept, dropped) = (trial.lease.put_body(&bytes).unwrap(), noise(9, 6));
        let dropped = trial.lease.put_body(&dropped).unwrap();
        let mut record = LayerRecord::new(crate::id::LayerId::of(b"layer"));
        let mut tree = TreeBuilder::new();
        let size = bytes.len() as u64;
        let node = Node::File(entry::File { body: kept, size, link: None });
        tree.insert(&LayerPath::parse(b"f").unwrap(), Metadata::default(), node).unwrap();
        record.tree = Some(trial.lease.put_tree(&tree.finish()).unwrap());
        record.diff_id = Some(crate::digest::DiffId(crate::digest::Digest::of(b"tar")));
        let manifest = format!("{{\"a\":\"{}\"}}", crate::digest::Digest::of(b"tar"));
        trial.lease.put_document(manifest.as_bytes()).unwrap();
        let mut batch = Batch::new();
        batch.put_layer(&record);
        let media_type = crate::oci::media_type::MediaType::MANIFEST;
        batch.set_ref("app", &Descriptor::of(media_type, manifest.as_bytes()));
        trial.lease.commit(batch, Durability::Durable).unwrap();
        let Trial { directory, lease } = trial;
        let store = lease.store().clone();
        drop(lease);
        store.prune(crate::gc::Policy::ImagesOnly).unwrap();
        let path = directory.path().join("store");
        for store in [&store, &Store::open(&path, &OpenOptions::default()).unwrap()] {
            assert!(*store.body(&kept).unwrap().unwrap().load().unwrap() == bytes);
            assert!(store.body(&dropped).unwrap().is_none());
            assert!(store.usage().unwrap().of(Class::Bodies).bytes < 10 * MIB);
            let damage = store.verify(crate::fsck::Depth::Full).unwrap();
            assert!(damage.is_empty(), "{damage:?}");
        }
    }
}
