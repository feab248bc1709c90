//! A source of images whose transfers can be broken off.

use std::fmt;
use std::io::{self, Read};

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
        Box::new(Ending { blob, check: self.check })
    }
}

impl fmt::Debug for Interruptible<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Interruptible").finish_non_exhaustive()
    }
}

struct Ending<'a> {
    blob: Box<dyn Read + Send + 'a>,
    check: &'a (dyn Fn() -> io::Result<()> + Sync),
}

impl Read for Ending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.check)()?;
        self.blob.read(buffer)
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
        let mut reader = Ending { blob: Box::new(io::Cursor::new([1, 2])), check: &check };
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 1);
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.read(&mut [0; 1]).is_err());
    }
}
