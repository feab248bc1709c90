//! Bodies as the store has them: whole, or as a list of chunks.

use std::sync::Arc;

use crate::bytes::{Bytes, FileBytes};
use crate::chunk_list::ChunkList;
use crate::chunk_list::chunked::ReadChunk;
use crate::error::{ReadCause, ReadError};
use crate::id::BodyId;
use crate::lease::{Holdings, Lease};
use crate::object::{Kind, ObjectName};
use crate::store::Store;

impl Store {
    /// The bytes of a file. Those of a short one have been verified; those of a long one are, piece
    /// by piece, when they are looked at.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn body(&self, id: &BodyId) -> Result<Option<FileBytes>, ReadError> {
        if let Some(bytes) = self.read(Kind::Body, id.as_bytes())? {
            return Ok(Some(bytes));
        }
        let list = self.whole_list(id)?;
        Ok(list.map(|list| FileBytes::chunked(Arc::new(self.clone()), &list)))
    }

    /// Whether the store holds the bytes of a file. They are not looked at.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn has_body(&self, id: &BodyId) -> Result<bool, ReadError> {
        Ok(self.contains(Kind::Body, id.as_bytes())? || self.whole_list(id)?.is_some())
    }

    /// A list of chunks for a body, all of which are here.
    fn whole_list(&self, id: &BodyId) -> Result<Option<ChunkList>, ReadError> {
        for list in self.chunk_lists(id)? {
            if self.has_chunks(&list)? {
                return Ok(Some(list));
            }
        }
        Ok(None)
    }

    /// The lists that there are for a body. Different versions may have cut it differently, and of
    /// one list chunks may be gone that another does without.
    pub(crate) fn chunk_lists(&self, id: &BodyId) -> Result<Vec<ChunkList>, ReadError> {
        let name = ObjectName::new(Kind::ChunkList, id.as_bytes());
        let mut lists = Vec::new();
        let mut add = |bytes: &[u8]| -> Result<(), ReadError> {
            let malformed = || ReadError::new("packs", ReadCause::Malformed("a list of chunks"));
            let list = ChunkList::decode(bytes).ok_or_else(malformed)?;
            if !lists.contains(&list) {
                lists.push(list);
            }
            Ok(())
        };
        if let Some(bytes) = self.get(name.kind, &name.id)? {
            add(&bytes)?;
        }
        for pack in self.packs().holders(&name)? {
            if let Some(entry) = pack.find(&name) {
                add(&pack.read(&entry)?)?;
            }
        }
        Ok(lists)
    }

    /// The id of the body that a list makes, the one of no body where it is none; `None` where
    /// chunks are gone, which whoever needs them tells of, or cannot be read, as their pack tells.
    pub(crate) fn identify_list(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        let Some(list) = ChunkList::decode(bytes) else { return Some([0; 32]) };
        let mut hasher = BodyId::hasher();
        let body = FileBytes::chunked(Arc::new(self.clone()), &list);
        let read = body.each::<ReadError>(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        });
        read.ok().map(|()| *BodyId::from_hasher(&hasher).as_bytes())
    }

    fn has_chunks(&self, list: &ChunkList) -> Result<bool, ReadError> {
        for chunk in list.chunks() {
            if !self.contains(Kind::Body, chunk.as_bytes())? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl ReadChunk for Store {
    fn read_chunk(&self, id: &BodyId) -> Result<Bytes, ReadError> {
        let found = self.get(Kind::Body, id.as_bytes())?;
        // It was there when the body was opened.
        found.ok_or_else(|| ReadError::new(format!("chunk {id}"), ReadCause::Truncated))
    }
}

impl Lease {
    /// Whether the bytes of a file are here to stay.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn holds_body(&self, id: &BodyId) -> Result<bool, ReadError> {
        if self.holds(Kind::Body, id)? {
            return Ok(true);
        }
        if !self.holds(Kind::ChunkList, id)? {
            return Ok(false);
        }
        for list in self.store().chunk_lists(id)? {
            if self.holds_chunks(&list)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds_chunks(&self, list: &ChunkList) -> Result<bool, ReadError> {
        for chunk in list.chunks() {
            if !self.holds(Kind::Body, chunk)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, kind: Kind, id: &BodyId) -> Result<bool, ReadError> {
        let name = ObjectName::new(kind, id.as_bytes());
        Ok(self.writer().contains(&name) || self.is_published(&name)?)
    }
}

impl Holdings {
    /// Whether the bytes of a file are among them. What cannot be read is not.
    pub fn contain_body(&self, id: &BodyId) -> bool {
        let holds = |id: &BodyId| self.contain(Kind::Body, id.as_bytes());
        let list = || ChunkList::decode(&self.read(Kind::ChunkList, id.as_bytes())?);
        holds(id) || list().is_some_and(|list| list.chunks().all(holds))
    }
}
