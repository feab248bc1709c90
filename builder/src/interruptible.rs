//! A source of images whose transfers end when the build does.

use std::io::{self, Read};

use wythe_sandbox::Cancel;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};

/// Hands over what `images` does, until `cancel` is thrown.
pub(crate) struct Interruptible<'a> {
    pub(crate) images: &'a dyn ImageSource,
    pub(crate) cancel: &'a Cancel,
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
        Box::new(Ending { blob, cancel: self.cancel.clone() })
    }
}

struct Ending<'a> {
    blob: Box<dyn Read + Send + 'a>,
    cancel: Cancel,
}

impl Read for Ending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.blob.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_ends_when_the_switch_is_thrown() {
        let cancel = Cancel::new().unwrap();
        let mut reader = Ending { blob: Box::new(io::Cursor::new([1, 2])), cancel: cancel.clone() };
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 1);
        cancel.cancel();
        assert!(reader.read(&mut [0; 1]).is_err());
    }
}
