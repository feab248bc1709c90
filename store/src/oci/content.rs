//! What exporters and pushes read from: content by descriptor.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::digest::Digest;
use crate::oci::descriptor::Descriptor;

/// Opens content by descriptor.
///
/// Implementations promise that the reader yields the named bytes or fails with an error.
pub trait Content: Sync {
    /// A reader of the content from its start.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if this holds no such content.
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// Content in memory: the documents of an image before anything stores them.
#[derive(Clone, Debug, Default)]
pub struct MemoryContent(BTreeMap<Digest, Vec<u8>>);

impl MemoryContent {
    /// Adds bytes under their digest.
    pub fn insert(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.0.insert(digest, bytes);
        digest
    }
}

impl Content for MemoryContent {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let bytes = self.0.get(&descriptor.digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}

/// Two places, the first of which wins.
#[derive(Clone, Copy)]
pub struct Layered<'a>(pub &'a dyn Content, pub &'a dyn Content);

impl std::fmt::Debug for Layered<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Layered")
    }
}

impl Content for Layered<'_> {
    fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.0.open(descriptor) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.1.open(descriptor),
            other => other,
        }
    }
}

/// Reads a whole document that `descriptor` names.
///
/// # Errors
///
/// If it cannot be read, is longer than announced, or is not what the descriptor names.
pub fn read_document(content: &dyn Content, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.open(descriptor)?.take(descriptor.size.saturating_add(1)).read_to_end(&mut bytes)?;
    crate::oci::document::verify(descriptor, &bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
