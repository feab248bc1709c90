//! Blobs on their way from or to a registry, as values for whoever watches.

use std::io::{self, Read};

use crate::digest::Digest;
use crate::oci::descriptor::Descriptor;
use crate::oci::reference::Reference;
use crate::oci::source::{ImageSource, SourceError};

/// How far a blob has come.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The image it comes from, or goes to.
    pub reference: &'a Reference,
    /// The blob.
    pub digest: Digest,
    /// What became of it.
    pub state: TransferState,
    /// How many of its bytes have passed.
    pub bytes: u64,
    /// How many it has.
    pub size: u64,
}

/// Which way a blob goes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// Into the store.
    Pull,
    /// To a registry.
    Push,
}

/// What became of a blob so far. All but the first are the last that is told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransferState {
    /// It is on its way.
    Moving,
    /// All of it has passed.
    Done,
    /// The other side took it from a repository next to the one it goes to.
    Mounted,
    /// It was there already.
    Present,
}

/// Is told of blobs on their way, from several threads. Must be quick.
pub trait Transfers: Sync {
    /// A blob has come further.
    fn transferred(&self, transfer: &Transfer<'_>);
}

/// Tells nobody.
impl Transfers for () {
    fn transferred(&self, _: &Transfer<'_>) {}
}

/// Decides when there is something to tell: often enough for a bar that moves, seldom enough that
/// nobody notices the cost.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    size: u64,
    bytes: u64,
    told: u64,
}

impl Meter {
    /// As many parts as a bar has.
    const PARTS: u64 = 100;

    /// The least that is worth telling, in bytes.
    const LEAST: u64 = 256 << 10;

    /// Of a blob of `size` bytes, none of which has passed.
    pub fn new(size: u64) -> Self {
        Self { size, bytes: 0, told: 0 }
    }

    /// Counts bytes that passed; gives their number so far where that is worth telling.
    pub fn pass(&mut self, count: u64) -> Option<u64> {
        self.bytes += count;
        let step = (self.size / Self::PARTS).max(Self::LEAST);
        let due = step <= self.bytes - self.told;
        due.then(|| self.told = self.bytes).map(|()| self.bytes)
    }

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A source of images that tells what is read of it.
pub struct Watched<'a> {
    /// The source.
    pub images: &'a dyn ImageSource,
    /// Who is told.
    pub transfers: &'a dyn Transfers,
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl ImageSource for Watched<'_> {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        self.images.manifest(reference)
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let blob = self.images.blob(reference, descriptor)?;
        Ok(self.telling(reference, descriptor, blob))
    }

    fn elsewhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let blob = self.images.elsewhere(reference, descriptor)?;
        Ok(self.telling(reference, descriptor, blob))
    }

    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.images.resolve(reference)
    }
}

impl Watched<'_> {
    fn telling<'b>(
        &'b self,
        reference: &Reference,
        descriptor: &Descriptor,
        blob: Box<dyn Read + Send + 'b>,
    ) -> Box<dyn Read + Send + 'b> {
        let (reference, digest) = (reference.clone(), descriptor.digest);
        let (meter, state) = (Meter::new(descriptor.size), TransferState::Moving);
        let mut telling =
            Telling { blob, transfers: self.transfers, reference, digest, meter, state };
        telling.tell(TransferState::Moving);
        Box::new(telling)
    }
}

/// A blob that tells how far it was read.
struct Telling<'a> {
    blob: Box<dyn Read + Send + 'a>,
    transfers: &'a dyn Transfers,
    reference: Reference,
    digest: Digest,
    meter: Meter,
    state: TransferState,
}

impl Telling<'_> {
    fn tell(&mut self, state: TransferState) {
        let Self { ref reference, digest, meter, .. } = *self;
        let (direction, bytes, size) = (Direction::Pull, meter.bytes(), meter.size);
        self.state = state;
        self.transfers.transferred(&Transfer { direction, reference, digest, state, bytes, size });
    }
}

impl Read for Telling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        if self.meter.pass(count as u64).is_some() {
            self.tell(TransferState::Moving);
        }
        let ended = self.meter.bytes() == self.meter.size;
        if ended && self.state == TransferState::Moving {
            self.tell(TransferState::Done);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::oci::media_type::MediaType;

    struct Zeros;

    impl ImageSource for Zeros {
        fn manifest(&self, _: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
            unreachable!("nobody asks for documents here")
        }

        fn blob(
            &self,
            _: &Reference,
            descriptor: &Descriptor,
        ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
            Ok(Box::new(io::repeat(0).take(descriptor.size)))
        }
    }

    #[derive(Default)]
    struct Recorder(Mutex<Vec<(TransferState, u64)>>);

    impl Transfers for Recorder {
        fn transferred(&self, transfer: &Transfer<'_>) {
            self.0.lock().unwrap().push((transfer.state, transfer.bytes));
        }
    }

    fn told(size: u64) -> Vec<(TransferState, u64)> {
        let told = Recorder::default();
        let watched = Watched { images: &Zeros, transfers: &told };
        let descriptor = Descriptor::new(MediaType::LAYER, Digest::of(b""), size);
        let name = "example.org/base".parse().unwrap();
        io::copy(&mut watched.blob(&name, &descriptor).unwrap(), &mut io::sink()).unwrap();
        told.0.into_inner().unwrap()
    }

    #[test]
    fn a_blob_is_told_of_from_its_beginning_to_its_end_and_once_at_the_end() {
        for size in [0, 1, 100 << 20] {
            let told = told(size);
            assert_eq!(told[0], (TransferState::Moving, 0));
            let (last, before) = told.split_last().unwrap();
            assert_eq!(*last, (TransferState::Done, size));
            assert!(before.iter().all(|(state, _)| *state == TransferState::Moving));
            assert!(told.is_sorted_by_key(|(_, bytes)| *bytes));
            assert!(told.len() <= 103, "{}", told.len());
        }
    }
}
