//! A finished pack, mapped.

use std::convert::Infallible;

use xxhash_rust::xxh3::Xxh3;

use crate::bytes::Bytes;
use crate::error::{At, ReadCause, ReadError};
use crate::map::Mapping;
use crate::object::{Encoding, ObjectName};
use crate::pack::footer::{Entry, Footer};
use crate::pack::record::{HEADER_SIZE, RecordHeader, payload_hash};
use crate::pack::writer::file_header;
use crate::pack::{MAGIC, PackName};
use crate::sparse::Run;
use crate::vfs::Vfs;

/// A pack whose records can be read. Stays readable after its file has been unlinked.
#[derive(Debug)]
pub struct Pack {
    path: String,
    map: Mapping,
    footer: Footer,
}

impl Pack {
    /// Maps a finished pack and checks that it is complete.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn open(vfs: &dyn Vfs, path: &str) -> Result<Self, ReadError> {
        let map = vfs.open(path).and_then(|file| file.map()).reading(path)?;
        if !map.starts_with(&MAGIC) {
            return Err(ReadError::new(path, ReadCause::Malformed("header of a pack")));
        }
        let footer = Footer::decode(&map).map_err(|cause| ReadError::new(path, cause))?;
        Ok(Self { path: path.to_owned(), map, footer })
    }

    /// The name the pack's table gives it.
    pub fn name(&self) -> PackName {
        self.footer.name
    }

    /// Where the pack was when it was opened.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Length of the file.
    pub fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// Looks an object up in the table.
    pub fn find(&self, name: &ObjectName) -> Option<Entry> {
        self.footer.find(&self.map, name)
    }

    /// All entries of the table.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.footer.entries(&self.map)
    }

    /// Whether the table is the one the pack was written with.
    pub fn table_is_intact(&self) -> bool {
        self.footer.verify(&self.map)
    }

    /// Whether the header is the one every pack has.
    pub fn header_is_intact(&self) -> bool {
        self.map.starts_with(&file_header())
    }

    /// Whether what lies between the records is zero, as it was written.
    pub fn gaps_are_zero(&self) -> bool {
        let mut entries: Vec<Entry> = self.entries().collect();
        entries.sort_unstable_by_key(|entry| entry.offset);
        let mut at = file_header().len();
        for entry in &entries {
            let Some((start, end)) = self.extent(entry) else { return false };
            if self.map.get(at..start).is_none_or(|gap| gap.iter().any(|byte| *byte != 0)) {
                return false;
            }
            at = end;
        }
        let gap = self.map.get(at..self.footer.table.start);
        gap.is_some_and(|gap| gap.iter().all(|byte| *byte == 0))
    }

    /// Where a record begins and ends.
    fn extent(&self, entry: &Entry) -> Option<(usize, usize)> {
        let start = usize::try_from(entry.offset).ok()?;
        let header = RecordHeader::decode(self.map.get(start..)?.first_chunk()?).ok()?;
        let stored = usize::try_from(header.stored_len).ok()?;
        Some((start, start.checked_add(HEADER_SIZE)?.checked_add(stored)?))
    }

    /// Reads the object an entry of this pack's table describes.
    ///
    /// # Errors
    ///
    /// [`ReadCause::Checksum`] where a byte of the record has changed since it was written.
    pub fn read(&self, entry: &Entry) -> Result<Bytes, ReadError> {
        self.read_record(entry).map_err(|cause| ReadError::new(&*self.path, cause))
    }

    fn read_record(&self, entry: &Entry) -> Result<Bytes, ReadCause> {
        let records = &self.map[..self.footer.table.start];
        let offset = usize::try_from(entry.offset).map_err(|_| ReadCause::Truncated)?;
        let record = records.get(offset..).ok_or(ReadCause::Truncated)?;
        let (head, rest) = record.split_first_chunk().ok_or(ReadCause::Truncated)?;
        let header = RecordHeader::decode(head)?;
        let stored = usize::try_from(header.stored_len).map_err(|_| ReadCause::Truncated)?;
        let payload = rest.get(..stored).ok_or(ReadCause::Truncated)?;
        let start = offset + HEADER_SIZE;
        let bytes = Bytes::mapped(self.map.clone(), start..start + stored);
        let whole = || (payload_hash(payload), stored);
        let (hash, n_seen) = if self.map.has_holes() { seen(&bytes) } else { whole() };
        self.map.note_read(n_seen);
        let same = header.name == entry.name && header.raw_len == entry.raw_len;
        if !RecordHeader::is_intact_with(head, hash) || !same {
            return Err(ReadCause::Checksum { offset: entry.offset });
        }
        match header.encoding {
            Encoding::Zstd => Ok(header.decompress(payload)?.into()),
            Encoding::Raw => Ok(bytes),
        }
    }
}

/// The hash of a payload, and how much of it had to be looked at.
fn seen(payload: &Bytes) -> (u64, usize) {
    let (mut hasher, mut n_seen) = (Xxh3::new(), 0);
    for run in payload.runs(0..payload.len()) {
        if let Run::Data(bytes) = run {
            n_seen += bytes.len();
        }
        let Ok(()) = run.each::<Infallible>(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        });
    }
    (hasher.digest(), n_seen)
}
