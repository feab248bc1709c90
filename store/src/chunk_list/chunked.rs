//! The bytes of a long body, read from its chunks when somebody looks at them.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::ChunkList;
use crate::bytes::Bytes;
use crate::error::{ReadCause, ReadError};
use crate::id::BodyId;
use crate::spare;
use crate::sparse::Run;

/// Where chunks are read from.
pub(crate) trait ReadChunk: Debug + Send + Sync {
    /// The bytes of a chunk, verified.
    fn read_chunk(&self, id: &BodyId) -> Result<Bytes, ReadError>;
}

/// The bytes of a long body. Memory holds one chunk at a time.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    source: Arc<dyn ReadChunk>,
    pieces: Arc<[Segment]>,
}

/// Where a piece lies in the body, and what it is: a body, or zeros.
#[derive(Debug)]
struct Segment {
    start: u64,
    end: u64,
    chunk: Option<BodyId>,
}

impl Chunked {
    pub(crate) fn new(source: Arc<dyn ReadChunk>, list: &ChunkList) -> Self {
        let mut end = 0;
        let place = list.0.iter().map(|piece| {
            let start = end;
            end += piece.length;
            Segment { start, end, chunk: piece.chunk }
        });
        let pieces = place.collect();
        Self { source, pieces }
    }

    pub(crate) fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |place| place.end)
    }

    /// Whether a range is zeros that are no chunk.
    pub(crate) fn is_hole(&self, range: &Range<u64>) -> bool {
        self.from(range.start)
            .first()
            .is_some_and(|place| place.chunk.is_none() && range.end <= place.end)
    }

    /// All bytes of a range, which must lie within them.
    pub(crate) fn piece(&self, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
        let size = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
        let mut out = spare::with_room(size(range.end - range.start));
        for place in self.from(range.start).iter().take_while(|place| place.start < range.end) {
            let (start, end) = (place.start.max(range.start), place.end.min(range.end));
            match self.load(place)? {
                None => out.resize(out.len() + size(end - start), 0),
                Some(bytes) => out
                    .extend_from_slice(&bytes[size(start - place.start)..size(end - place.start)]),
            }
        }
        Ok(out)
    }

    /// Gives all bytes, or that they are zeros, in pieces that memory can hold.
    pub(crate) fn each_run<E: From<ReadError>>(
        &self,
        sink: &mut dyn FnMut(Run<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for place in self.pieces.iter() {
            match self.load(place)? {
                None => sink(Run::Zeros(place.end - place.start))?,
                Some(bytes) => sink(Run::Data(&bytes))?,
            }
        }
        Ok(())
    }

    /// Reads what lies at `at` of the chunk there, and keeps that chunk in `last`; returns how much.
    pub(crate) fn read(
        &self,
        out: &mut [u8],
        at: u64,
        last: &mut Option<(Range<u64>, Bytes)>,
    ) -> Result<usize, ReadError> {
        let Some(place) = self.from(at).first() else { return Ok(0) };
        let count = out.len().min(usize::try_from(place.end - at).unwrap_or(usize::MAX));
        if place.chunk.is_none() {
            out[..count].fill(0);
            return Ok(count);
        }
        if last.as_ref().is_none_or(|(range, _)| !range.contains(&at)) {
            *last = self.load(place)?.map(|bytes| (place.start..place.end, bytes));
        }
        if let Some((range, bytes)) = last {
            let from = usize::try_from(at - range.start).unwrap_or(usize::MAX);
            out[..count].copy_from_slice(&bytes[from..from + count]);
        }
        Ok(count)
    }

    /// The pieces from the one at `at` on.
    fn from(&self, at: u64) -> &[Segment] {
        &self.pieces[self.pieces.partition_point(|place| place.end <= at)..]
    }

    /// The bytes of a piece; `None` if they are zeros.
    fn load(&self, place: &Segment) -> Result<Option<Bytes>, ReadError> {
        let Some(chunk) = &place.chunk else { return Ok(None) };
        let bytes = self.source.read_chunk(chunk)?;
        if bytes.len() as u64 != place.end - place.start {
            let cause = ReadCause::Malformed("the length of a chunk");
            return Err(ReadError::new(format!("chunk {chunk}"), cause));
        }
        Ok(Some(bytes))
    }
}
