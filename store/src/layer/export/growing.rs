//! A blob that is read while it is put together.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::bytes::Bytes;
use crate::error::ReadError;
use crate::layer::recipe::{Checksum, Piece};
use crate::object::ObjectName;
use crate::oci::descriptor::Descriptor;
use crate::oci::growing::GrowingContent;
use crate::store::Store;

/// So much of what came last is kept for whoever reads it: as much as comes while one piece is sent. Who is further
/// behind reads it from the store, and nobody who makes a blob waits for one who reads it.
const RECENT: usize = 16 << 20;

/// Who is told of a blob that begins to grow.
pub type Begun<'a> = &'a (dyn Fn(Arc<dyn GrowingContent>) + Sync);

/// A compressed layer, as far as it is made.
#[derive(Debug)]
struct GrowingBlob {
    store: Store,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The pieces, and where each starts.
    pieces: Vec<(u64, Piece)>,
    size: u64,
    /// The last pieces, by their numbers.
    recent: VecDeque<(usize, Bytes)>,
    recent_bytes: usize,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    Complete(Box<Descriptor>),
    GivenUp,
}

/// Whoever makes such a blob. It is given up where this is dropped before it is complete.
#[derive(Debug)]
pub(super) struct Growth(Arc<GrowingBlob>);

impl Growth {
    /// A blob that begins with nothing.
    pub(super) fn begin(store: &Store, begun: Begun<'_>) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let blob = Arc::new(GrowingBlob { store: store.clone(), state, changed });
        begun(Arc::clone(&blob) as _);
        Self(blob)
    }

    /// Adds bytes that the store does not have.
    pub(super) fn literal(&self, bytes: &[u8]) {
        let piece = Piece::Literal(bytes.to_vec());
        self.0.add(piece, bytes.len() as u64, Bytes::default());
    }

    /// Adds an object of the store that ends with its [`Checksum`].
    pub(super) fn checked(&self, piece: &Piece, object: &Bytes) {
        let length = object.len() - Checksum::SIZE;
        self.0.add(piece.clone(), length as u64, object.clone());
    }

    /// It is whole now, and is this.
    pub(super) fn complete(self, descriptor: &Descriptor) {
        self.0.end(End::Complete(Box::new(descriptor.clone())));
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.0.end(End::GivenUp);
    }
}

impl GrowingBlob {
    fn add(&self, piece: Piece, length: u64, object: Bytes) {
        let mut state = self.state();
        let start = state.size;
        let number = state.pieces.len();
        state.pieces.push((start, piece));
        state.size += length;
        state.recent_bytes += object.len();
        state.recent.push_back((number, object));
        while RECENT < state.recent_bytes {
            state.let_go();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// It ends as it ended first.
    fn end(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.changed.notify_all();
    }

    /// The bytes from a place up to the end of their piece; `None` at the end of the blob.
    fn piece_at(&self, at: u64) -> io::Result<Option<Passage>> {
        let open = |state: &mut State| state.size <= at && state.end.is_none();
        let state = self.changed.wait_while(self.state(), open);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.size <= at {
            return match state.end {
                Some(End::Complete(_)) => Ok(None),
                Some(End::GivenUp) | None => Err(io::Error::other("it is no longer made")),
            };
        }
        let number = state.pieces.partition_point(|(start, _)| *start <= at) - 1;
        let (start, piece) = state.pieces[number].clone();
        let recent = state.take_recent(number);
        drop(state);
        let from = usize::try_from(at - start).map_err(io::Error::other)?;
        let (object, tail) = match (piece, recent) {
            (Piece::Literal(bytes), _) => (bytes.into(), 0),
            (Piece::Checked(_), Some(object)) => (object, Checksum::SIZE),
            (Piece::Checked(name), None) => (self.stored(name)?, Checksum::SIZE),
            (Piece::Whole(name), _) => (self.stored(name)?, 0),
        };
        let to = object.len().checked_sub(tail).filter(|to| from < *to);
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Some(Passage { object, from, to }))
    }

    fn stored(&self, ObjectName { kind, id }: ObjectName) -> io::Result<Bytes> {
        let found =
            self.store.get(kind, &id).map_err(|error: ReadError| io::Error::other(error))?;
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A piece, if it is among the last. Those before it have been read.
    fn take_recent(&mut self, number: usize) -> Option<Bytes> {
        while self.recent.front().is_some_and(|(first, _)| *first < number) {
            self.let_go();
        }
        let first = self.recent.front().filter(|(first, _)| *first == number);
        first.map(|(_, object)| object.clone())
    }

    fn let_go(&mut self) {
        if let Some((_, object)) = self.recent.pop_front() {
            self.recent_bytes -= object.len();
        }
    }
}

impl GrowingContent for GrowingBlob {
    fn outgrows(&self, bytes: u64) -> bool {
        let short = |state: &mut State| state.size <= bytes && state.end.is_none();
        let state = self.changed.wait_while(self.state(), short);
        state.unwrap_or_else(PoisonError::into_inner).end.is_none()
    }

    fn descriptor(&self) -> Option<Descriptor> {
        match &self.state().end {
            Some(End::Complete(descriptor)) => Some((**descriptor).clone()),
            Some(End::GivenUp) | None => None,
        }
    }

    fn read_from(&self, at: u64) -> Box<dyn Read + Send + '_> {
        Box::new(GrowingReader { blob: self, at, passage: Passage::default() })
    }
}

/// Bytes of an object.
#[derive(Debug, Default)]
struct Passage {
    object: Bytes,
    from: usize,
    to: usize,
}

/// Reads such a blob, and waits for what is not there yet.
#[derive(Debug)]
struct GrowingReader<'a> {
    blob: &'a GrowingBlob,
    at: u64,
    passage: Passage,
}

impl Read for GrowingReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.passage.from == self.passage.to {
            match self.blob.piece_at(self.at)? {
                Some(passage) => self.passage = passage,
                None => return Ok(0),
            }
        }
        let Passage { object, from, to } = &mut self.passage;
        let count = (*to - *from).min(bytes.len());
        bytes[..count].copy_from_slice(&object[*from..*from + count]);
        *from += count;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::object::{Encoding, Kind};
    use crate::oci::media_type::MediaType;
    use crate::store::OpenOptions;

    /// What a part of a thousand bytes looks like in the store.
    fn part(number: u32) -> Vec<u8> {
        let mut bytes = number.to_le_bytes().repeat(250);
        bytes.extend_from_slice(&Checksum::of(&bytes).bytes());
        bytes
    }

    /// A blob that grows, as it is told of.
    fn begun(store: &Store) -> (Growth, Arc<dyn GrowingContent>) {
        let told = Mutex::new(None);
        let growth = Growth::begin(store, &|blob| *told.lock().unwrap() = Some(blob));
        (growth, told.into_inner().unwrap().unwrap())
    }

    fn read_from(blob: &dyn GrowingContent, at: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        blob.read_from(at).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn it_is_read_from_any_place_while_it_grows_and_by_who_comes_late() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let lease = store.lease().unwrap();
        let (growth, blob) = begun(&store);
        let mut whole = b"head".to_vec();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read_from(&*blob, 0));
            growth.literal(b"head");
            for number in 0..20_000 {
                let (part, mut id) = (part(number), [0; 32]);
                id[..4].copy_from_slice(&number.to_le_bytes());
                lease.put(Kind::Run, &id, Encoding::Raw, &part).unwrap();
                let piece = Piece::Checked(ObjectName::new(Kind::Run, &id));
                growth.checked(&piece, &part.clone().into());
                whole.extend_from_slice(&part[..1000]);
            }
            assert!(blob.outgrows(whole.len() as u64 - 1));
            assert_eq!(blob.descriptor(), None);
            let descriptor =
                Descriptor::new(MediaType::LAYER, Digest::of(&whole), whole.len() as u64);
            growth.complete(&descriptor);
            assert!(reading.join().unwrap().unwrap() == whole);
            assert!(!blob.outgrows(0));
            assert_eq!(blob.descriptor(), Some(descriptor));
        });
        // What is no longer in memory is in the store.
        for at in [0, 4, 5, 1003, 1004, whole.len() - 1, whole.len()] {
            assert!(read_from(&*blob, at as u64).unwrap() == whole[at..], "{at}");
        }
    }

    #[test]
    fn who_reads_what_is_given_up_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let (growth, blob) = begun(&store);
        growth.literal(b"head");
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read_from(&*blob, 0));
            drop(growth);
            assert!(reading.join().unwrap().is_err());
        });
        assert!(!blob.outgrows(1 << 20));
        assert_eq!(blob.descriptor(), None);
    }
}
