//! A source of images whose transfers can be broken off.

use std::fmt;
use std::io::{self, Read, Write};

use crate::oci::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError};

/// Hands over what `images` does, for as long as `check` has no objection.
pub struct Interruptible<'a> {
    /// What it asks.
    pub images: &'a dyn ImageSource,
    /// Asked before each read of a blob, which fails with its error.
    pub check: &'a (dyn Fn() -> io::Result<()> + Sync),
}

impl ImageSource for Interruptible<'_> {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        self.images.manifest(reference)
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        Ok(self.ending(self.images.blob(reference, descriptor)?))
    }

    fn elsewhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        Ok(self.ending(self.images.elsewhere(reference, descriptor)?))
    }

    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.images.resolve(reference)
    }
}

impl Interruptible<'_> {
    fn ending<'b>(&'b self, blob: Box<dyn Read + Send + 'b>) -> Box<dyn Read + Send + 'b> {
        Box::new(Ending::new(blob, self.check))
    }
}

impl fmt::Debug for Interruptible<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Interruptible").finish_non_exhaustive()
    }
}

/// Bytes on their way, for as long as `check` has no objection.
pub struct Ending<'a, T> {
    bytes: T,
    check: &'a (dyn Fn() -> io::Result<()> + Sync),
}

impl<'a, T> Ending<'a, T> {
    /// Asks `check` before each piece is read from or written to `bytes`, which fails with its error.
    pub fn new(bytes: T, check: &'a (dyn Fn() -> io::Result<()> + Sync)) -> Self {
        Self { bytes, check }
    }
}

impl<T: Read> Read for Ending<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.check)()?;
        self.bytes.read(buffer)
    }
}

impl<T: Write> Write for Ending<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.check)()?;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}

impl<T> fmt::Debug for Ending<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ending").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_transfer_ends_with_the_next_read() {
        let is_over = AtomicBool::new(false);
        let check = || {
            let is_over = is_over.load(Ordering::Relaxed);
            if is_over { Err(io::Error::other("cancelled")) } else { Ok(()) }
        };
        let mut reader = Ending::new(io::Cursor::new([1, 2]), &check);
        let mut writer = Ending::new(Vec::new(), &check);
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 1);
        assert_eq!(writer.write(&[0; 1]).unwrap(), 1);
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.read(&mut [0; 1]).is_err());
        assert!(writer.write(&[0; 1]).is_err());
    }
}
