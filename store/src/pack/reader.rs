//! A finished pack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::Xxh3;

use crate::bytes::{Bytes, FileBytes};
use crate::error::{ReadCause, ReadError};
use crate::object::{Encoding, ObjectName};
use crate::pack::PackName;
use crate::pack::footer::{Entry, Footer};
use crate::pack::record::{HEADER_SIZE, RecordHeader, payload_hash};
use crate::pack::scan;
use crate::pack::writer::file_header;
use crate::sealed::Sealed;
use crate::sparse::Run;
use crate::vfs::Vfs;

/// Raw payloads longer than this stay in the pack, and are read in pieces by whoever uses them:
/// memory does not grow with the files of an image.
const IN_MEMORY: u64 = 1024 * 1024;

/// What is read of a record at once, in the hope that it is all of it. Most objects are shorter.
const AT_ONCE: u64 = 64 * 1024;

/// A pack whose records can be read.
#[derive(Debug)]
pub struct Pack {
    file: Arc<Sealed>,
    footer: Footer,
    relied_on: AtomicBool,
}

/// The header of a record, and of its payload what came with it.
struct Beginning {
    head: [u8; HEADER_SIZE],
    header: RecordHeader,
    /// All of a short payload; nothing of a long one.
    payload: Option<Vec<u8>>,
    /// Where the payload lies.
    start: u64,
}

impl Pack {
    /// Opens a finished pack and checks that it is complete. It stays readable after its file has
    /// been unlinked.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn open(vfs: &dyn Vfs, path: &str) -> Result<Self, ReadError> {
        Self::of(Sealed::open(vfs, path)?)
    }

    /// As [`open`](Self::open), but the file is opened again for every read.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn open_each_time(vfs: &Arc<dyn Vfs>, path: &str) -> Result<Self, ReadError> {
        Self::of(Sealed::at(vfs, path)?)
    }

    /// A pack whose table is lost: what of its records is intact, found by reading all of it.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub(crate) fn without_table(vfs: &dyn Vfs, path: &str) -> Result<Self, ReadError> {
        let file = Sealed::open(vfs, path)?;
        let footer = Footer::of(scan::records(&file), file.size());
        Ok(Self { file: Arc::new(file), footer, relied_on: AtomicBool::new(false) })
    }

    fn of(file: Sealed) -> Result<Self, ReadError> {
        let footer = Footer::read(&file)?;
        Ok(Self { file: Arc::new(file), footer, relied_on: AtomicBool::new(false) })
    }

    /// The name the pack's table gives it.
    pub fn name(&self) -> PackName {
        self.footer.name
    }

    /// Where the pack was when it was opened.
    pub fn path(&self) -> &str {
        self.file.path()
    }

    /// Length of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Marks the pack as one that somebody relies on; says whether that is new.
    pub(crate) fn rely(&self) -> bool {
        !self.relied_on.load(Ordering::Relaxed) && !self.relied_on.swap(true, Ordering::Relaxed)
    }

    /// Looks an object up in the table.
    pub fn find(&self, name: &ObjectName) -> Option<Entry> {
        self.footer.find(name)
    }

    /// At which place of the table an object stands.
    pub fn place(&self, name: &ObjectName) -> Option<usize> {
        self.footer.place(name)
    }

    /// How many entries the table has.
    pub fn n_entries(&self) -> usize {
        self.footer.n_entries()
    }

    /// The entry at a place of the table.
    pub fn entry(&self, at: usize) -> Option<Entry> {
        self.footer.entry(at)
    }

    /// All entries of the table.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.footer.entries()
    }

    /// Whether the table is the one the pack was written with.
    pub fn table_is_intact(&self) -> bool {
        self.footer.verify()
    }

    /// Whether what lies around the records is as every pack has it: the header, and zeros.
    ///
    /// # Errors
    ///
    /// If the pack cannot be read, or has been cut off.
    pub fn space_is_intact(&self) -> Result<bool, ReadError> {
        let mut entries: Vec<Entry> = self.entries().collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        let mut at = file_header().len() as u64;
        if self.file.read(0..at)? != file_header() {
            return Ok(false);
        }
        for entry in &entries {
            let Ok(beginning) = self.beginning(entry, 0) else { return Ok(false) };
            if entry.offset < at || !self.is_zero(at..entry.offset)? {
                return Ok(false);
            }
            at = beginning.start.saturating_add(beginning.header.stored_len);
        }
        Ok(at <= self.footer.start && self.is_zero(at..self.footer.start)?)
    }

    fn is_zero(&self, range: std::ops::Range<u64>) -> Result<bool, ReadError> {
        let mut zero = true;
        self.file.each_run::<ReadError>(range, &mut |run| {
            if let Run::Data(bytes) = run {
                zero &= bytes.iter().all(|byte| *byte == 0);
            }
            Ok(())
        })?;
        Ok(zero)
    }

    /// Reads the object an entry of this pack's table describes, into memory.
    ///
    /// # Errors
    ///
    /// [`ReadCause::Checksum`] where a byte of the record has changed since it was written.
    pub fn read(&self, entry: &Entry) -> Result<Bytes, ReadError> {
        self.body(entry)?.load()
    }

    /// As [`read`](Self::read), but what is long stays in the pack.
    ///
    /// # Errors
    ///
    /// [`ReadCause::Checksum`] where a byte of the record has changed since it was written.
    pub fn body(&self, entry: &Entry) -> Result<FileBytes, ReadError> {
        let Beginning { head, header, payload, start } = self.beginning(entry, AT_ONCE)?;
        let stored = start..start + header.stored_len;
        let short = header.encoding == Encoding::Zstd || header.stored_len <= IN_MEMORY;
        let (hash, payload) = match payload {
            Some(payload) => (payload_hash(&payload), Some(payload)),
            None if short => {
                let payload = self.file.read(stored.clone())?;
                (payload_hash(&payload), Some(payload))
            }
            None => (self.hash(stored.clone())?, None),
        };
        let same = header.name == entry.name && header.raw_len == entry.raw_len;
        if !RecordHeader::is_intact_with(&head, hash) || !same {
            return Err(self.error(ReadCause::Checksum { offset: entry.offset }));
        }
        match (header.encoding, payload) {
            (Encoding::Zstd, Some(payload)) => {
                let bytes = header.decompress(&payload).map_err(|cause| self.error(cause))?;
                Ok(bytes.into())
            }
            (_, Some(payload)) => Ok(payload.into()),
            (_, None) => Ok(FileBytes::stored(Arc::clone(&self.file), stored)),
        }
    }

    /// What lies in the record of an entry, without being decoded; `None` where that is too long for
    /// memory, and then it is raw.
    ///
    /// # Errors
    ///
    /// [`ReadCause::Checksum`] where a byte of the record has changed since it was written.
    pub(crate) fn stored(
        &self,
        entry: &Entry,
    ) -> Result<Option<(RecordHeader, Vec<u8>)>, ReadError> {
        let Beginning { head, header, payload, start } = self.beginning(entry, AT_ONCE)?;
        let payload = match payload {
            Some(payload) => payload,
            None if header.encoding == Encoding::Raw && IN_MEMORY < header.stored_len => {
                return Ok(None);
            }
            None => self.file.read(start..start + header.stored_len)?,
        };
        let same = header.name == entry.name && header.raw_len == entry.raw_len;
        if !RecordHeader::is_intact(&head, &payload) || !same {
            return Err(self.error(ReadCause::Checksum { offset: entry.offset }));
        }
        Ok(Some((header, payload)))
    }

    /// Reads a record's header, and with it the payload if the two are no longer than `at_once`.
    fn beginning(&self, entry: &Entry, at_once: u64) -> Result<Beginning, ReadError> {
        let truncated = || self.error(ReadCause::Truncated);
        let room = self.footer.start.checked_sub(entry.offset).ok_or_else(truncated)?;
        // No payload is longer than what it decodes to.
        let whole = entry.raw_len.saturating_add(HEADER_SIZE as u64);
        let wanted = if whole <= at_once { whole } else { HEADER_SIZE as u64 };
        let mut bytes = self.file.read(entry.offset..entry.offset + wanted.min(room))?;
        let head = *bytes.first_chunk().ok_or_else(truncated)?;
        let header = RecordHeader::decode(&head).map_err(|cause| self.error(cause))?;
        if room - (HEADER_SIZE as u64) < header.stored_len {
            return Err(truncated());
        }
        let start = entry.offset + HEADER_SIZE as u64;
        let end = usize::try_from(header.stored_len).map_err(|_| truncated())?;
        let payload = (HEADER_SIZE.checked_add(end).is_some_and(|end| end <= bytes.len())
            && whole <= at_once)
            .then(|| {
                bytes.truncate(HEADER_SIZE + end);
                bytes.drain(..HEADER_SIZE);
                bytes
            });
        Ok(Beginning { head, header, payload, start })
    }

    /// The hash of a payload that is too long for memory.
    fn hash(&self, range: std::ops::Range<u64>) -> Result<u64, ReadError> {
        let mut hasher = Xxh3::new();
        self.file.each_run::<ReadError>(range, &mut |run| {
            run.each(&mut |bytes| {
                hasher.update(bytes);
                Ok(())
            })
        })?;
        Ok(hasher.digest())
    }

    fn error(&self, cause: ReadCause) -> ReadError {
        ReadError::new(self.path(), cause)
    }
}
