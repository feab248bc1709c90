//! The packs a lease is writing: one at a time, readable by this process from the first byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, mem};

use xxhash_rust::xxh3::Xxh3;

use crate::bytes::FileBytes;
use crate::error::{At, Poison, ReadCause, ReadError, WriteError};
use crate::object::{Encoding, ObjectName};
use crate::pack::footer::{self, Entry};
use crate::pack::frame;
use crate::pack::reader::Pack;
use crate::pack::record::{self, RecordHeader};
use crate::pack::{HEADER_SIZE, MAGIC};
use crate::spare;
use crate::vfs::{Vfs, VfsFile, read_exact_at};

/// A pack is finished, and the next one begun, when it has grown to this size: large enough to
/// keep packs few, small enough that rewriting one during garbage collection stays cheap.
const TARGET_SIZE: u64 = 128 * 1024 * 1024;

/// Objects of this length and more are compressed only where that saves one part in [`SAVED_PART`].
const LONG: usize = 16 * 1024;
const SAVED_PART: usize = 8;

/// Bytes collected before they are handed to the kernel.
const BUFFER_SIZE: usize = 1024 * 1024;

/// So much is handed to the disk at once while more comes: enough to keep it busy, and more than an ordinary
/// commit has, whose sync comes at once.
const WRITEBACK_SIZE: u64 = 8 * 1024 * 1024;

/// Writes packs into a private directory. Shared between threads by reference.
///
/// Nothing is visible to other processes before a lease publishes the finished packs.
#[derive(Debug)]
pub struct PackWriter {
    vfs: Arc<dyn Vfs>,
    directory: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    open: Option<OpenPack>,
    finished: Vec<Arc<Pack>>,
}

/// An encoded object on its way into a pack.
#[derive(Debug)]
struct Record<'bytes> {
    header: RecordHeader,
    payload: Payload<'bytes>,
    hash: u64,
}

/// Where the stored bytes of an object come from.
#[derive(Clone, Copy, Debug)]
enum Payload<'bytes> {
    Memory(&'bytes [u8]),
    Elsewhere(&'bytes FileBytes),
}

#[derive(Debug)]
struct OpenPack {
    path: String,
    file: Box<dyn VfsFile>,
    flushed: u64,
    /// How much of that the disk was told to write.
    handed: u64,
    buffer: Vec<u8>,
    entries: HashMap<ObjectName, Entry>,
    poison: Option<Poison>,
}

impl PackWriter {
    /// A writer whose packs lie in `directory`, which must exist and be ours alone.
    pub fn new(vfs: Arc<dyn Vfs>, directory: String) -> Self {
        Self { vfs, directory, state: Mutex::default() }
    }

    /// Stores an object, unless this writer has it already: then nothing is encoded. Encoding and
    /// hashing happen outside the lock.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn put(
        &self,
        name: &ObjectName,
        encoding: Encoding,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        if self.contains(name) {
            return Ok(());
        }
        if encoding == Encoding::Raw || record::MAX_DECODED < bytes.len() as u64 {
            return self.put_as(name, Encoding::Raw, (bytes, bytes));
        }
        frame::compressed(bytes, |packed| match packed {
            Ok(packed) if is_worth_it(packed.len(), bytes.len()) => {
                self.put_as(name, Encoding::Zstd, (bytes, packed))
            }
            Ok(_) | Err(_) => self.put_as(name, Encoding::Raw, (bytes, bytes)),
        })
    }

    /// Stores the bytes of an object as a payload.
    fn put_as(
        &self,
        name: &ObjectName,
        encoding: Encoding,
        (bytes, payload): (&[u8], &[u8]),
    ) -> Result<(), WriteError> {
        let (raw_len, stored_len) = (bytes.len() as u64, payload.len() as u64);
        let header = RecordHeader { name: *name, encoding, raw_len, stored_len };
        let hash = record::payload_hash(payload);
        self.append(&Record { header, payload: Payload::Memory(payload), hash })
    }

    /// As [`put`](Self::put), for bytes that may be too long for memory; those are stored as they
    /// are.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be read, or the store cannot be written.
    pub(crate) fn put_file(
        &self,
        name: &ObjectName,
        encoding: Encoding,
        bytes: &FileBytes,
    ) -> Result<(), WriteError> {
        if bytes.len() <= BUFFER_SIZE as u64 {
            return self.put(name, encoding, &bytes.load()?);
        }
        let mut hash = Xxh3::new();
        bytes.each::<ReadError>(&mut |piece| {
            hash.update(piece);
            Ok(())
        })?;
        let (raw_len, stored_len) = (bytes.len(), bytes.len());
        let header = RecordHeader { name: *name, encoding: Encoding::Raw, raw_len, stored_len };
        let payload = Payload::Elsewhere(bytes);
        self.append(&Record { header, payload, hash: hash.digest() })
    }

    /// Stores an object as a pack has it: nothing is decoded or encoded again.
    ///
    /// # Errors
    ///
    /// If the record cannot be read, or the store cannot be written.
    pub(crate) fn copy(&self, pack: &Pack, entry: &Entry) -> Result<(), WriteError> {
        let name = &entry.name;
        if self.contains(name) {
            return Ok(());
        }
        let Some((header, payload)) = pack.stored(entry)? else {
            return self.put_file(name, entry.encoding, &pack.body(entry)?);
        };
        let hash = record::payload_hash(&payload);
        self.append(&Record { header, payload: Payload::Memory(&payload), hash })
    }

    fn append(&self, record: &Record<'_>) -> Result<(), WriteError> {
        let mut state = self.lock();
        // Another thread may have put it meanwhile.
        if state.find(&record.header.name).is_some() {
            return Ok(());
        }
        if state.open.as_ref().is_some_and(|open| open.end() >= TARGET_SIZE) {
            self.finish_open(&mut state)?;
        }
        if state.open.is_none() {
            let path = self.next_path(&mut state);
            state.open = Some(OpenPack::create(&*self.vfs, path)?);
        }
        state.open.as_mut().expect("a pack was opened above").append(record)
    }

    /// A path in this writer's directory that nothing has yet.
    pub(crate) fn scratch_path(&self) -> String {
        self.next_path(&mut self.lock())
    }

    fn next_path(&self, state: &mut State) -> String {
        state.begun += 1;
        format!("{}/{}.part", self.directory, state.begun)
    }

    /// Whether this writer holds the object.
    pub fn contains(&self, name: &ObjectName) -> bool {
        self.lock().find(name).is_some()
    }

    /// The length of an object this writer holds.
    pub fn size_of(&self, name: &ObjectName) -> Option<u64> {
        self.lock().find(name).map(|entry| entry.raw_len)
    }

    /// Reads an object back; `None` where this writer does not hold it.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn get(&self, name: &ObjectName) -> Result<Option<FileBytes>, ReadError> {
        let state = self.lock();
        if let Some((pack, entry)) = state.find_finished(name) {
            let pack = Arc::clone(pack);
            drop(state);
            return pack.body(&entry).map(Some);
        }
        match &state.open {
            Some(open) => open.get(name),
            None => Ok(None),
        }
    }

    /// Completes the open pack and lists all that are complete and not yet published. They stay
    /// readable here until [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn finish(&self) -> Result<Vec<Arc<Pack>>, WriteError> {
        let mut state = self.lock();
        self.finish_open(&mut state)?;
        Ok(state.finished.clone())
    }

    /// Drops packs that can now be read from where they were published.
    pub fn forget(&self, published: &[Arc<Pack>]) {
        let known = |pack: &Arc<Pack>| published.iter().any(|done| Arc::ptr_eq(done, pack));
        self.lock().finished.retain(|pack| !known(pack));
    }

    fn finish_open(&self, state: &mut State) -> Result<(), WriteError> {
        let Some(mut open) = state.open.take() else { return Ok(()) };
        let done = open.complete().and_then(|()| Ok(Pack::open(&*self.vfs, &open.path)?));
        match done {
            Ok(pack) => {
                state.finished.push(Arc::new(pack));
                Ok(())
            }
            Err(error) => {
                // Kept, poisoned, so that nothing that needed it can be committed later.
                open.poison.get_or_insert(poison_of(&error));
                state.open = Some(open);
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another thread cannot leave a half-written record unnoticed: a failed append
        // poisons the pack itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the file system said that led to an error.
fn poison_of(error: &WriteError) -> Poison {
    if let WriteError::Io { source, .. } | WriteError::Poisoned { source, .. } = error {
        return Poison::of(source);
    }
    if let WriteError::Read(ReadError { cause: ReadCause::Io(source), .. }) = error {
        return Poison::of(source);
    }
    Poison::of(&io::ErrorKind::Other.into())
}

impl State {
    fn find(&self, name: &ObjectName) -> Option<Entry> {
        let open = self.open.as_ref().and_then(|open| open.entries.get(name)).copied();
        open.or_else(|| self.find_finished(name).map(|(_, entry)| entry))
    }

    fn find_finished(&self, name: &ObjectName) -> Option<(&Arc<Pack>, Entry)> {
        self.finished.iter().find_map(|pack| pack.find(name).map(|entry| (pack, entry)))
    }
}

impl OpenPack {
    fn create(vfs: &dyn Vfs, path: String) -> Result<Self, WriteError> {
        let file = vfs.create(&path).writing(&path)?;
        let mut buffer = Vec::with_capacity(BUFFER_SIZE);
        buffer.extend_from_slice(&file_header());
        let entries = HashMap::new();
        Ok(Self { path, file, flushed: 0, handed: 0, buffer, entries, poison: None })
    }

    fn end(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    fn append(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        self.check()?;
        let Record { header, payload, hash } = *record;
        let offset = record::place(self.end(), header.encoding, header.stored_len);
        let padding = offset - self.end();
        self.buffer.extend(std::iter::repeat_n(0, usize::try_from(padding).unwrap_or(0)));
        self.buffer.extend_from_slice(&header.encode(hash));
        match payload {
            Payload::Memory(payload) => self.add(payload)?,
            Payload::Elsewhere(payload) => payload.each(&mut |piece| self.add(piece))?,
        }
        let RecordHeader { name, encoding, raw_len, .. } = header;
        self.entries.insert(name, Entry { name, offset, encoding, raw_len });
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.buffer.len() + bytes.len() > BUFFER_SIZE {
            self.flush()?;
        }
        if bytes.len() > BUFFER_SIZE {
            return self.write(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let mut buffer = mem::take(&mut self.buffer);
        let done = self.write(&buffer);
        buffer.clear();
        self.buffer = buffer;
        done
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if let Err(error) = self.file.append(bytes) {
            self.poison = Some(Poison::of(&error));
            return Err(error).writing(&self.path);
        }
        self.flushed += bytes.len() as u64;
        if WRITEBACK_SIZE <= self.flushed - self.handed
            && self.file.begin_sync(self.handed..self.flushed)
        {
            self.handed = self.flushed;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), WriteError> {
        self.poison.map_or(Ok(()), |poison| Err(poison.error(&self.path)))
    }

    fn complete(&mut self) -> Result<(), WriteError> {
        self.check()?;
        let end = self.end().next_multiple_of(record::ALIGNMENT);
        self.buffer.resize(self.buffer.len() + usize::try_from(end - self.end()).unwrap_or(0), 0);
        // `footer::encode` sorts, so the order of the map does not reach the file.
        let entries = self.entries.values().copied().collect();
        let (bytes, _) = footer::encode(entries, end);
        self.buffer.extend_from_slice(&bytes);
        self.flush()?;
        self.file.seal().writing(&self.path)
    }

    fn get(&self, name: &ObjectName) -> Result<Option<FileBytes>, ReadError> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        self.read(entry).map(Some).map_err(|cause| ReadError::new(&*self.path, cause))
    }

    fn read(&self, entry: &Entry) -> Result<FileBytes, ReadCause> {
        let mut head = [0; record::HEADER_SIZE];
        self.read_bytes(&mut head, entry.offset)?;
        let header = RecordHeader::decode(&head)?;
        let length = usize::try_from(header.stored_len).map_err(|_| ReadCause::Truncated)?;
        let mut payload = spare::take(length);
        self.read_bytes(&mut payload, entry.offset + head.len() as u64)?;
        if !RecordHeader::is_intact(&head, &payload) || header.name != entry.name {
            return Err(ReadCause::Checksum { offset: entry.offset });
        }
        match header.encoding {
            Encoding::Raw => Ok(payload.into()),
            Encoding::Zstd => Ok(header.decompress(&payload)?.into()),
        }
    }

    /// Reads bytes that lie in the file, in the buffer, or begin in one and end in the other.
    fn read_bytes(&self, bytes: &mut [u8], offset: u64) -> Result<(), ReadCause> {
        let in_file = self.flushed.saturating_sub(offset).min(bytes.len() as u64);
        let (from_file, from_buffer) =
            bytes.split_at_mut(usize::try_from(in_file).unwrap_or(usize::MAX));
        read_exact_at(&*self.file, from_file, offset)?;
        let start = usize::try_from((offset + in_file).saturating_sub(self.flushed)).unwrap_or(0);
        let buffered = self.buffer.get(start..start + from_buffer.len());
        from_buffer.copy_from_slice(buffered.ok_or(ReadCause::Truncated)?);
        Ok(())
    }
}

/// The 64 bytes every pack begins with.
pub(crate) fn file_header() -> [u8; HEADER_SIZE] {
    let mut header = [0; HEADER_SIZE];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header
}

/// Whether bytes are to be a frame that is so long. Where they are not few it has to save something:
/// raw they are read without being decoded.
fn is_worth_it(frame: usize, bytes: usize) -> bool {
    if bytes < LONG { frame < bytes } else { frame <= bytes - bytes / SAVED_PART }
}
