//! Refs: names of images, each for the descriptor of a manifest or index.

use crate::error::{ReadError, malformed};
use crate::journal::batch::{Batch, Table};
use crate::layers::{decode_descriptor, encode_descriptor};
use crate::oci::descriptor::Descriptor;
use crate::store::Store;

impl Batch {
    /// Makes a name stand for a manifest or index.
    pub fn set_ref(&mut self, name: &str, descriptor: &Descriptor) -> &mut Self {
        self.put(Table::Refs, name.as_bytes(), encode_descriptor(descriptor))
    }

    /// Takes a name away.
    pub fn remove_ref(&mut self, name: &str) -> &mut Self {
        self.delete(Table::Refs, name.as_bytes())
    }
}

impl Store {
    /// What a name stands for.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn find_ref(&self, name: &str) -> Result<Option<Descriptor>, ReadError> {
        let Some(bytes) = self.journal().get(Table::Refs, name.as_bytes()) else {
            return Ok(None);
        };
        decode_descriptor(&bytes).map(Some).ok_or_else(|| malformed("a ref"))
    }

    /// All names, sorted, with what they stand for.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn list_refs(&self) -> Result<Vec<(String, Descriptor)>, ReadError> {
        let rows = self.journal().scan(Table::Refs).into_iter();
        rows.map(|(key, value)| {
            let name = String::from_utf8(key).ok();
            name.zip(decode_descriptor(&value)).ok_or_else(|| malformed("a ref"))
        })
        .collect()
    }
}
