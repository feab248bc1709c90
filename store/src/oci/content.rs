//! What exporters and pushes read from: content by descriptor.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crate::digest::{Digest, Hasher};
use crate::oci::descriptor::Descriptor;

/// How much is copied at a time: what a call costs is little beside it.
const BUFFER: usize = 128 << 10;

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

    /// Writes the content to `to`, and fails unless it was what the descriptor says.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`io::ErrorKind::InvalidData`] for other bytes; or if `to` fails.
    fn copy(&self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        copy_verified(&mut *self.open(descriptor)?, to, descriptor)
    }
}

/// Copies the content of `descriptor`, and fails unless it was exactly that.
pub(crate) fn copy_verified(
    from: &mut dyn Read,
    to: &mut dyn Write,
    descriptor: &Descriptor,
) -> io::Result<()> {
    let mut hasher = Hasher::default();
    let mut copied = Copied { descriptor, left: descriptor.size };
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        copied.pass(count)?;
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
    copied.end()?;
    if hasher.finish() == descriptor.digest { Ok(()) } else { Err(damaged(descriptor)) }
}

/// Copies what is checked while it is read; only its length is looked at.
pub(crate) fn copy_checked(
    from: &mut dyn Read,
    to: &mut dyn Write,
    descriptor: &Descriptor,
) -> io::Result<()> {
    let mut copied = Copied { descriptor, left: descriptor.size };
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return copied.end();
        }
        copied.pass(count)?;
        to.write_all(&buffer[..count])?;
    }
}

/// How much of some content is still to come.
struct Copied<'a> {
    descriptor: &'a Descriptor,
    left: u64,
}

impl Copied<'_> {
    fn pass(&mut self, count: usize) -> io::Result<()> {
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| damaged(self.descriptor))?;
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        if self.left == 0 { Ok(()) } else { Err(damaged(self.descriptor)) }
    }
}

fn damaged(descriptor: &Descriptor) -> io::Error {
    let text = format!("content of {} is not what its digest says", descriptor.digest);
    io::Error::new(io::ErrorKind::InvalidData, text)
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

    fn copy(&self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        match self.0.copy(descriptor, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.1.copy(descriptor, to),
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
