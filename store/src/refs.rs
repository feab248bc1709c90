//! Refs: names of images, each for the descriptor of a manifest or index.

use crate::digest::Digest;
use crate::error::{ReadError, malformed};
use crate::journal::batch::{Batch, Table};
use crate::journal::unread;
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

    /// All names, sorted, with what they stand for. Records that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn list_refs(&self) -> Result<Vec<(String, Descriptor)>, ReadError> {
        let rows = self.journal().scan(Table::Refs).into_iter();
        Ok(rows
            .filter_map(|(key, value)| unread::among_others("a ref", row(&key, &value)))
            .collect())
    }

    /// The digests in refs that cannot be read: what they stood for may still be wanted.
    pub(crate) fn unread_ref_digests(&self) -> Vec<Digest> {
        let rows = self.journal().scan(Table::Refs).into_iter();
        let unread = rows.filter(|(key, value)| !reads(key, value));
        unread.flat_map(|(_, value)| digests_within(&value)).collect()
    }
}

fn row(key: &[u8], value: &[u8]) -> Option<(String, Descriptor)> {
    Some((std::str::from_utf8(key).ok()?.to_owned(), decode_descriptor(value)?))
}

/// Whether a row of the table can be read.
pub(crate) fn reads(key: &[u8], value: &[u8]) -> bool {
    row(key, value).is_some()
}

/// What looks like a digest, in bytes of any form.
fn digests_within(bytes: &[u8]) -> Vec<Digest> {
    let length = "sha256:".len() + 64;
    let text = |window: &[u8]| std::str::from_utf8(window).ok()?.parse().ok();
    let begins = |window: &&[u8]| window.starts_with(b"sha256:");
    bytes.windows(length).filter(begins).filter_map(text).collect()
}
