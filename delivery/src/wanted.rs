//! Transfers that end when nobody wants them any more.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};

/// Whether something is wanted, which it is at first.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    is_over: AtomicBool,
}

impl Wanted {
    /// It is wanted no more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(io::Error::other("wanted no more"));
        }
        Ok(())
    }
}

/// Hands over what `images` does, for as long as it is wanted.
pub(crate) struct WhileWanted<'a> {
    pub(crate) images: &'a dyn ImageSource,
    pub(crate) wanted: &'a Wanted,
}

impl ImageSource for WhileWanted<'_> {
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

impl WhileWanted<'_> {
    fn ending<'b>(&'b self, blob: Box<dyn Read + Send + 'b>) -> Box<dyn Read + Send + 'b> {
        Box::new(Ending { blob, wanted: self.wanted })
    }
}

struct Ending<'a> {
    blob: Box<dyn Read + Send + 'a>,
    wanted: &'a Wanted,
}

impl Read for Ending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wanted.check()?;
        self.blob.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_ends_when_nobody_wants_it() {
        let wanted = Wanted::default();
        let mut reader = Ending { blob: Box::new(io::Cursor::new([1, 2])), wanted: &wanted };
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 1);
        wanted.end();
        assert!(reader.read(&mut [0; 1]).is_err());
    }
}
